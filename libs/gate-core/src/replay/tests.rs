use plan::SHIPPED;

use super::*;
use crate::tally::{Outcome, Path};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn ended(outcome: Outcome) -> Entry {
    Entry::Ended { path: Path::New, outcome, latency_ms: 2_000 }
}

fn played(entries: &mut [(Timestamp, Entry)]) -> Vec<Change> {
    let (plan, _) = Plan::parse(SHIPPED).unwrap();
    replay(&plan, "P1", START, entries, Duration::ZERO).unwrap()
}

fn first<T>(changes: &[Change], wanted: impl Fn(&What) -> Option<T>) -> Option<(u64, T)> {
    changes.iter().find_map(|change| {
        wanted(&change.what).map(|found| (change.at.since(START).as_secs(), found))
    })
}

#[test]
fn a_burst_fires_when_it_comes_and_a_quiet_day_fires_nothing() {
    let mut quiet: Vec<_> = (0..500).map(|n| (at(n * 60), ended(Outcome::Succeeded))).collect();
    let fired = |what: &What| matches!(what, What::Trigger { to: State::Fired, .. }).then_some(());
    assert_eq!(first(&played(&mut quiet), fired), None);
    let burst = (0..60).map(|n| (at(6_000 + n), ended(Outcome::Failed)));
    quiet.extend(burst);
    let (when, id) = first(&played(&mut quiet), |what| match what {
        What::Trigger { id, to: State::Fired, .. } if id == "error-rate-over-10" => {
            Some(id.clone())
        }
        What::Trigger { .. } | What::Gate(_) | What::Criterion(..) => None,
    })
    .unwrap();
    assert_eq!((id.as_str(), when), ("error-rate-over-10", 6_060), "at the next evaluation");
}

#[test]
fn a_criterion_passes_when_its_evidence_is_there() {
    let mut uploads: Vec<_> = (0..60).map(|n| (at(n * 60), ended(Outcome::Succeeded))).collect();
    uploads.reverse(); // The order in the file does not matter.
    let (when, ()) = first(&played(&mut uploads), |what| match what {
        What::Criterion(id, result) if id == "gate-1-uploads" => {
            (result.verdict == Verdict::Pass).then_some(())
        }
        What::Trigger { .. } | What::Gate(_) | What::Criterion(..) => None,
    })
    .unwrap();
    assert_eq!(when, 49 * 60, "the fiftieth upload");
}

#[test]
fn what_cannot_be_replayed_is_said() {
    let (plan, _) = Plan::parse(SHIPPED).unwrap();
    let nothing = replay(&plan, "P1", START, &mut [], Duration::ZERO);
    assert_eq!(nothing, Err(Unplayable::Nothing));
    let unknown = replay(&plan, "P9", START, &mut [], Duration::ZERO);
    assert!(matches!(unknown, Err(Unplayable::NoPhase(known)) if known.len() == 5));
    let mut long = [(at(400 * 86_400), Entry::Began)];
    let long = replay(&plan, "P1", START, &mut long, Duration::from_secs(60));
    assert!(matches!(long, Err(Unplayable::TooLong(_))));
}
