//! Criteria that the system judges by what it saw.

use plan::{Criterion, Observation};
use vocab::Timestamp;

use super::{CriterionResult, Kind, Reason, Verdict};
use crate::evidence::{Evidence, Told};

/// Whether it was seen, why, and what.
type Seen = (bool, String, String);

pub(super) fn judge(
    criterion: &Criterion,
    observation: Observation,
    evidence: &Evidence,
    now: Timestamp,
) -> CriterionResult {
    let (met, reason, value) = look(criterion, observation, evidence, now);
    let (verdict, code) = if met {
        (Verdict::Pass, Reason::Met)
    } else {
        (Verdict::Inconclusive, Reason::NotObserved)
    };
    CriterionResult {
        value,
        window: "since phase start".to_owned(),
        source: format!("observed: {}", observation.name()),
        sample_count: u64::from(met),
        ..CriterionResult::new(Kind::Observed, verdict, code, reason)
    }
}

fn look(
    criterion: &Criterion,
    observation: Observation,
    evidence: &Evidence,
    now: Timestamp,
) -> Seen {
    match observation {
        Observation::AllTransitions => all_transitions(evidence),
        Observation::BreakerRecovered => breaker_recovered(evidence),
        Observation::KillSwitchDrill => match evidence.sighted.drill {
            Some(at) => {
                (true, "drilled: every connected worker applied it".to_owned(), at.to_string())
            }
            None => (false, "no drill passed in this phase yet".to_owned(), String::new()),
        },
        Observation::KillSwitchAvailable => match evidence.sighted.last_drill {
            Some(at) if now.since(at) <= evidence.drill_valid_for => {
                (true, "drilled within the plan's period".to_owned(), at.to_string())
            }
            Some(at) => (false, "the last drill is too long ago".to_owned(), at.to_string()),
            None => (false, "no drill ever passed".to_owned(), String::new()),
        },
        Observation::GatePassed => gate_passed(evidence),
        Observation::FlagAtFull => {
            let share = evidence.percentage_basis_points;
            let value = format!("{}%", f64::from(share) / 100.0);
            match share {
                10_000 => (true, "the flag is on for everybody".to_owned(), value),
                _ => (false, "the flag is not on for everybody".to_owned(), value),
            }
        }
        Observation::ConsecutiveDays => {
            let (have, need) = evidence.ga_days;
            let value = format!("{have} of {need}");
            match have {
                _ if need > 0 && have >= need => (true, "met on every day".to_owned(), value),
                0 => (false, "the last day was not met, or none was judged".to_owned(), value),
                have => (false, format!("met on {have} days in a row so far"), value),
            }
        }
        Observation::CommunicationDelivered => delivered(criterion, evidence),
    }
}

/// Nobody's word for it: what the ledger of deliveries says.
fn delivered(criterion: &Criterion, evidence: &Evidence) -> Seen {
    let Some(id) = &criterion.communication else {
        return (false, "the plan names no communication".to_owned(), String::new());
    };
    match evidence.communications.get(id.as_str()) {
        Some(Told::Complete(at)) => {
            (true, format!("{id} was delivered to everybody it is for"), at.to_string())
        }
        Some(Told::Missing(detail)) => {
            (false, format!("{id} has not been delivered to everybody: {detail}"), String::new())
        }
        None => (false, format!("{id} has not been sent in this phase"), String::new()),
    }
}

fn all_transitions(evidence: &Evidence) -> Seen {
    let missing: Vec<_> = evidence
        .expected_transitions
        .iter()
        .filter(|expected| !evidence.sighted.transitions.contains(*expected))
        .map(String::as_str)
        .collect();
    let expected = evidence.expected_transitions.len();
    let value = format!("{} of {expected}", expected - missing.len());
    match missing.as_slice() {
        _ if expected == 0 => (false, "the plan names no transitions".to_owned(), value),
        [] => (true, "every transition seen".to_owned(), value),
        missing => (false, format!("not seen yet: {}", missing.join(", ")), value),
    }
}

fn breaker_recovered(evidence: &Evidence) -> Seen {
    let recovered = evidence.sighted.breakers.values().filter(|one| one.recovered()).count();
    let open = evidence.sighted.breakers.values().any(|one| one.open_since().is_some());
    match (recovered, open) {
        (_, true) => (false, "a breaker is still open".to_owned(), "open".to_owned()),
        (0, false) => (false, "no breaker opened and closed yet".to_owned(), String::new()),
        (some, false) => (true, "opened and closed again".to_owned(), format!("{some} recovered")),
    }
}

fn gate_passed(evidence: &Evidence) -> Seen {
    match &evidence.previous_gate {
        Some(gate) if evidence.passed_gates.contains(gate) => {
            (true, format!("{gate} passed and approved"), gate.clone())
        }
        Some(gate) => (false, format!("{gate} has not been passed and approved"), String::new()),
        None => (false, "there is no gate before this".to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use plan::Judged;
    use vocab::ResourceId;

    use super::*;

    fn announced() -> Criterion {
        Criterion {
            id: ResourceId::new("announced").unwrap(),
            title: "It is announced".to_owned(),
            section: "6.3".to_owned(),
            judged: Judged::Observed(Observation::CommunicationDelivered),
            expires_after: None,
            dry_run: false,
            communication: Some(ResourceId::new("ga-announcement").unwrap()),
        }
    }

    fn said(told: Option<(&str, Told)>) -> CriterionResult {
        let communications = told.map(|(id, told)| (id.to_owned(), told)).into_iter().collect();
        let evidence = Evidence { communications, ..Evidence::default() };
        let observation = Observation::CommunicationDelivered;
        judge(&announced(), observation, &evidence, Timestamp::EPOCH)
    }

    #[test]
    fn a_delivery_counts_where_everybody_was_told_and_of_that_communication_alone() {
        let complete = || Told::Complete(Timestamp::EPOCH);
        assert_eq!(said(Some(("ga-announcement", complete()))).verdict, Verdict::Pass);
        let other = said(Some(("canary-invitation", complete())));
        assert_eq!(other.verdict, Verdict::Inconclusive);
        assert_eq!(other.reason, "ga-announcement has not been sent in this phase");
        let missing = Told::Missing("1 of 2 has no such mailbox".to_owned());
        let missing = said(Some(("ga-announcement", missing)));
        assert_eq!(missing.verdict, Verdict::Inconclusive);
        assert!(missing.reason.ends_with("1 of 2 has no such mailbox"), "{}", missing.reason);
    }
}
