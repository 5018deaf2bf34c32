use super::*;

fn entry(minted: &Minted) -> TokenEntry {
    TokenEntry {
        id: minted.id.clone(),
        sha256: minted.sha256.clone(),
        subject: "ada".to_owned(),
        access: vec![Access::Operator, Access::Approver],
        holding: vec!["engineering_lead".to_owned()],
        not_before: None,
        expires: None,
        note: String::new(),
    }
}

fn tokens(entries: Vec<TokenEntry>) -> Result<Tokens, String> {
    let text = toml::to_string(&TokenFile { token: entries }).unwrap();
    TokenFile::parse(&text)?.check()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn a_token_says_who_its_holder_is_and_what_they_may() {
    let minted = mint().unwrap();
    let known = tokens(vec![entry(&minted)]).unwrap();
    let principal = known.verify(&minted.secret, at("2026-01-01T00:00:00Z")).unwrap();
    assert_eq!(principal.actor.subject, "ada");
    assert!(principal.actor.authenticated);
    assert_eq!(principal.actor.roles.first().unwrap().as_str(), "engineering_lead");
    assert_eq!(principal.access, [Access::Operator, Access::Approver]);
}

#[test]
fn a_forged_token_is_as_unknown_as_one_that_never_was() {
    let (minted, other) = (mint().unwrap(), mint().unwrap());
    let known = tokens(vec![entry(&minted)]).unwrap();
    let now = at("2026-01-01T00:00:00Z");
    let mut cut = minted.secret.clone();
    cut.pop();
    let swapped = other.secret.replace(&other.id, &minted.id);
    for forged in [&cut, &swapped, &other.secret, &format!("{}x", minted.secret)] {
        assert_eq!(known.verify(forged, now), Err(Denied::Unknown), "{forged}");
    }
    for nonsense in ["", "slt_", "slt__", "slt_12345678_", "Bearer", &"x".repeat(10_000)] {
        assert_eq!(known.verify(nonsense, now), Err(Denied::Unknown), "{nonsense}");
    }
}

#[test]
fn a_token_counts_from_its_first_instant_to_the_one_before_its_last() {
    let minted = mint().unwrap();
    let (from, until) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    let bound = TokenEntry {
        not_before: Some(from.to_owned()),
        expires: Some(until.to_owned()),
        ..entry(&minted)
    };
    let known = tokens(vec![bound]).unwrap();
    let when = |text: &str| known.verify(&minted.secret, at(text)).map(drop);
    assert_eq!(when("2025-12-31T23:59:59Z"), Err(Denied::NotYet));
    assert_eq!(when(from), Ok(()));
    assert_eq!(when("2026-01-31T23:59:59Z"), Ok(()));
    assert_eq!(when(until), Err(Denied::Expired));
}

#[test]
fn two_spellings_of_one_name_are_refused() {
    let (one, two) = (mint().unwrap(), mint().unwrap());
    let shouted = TokenEntry { subject: "Ada".to_owned(), ..entry(&two) };
    let refused = tokens(vec![entry(&one), shouted]).unwrap_err();
    assert!(refused.contains("spelt `ada` elsewhere"), "{refused}");
    assert_eq!(tokens(vec![entry(&one), entry(&two)]).unwrap().len(), 2);
}

#[test]
fn a_malformed_token_is_named_with_what_would_be_right() {
    let minted = mint().unwrap();
    let good = || entry(&minted);
    for (bad, says) in [
        (TokenEntry { id: "short".to_owned(), ..good() }, "an id is 8"),
        (TokenEntry { sha256: "aa".to_owned(), ..good() }, "sha256 is 64"),
        (TokenEntry { sha256: "\u{e9}".repeat(32), ..good() }, "sha256 is 64"),
        (TokenEntry { subject: "system:rollout".to_owned(), ..good() }, "Softlaunch's own"),
        (TokenEntry { subject: "Offline:bob".to_owned(), ..good() }, "Softlaunch's own"),
        (TokenEntry { subject: "a b".to_owned(), ..good() }, "is not a name"),
        (TokenEntry { access: Vec::new(), ..good() }, "names no role"),
        (TokenEntry { holding: vec!["SRE Lead".to_owned()], ..good() }, "is not a role"),
        (TokenEntry { expires: Some("soon".to_owned()), ..good() }, "is not an instant"),
    ] {
        let refused = tokens(vec![bad]).unwrap_err();
        assert!(refused.starts_with("token `") && refused.contains(says), "{refused}");
    }
    assert!(tokens(vec![good(), good()]).unwrap_err().contains("there twice"));
    assert!(TokenFile::parse("[[token]]\nid = 1").is_err());
    assert!(TokenFile::parse("[[tokens]]").is_err());
}

#[test]
fn a_new_token_does_not_print_its_secret() {
    let minted = mint().unwrap();
    assert!(!format!("{minted:?}").contains(&minted.secret));
    assert_ne!(minted.secret, mint().unwrap().secret);
}
