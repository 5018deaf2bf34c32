//! `softlaunch tokens`: the file that services read the tokens of people and workers from.

use std::io::ErrorKind;
use std::path::Path;

use service_kit::access::Access;
use service_kit::clock::real_now;
use service_kit::tokens::{TokenEntry, TokenFile, mint};
use vocab::{Timestamp, parse_duration};

use crate::arguments::{Output, TokenAt, TokensVerb};
use crate::failure::Failure;
use crate::output::{say, table};
use crate::private::{create, replace};

const HEADER: &str = "# Tokens of people and workers, by their hashes. Written by `softlaunch tokens`, which keeps no\n# comments; services read it again when it changes.\n\n";

pub(crate) fn run(verb: &TokensVerb, holding: &[String], output: Output) -> Result<(), Failure> {
    match verb {
        TokensVerb::Add { at, subject, role, expires_in, secret_file, note } => {
            let access = role.iter().filter_map(|role| Access::named(role)).collect();
            let entry = TokenEntry {
                id: String::new(),
                sha256: String::new(),
                subject: subject.clone(),
                access,
                holding: holding.to_vec(),
                not_before: None,
                expires: expiry(expires_in)?,
                note: note.clone(),
            };
            add(at, entry, secret_file.as_deref())
        }
        TokensVerb::List { at } => {
            list(&read(&at.file)?, output);
            Ok(())
        }
        TokensVerb::Revoke { at, id, subject } => revoke(at, id.as_deref(), subject.as_deref()),
    }
}

fn expiry(expires_in: &str) -> Result<Option<String>, Failure> {
    if expires_in == "never" {
        return Ok(None);
    }
    let after = parse_duration(expires_in)
        .map_err(|why| Failure::usage(format!("--expires-in: {why}; or never")))?;
    Ok(Some(real_now().plus(after).to_string()))
}

fn add(at: &TokenAt, entry: TokenEntry, secret_file: Option<&Path>) -> Result<(), Failure> {
    let mut file = match std::fs::metadata(&at.file) {
        Err(error) if error.kind() == ErrorKind::NotFound => TokenFile::default(),
        Ok(_) | Err(_) => read(&at.file)?,
    };
    let minted = mint().map_err(Failure::refused)?;
    let (id, sha256) = (minted.id.clone(), minted.sha256);
    file.token.push(TokenEntry { id, sha256, ..entry });
    file.check().map_err(Failure::usage)?;
    // The secret first: a token that nobody has is worse than a secret that opens nothing.
    if let Some(path) = secret_file {
        create(path, &format!("{}\n", minted.secret))?;
    }
    write(&at.file, &file)?;
    let (id, shown) = (minted.id, at.file.display());
    match secret_file {
        Some(path) => say(format!("Token {id} is in {}, its hash in {shown}.", path.display())),
        None => {
            say(format!("Token {id} is in {shown}, by its hash. This is shown only now:"));
            say(minted.secret);
        }
    }
    Ok(())
}

fn revoke(at: &TokenAt, id: Option<&str>, subject: Option<&str>) -> Result<(), Failure> {
    let mut file = read(&at.file)?;
    let before = file.token.len();
    file.token.retain(|entry| Some(&*entry.id) != id && Some(&*entry.subject) != subject);
    let gone = before - file.token.len();
    if gone == 0 {
        let shown = at.file.display();
        return Err(Failure::refused(format!("{shown} has no such token: see `tokens list`")));
    }
    write(&at.file, &file)?;
    say(format!("{gone} of {before} tokens revoked."));
    Ok(())
}

fn read(path: &Path) -> Result<TokenFile, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("cannot read {shown}: {error}")))?;
    let file = TokenFile::parse(&text);
    let checked = file.and_then(|file| file.check().map(|_tokens| file));
    checked.map_err(|why| Failure::refused(format!("{shown}: {why}")))
}

fn write(path: &Path, file: &TokenFile) -> Result<(), Failure> {
    let text = toml::to_string(file).map_err(|error| Failure::refused(error.to_string()))?;
    replace(path, &format!("{HEADER}{text}"))
}

fn list(file: &TokenFile, output: Output) {
    let now = real_now();
    if output == Output::Json {
        let all = file.token.iter().map(|entry| {
            serde_json::json!({
                "id": entry.id,
                "subject": entry.subject,
                "access": entry.access,
                "holding": entry.holding,
                "notBefore": entry.not_before,
                "expires": entry.expires,
                "state": state(entry, now),
                "note": entry.note,
            })
        });
        say(serde_json::Value::from_iter(all));
        return;
    }
    let mut shown = table(["Id", "Whose", "Access", "Holding", "Until", "", "Note"]);
    for entry in &file.token {
        let access = entry.access.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        shown.add_row([
            entry.id.clone(),
            entry.subject.clone(),
            access,
            entry.holding.join(", "),
            entry.expires.clone().unwrap_or_else(|| "for ever".to_owned()),
            state(entry, now).to_owned(),
            entry.note.clone(),
        ]);
    }
    say(shown);
}

/// How a token stands. What was read has passed every check: its instants are some.
fn state(entry: &TokenEntry, now: Timestamp) -> &'static str {
    let instant = |text: &Option<String>| text.as_deref().and_then(|t| Timestamp::parse(t).ok());
    match (instant(&entry.not_before), instant(&entry.expires)) {
        (Some(from), _) if now < from => "not yet",
        (_, Some(until)) if now >= until => "expired",
        _ => "valid",
    }
}
