//! Criteria that people judge: any role of several attests, or every role signs.

use std::time::Duration;

use vocab::{Role, Timestamp};

use super::{CriterionResult, Kind, Reason, Verdict};
use crate::evidence::Attested;

fn titles(roles: &[Role], joint: &str) -> String {
    roles.iter().map(Role::as_str).collect::<Vec<_>>().join(joint)
}

fn is_over(statement: &Attested, expires_after: Option<Duration>, now: Timestamp) -> bool {
    expires_after.is_some_and(|after| now >= statement.at.plus(after))
}

/// One statement by a holder of any of `roles` is enough: the newest that still counts.
pub(super) fn attested(
    roles: &[Role],
    statements: &[Attested],
    expires_after: Option<Duration>,
    now: Timestamp,
) -> CriterionResult {
    let asked = statements.iter().filter(|statement| roles.contains(&statement.role));
    let newest = asked.max_by_key(|statement| statement.at);
    let waiting = |code, why: String| {
        let reason = format!("{why}: waits for {}", titles(roles, " or "));
        CriterionResult::new(Kind::Attestation, Verdict::Inconclusive, code, reason)
    };
    let mut result = match newest {
        None => waiting(Reason::NotStated, "not attested yet".to_owned()),
        Some(old) if is_over(old, expires_after, now) => {
            waiting(Reason::Expired, format!("attested by {} too long ago", old.actor))
        }
        Some(statement) => {
            let why = format!("attested by {} as {}", statement.actor, statement.role);
            CriterionResult {
                source: statement.evidence.clone(),
                sample_count: 1,
                data_time: Some(statement.at),
                statements: vec![statement.clone()],
                ..CriterionResult::new(Kind::Attestation, Verdict::Pass, Reason::Met, why)
            }
        }
    };
    result.roles = roles.to_vec();
    result
}

/// Every role signs, each by another person.
pub(super) fn signed_off(
    roles: &[Role],
    statements: &[Attested],
    expires_after: Option<Duration>,
    now: Timestamp,
) -> CriterionResult {
    let counted: Vec<_> = statements
        .iter()
        .filter(|one| roles.contains(&one.role) && !is_over(one, expires_after, now))
        .cloned()
        .collect();
    let unsigned: Vec<_> = roles
        .iter()
        .filter(|role| !counted.iter().any(|statement| statement.role == **role))
        .cloned()
        .collect();
    let signed = roles.len() - unsigned.len();
    let (verdict, code, reason) = if roles.is_empty() {
        (Verdict::Inconclusive, Reason::NotStated, "the plan names no role".to_owned())
    } else if !unsigned.is_empty() {
        let expired = statements.len() > counted.len();
        let code = if expired { Reason::Expired } else { Reason::NotStated };
        let why = format!("not signed by everybody: waits for {}", titles(&unsigned, " and "));
        (Verdict::Inconclusive, code, why)
    } else if !each_by_another(roles, &counted) {
        let why = "one person signed in two roles: every role needs another person".to_owned();
        (Verdict::Inconclusive, Reason::NotStated, why)
    } else {
        (Verdict::Pass, Reason::Met, "signed by everybody".to_owned())
    };
    CriterionResult {
        value: format!("{signed} of {}", roles.len()),
        sample_count: u64::try_from(signed).unwrap_or(u64::MAX),
        data_time: counted.iter().map(|statement| statement.at).max(),
        roles: roles.to_vec(),
        statements: counted,
        ..CriterionResult::new(Kind::SignOff, verdict, code, reason)
    }
}

/// Whether every role can be given a signer of its own. There are a handful of roles.
fn each_by_another(roles: &[Role], statements: &[Attested]) -> bool {
    fn assign(roles: &[Role], statements: &[Attested], taken: &mut Vec<String>) -> bool {
        let Some((role, rest)) = roles.split_first() else { return true };
        for statement in statements.iter().filter(|statement| statement.role == *role) {
            if taken.contains(&statement.actor) {
                continue;
            }
            taken.push(statement.actor.clone());
            if assign(rest, statements, taken) {
                return true;
            }
            taken.pop();
        }
        false
    }
    assign(roles, statements, &mut Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const DAY: Duration = Duration::from_secs(86_400);

    fn role(text: &str) -> Role {
        Role::new(text).unwrap()
    }

    fn by(actor: &str, as_role: &str, at: Timestamp) -> Attested {
        let evidence = "https://example.com/evidence".to_owned();
        Attested { actor: actor.to_owned(), role: role(as_role), evidence, at }
    }

    #[test]
    fn any_role_attests_until_it_expires() {
        let roles = [role("sre_lead"), role("engineering_lead")];
        let judged = |statements: &[Attested], after| attested(&roles, statements, after, NOW).code;
        assert_eq!(judged(&[], None), Reason::NotStated);
        assert_eq!(judged(&[by("pia", "product_manager", NOW)], None), Reason::NotStated);
        let stated = [by("sam", "sre_lead", NOW.minus(DAY))];
        assert_eq!(judged(&stated, None), Reason::Met);
        assert_eq!(judged(&stated, Some(2 * DAY)), Reason::Met);
        assert_eq!(judged(&stated, Some(DAY)), Reason::Expired);
    }

    #[test]
    fn every_role_signs_and_each_by_another_person() {
        let roles = [role("sre_lead"), role("engineering_lead")];
        let judged = |statements: &[Attested]| signed_off(&roles, statements, None, NOW).verdict;
        let sam = by("sam", "sre_lead", NOW);
        assert_eq!(judged(std::slice::from_ref(&sam)), Verdict::Inconclusive);
        assert_eq!(
            judged(&[sam.clone(), by("sam", "engineering_lead", NOW)]),
            Verdict::Inconclusive
        );
        assert_eq!(judged(&[sam.clone(), by("ada", "engineering_lead", NOW)]), Verdict::Pass);
        let twice = [sam, by("sam", "engineering_lead", NOW), by("ada", "sre_lead", NOW)];
        assert_eq!(judged(&twice), Verdict::Pass, "ada for sre_lead, sam for the other");
    }
}
