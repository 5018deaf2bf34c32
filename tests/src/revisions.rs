//! Whether a history of one register is linearizable, by the revisions its answers carry.
//!
//! Every write that took effect has a revision of its own, so that the order is known and only has
//! to be compared with what clients saw when: no search, any length.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{Action, Call, Outcome};

/// Checks `calls` on one register against `journal`, the revision and payload of every write that
/// took effect, oldest first.
///
/// # Errors
/// Says which answer no single register could have given.
pub fn check_register(calls: &[Call], journal: &[(u64, String)]) -> Result<(), String> {
    let writers = writers(calls, journal)?;
    let by_revision: BTreeMap<u64, &str> =
        journal.iter().map(|(revision, payload)| (*revision, payload.as_str())).collect();
    for call in calls {
        match &call.action {
            Action::Write { payload, expected, outcome: Outcome::Done(revision) } => {
                if by_revision.get(revision) != Some(&payload.as_str()) {
                    return Err(format!(
                        "write of {payload} was acknowledged as {revision}, and is not there"
                    ));
                }
                let before = by_revision.range(..revision).next_back().map_or(0, |(at, _)| *at);
                if expected.is_some_and(|expected| expected != before) {
                    return Err(format!(
                        "write of {payload} expected {expected:?} and was done behind {before}: \
                         no fence held it"
                    ));
                }
            }
            Action::Write { .. } => {}
            Action::Read { revision, payload } => {
                if by_revision.get(revision).copied().unwrap_or_default() != payload {
                    return Err(format!(
                        "a read saw {payload} at {revision}, which was never written"
                    ));
                }
            }
        }
    }
    in_real_time(calls, &writers)
}

/// When each revision was begun to be written: every one by exactly one call.
fn writers(calls: &[Call], journal: &[(u64, String)]) -> Result<BTreeMap<u64, Duration>, String> {
    let mut by_payload = BTreeMap::new();
    for call in calls {
        if let Action::Write { payload, outcome, .. } = &call.action
            && by_payload.insert(payload.as_str(), (call.invoked, outcome)).is_some()
        {
            return Err(format!("{payload} was written by two calls: the history is unusable"));
        }
    }
    let mut writers = BTreeMap::new();
    for (revision, payload) in journal {
        match by_payload.remove(payload.as_str()) {
            Some((_, Outcome::Refused { .. })) => {
                return Err(format!("{payload} was refused, and is there as {revision}"));
            }
            Some((_, Outcome::Done(acknowledged))) if acknowledged != revision => {
                return Err(format!(
                    "{payload} is there as {revision}, and was acknowledged as {acknowledged}"
                ));
            }
            Some((invoked, Outcome::Done(_) | Outcome::Unknown)) => {
                writers.insert(*revision, invoked);
            }
            None => {
                return Err(format!(
                    "{payload} is there as {revision}, written twice or by nobody"
                ));
            }
        }
    }
    Ok(writers)
}

/// Checks that nobody was told of the past, or of what was not begun yet.
fn in_real_time(calls: &[Call], writers: &BTreeMap<u64, Duration>) -> Result<(), String> {
    let mut by_end: Vec<(Duration, u64)> =
        calls.iter().filter_map(|call| Some((call.ended, seen(call)?))).collect();
    by_end.sort_unstable();
    let mut highest = 0;
    for entry in &mut by_end {
        highest = highest.max(entry.1);
        entry.1 = highest; // The highest revision anybody had been told of by then.
    }
    for call in calls {
        let Some(seen) = seen(call) else { continue };
        let known = by_end.partition_point(|(ended, _)| *ended < call.invoked);
        let known = known.checked_sub(1).map_or(0, |at| by_end[at].1);
        let is_write = matches!(call.action, Action::Write { outcome: Outcome::Done(_), .. });
        if seen < known || (is_write && seen == known) {
            return Err(format!(
                "client {} was answered with revision {seen}, after {known} had been told of",
                call.client
            ));
        }
        let begun = writers.get(&seen).copied();
        if seen > 0 && begun.is_none_or(|begun| begun > call.ended) {
            return Err(format!(
                "client {} was told of revision {seen} before it was written",
                call.client
            ));
        }
    }
    Ok(())
}

/// The revision that the answer says was current; for a write that was done, its own.
fn seen(call: &Call) -> Option<u64> {
    match &call.action {
        Action::Write { outcome: Outcome::Done(revision), .. } | Action::Read { revision, .. } => {
            Some(*revision)
        }
        Action::Write { outcome: Outcome::Refused { current }, .. } => Some(*current),
        Action::Write { outcome: Outcome::Unknown, .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(client: usize, (invoked, ended): (u64, u64), action: Action) -> Call {
        let (invoked, ended) = (Duration::from_micros(invoked), Duration::from_micros(ended));
        Call { client, target: "x".to_owned(), invoked, ended, action }
    }

    fn write(payload: &str, expected: Option<u64>, outcome: Outcome) -> Action {
        Action::Write { payload: payload.to_owned(), expected, outcome }
    }

    fn read(revision: u64, payload: &str) -> Action {
        Action::Read { revision, payload: payload.to_owned() }
    }

    fn journal(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
        entries.iter().map(|(revision, payload)| (*revision, (*payload).to_owned())).collect()
    }

    /// Two writers of which one loses, an unknown write that took effect, and reads in between.
    fn good() -> (Vec<Call>, Vec<(u64, String)>) {
        let calls = vec![
            call(0, (0, 10), write("a", Some(0), Outcome::Done(1))),
            call(1, (2, 12), write("b", Some(0), Outcome::Refused { current: 1 })),
            call(2, (11, 14), read(1, "a")),
            call(0, (15, 20), write("c", None, Outcome::Unknown)),
            call(1, (21, 30), write("d", None, Outcome::Done(4))),
            call(2, (22, 31), read(3, "c")),
            call(2, (32, 33), read(4, "d")),
        ];
        (calls, journal(&[(1, "a"), (3, "c"), (4, "d")]))
    }

    #[test]
    fn a_history_of_one_register_is_accepted() {
        let (calls, journal) = good();
        check_register(&calls, &journal).unwrap();
    }

    /// Changes one call of the good history, and expects it to be refused for this reason.
    fn refused(at: usize, changed: Call, says: &str) {
        let (mut calls, journal) = good();
        calls[at] = changed;
        let why = check_register(&calls, &journal).unwrap_err();
        assert!(why.contains(says), "expected `{says}`: {why}");
    }

    #[test]
    fn every_broken_rule_is_noticed() {
        let done = |revision| write("a", Some(0), Outcome::Done(revision));
        refused(0, call(0, (0, 10), done(2)), "acknowledged as 2");
        let fenceless = write("d", Some(1), Outcome::Done(4));
        refused(4, call(1, (21, 30), fenceless), "no fence held it");
        let was_refused = write("c", Some(9), Outcome::Refused { current: 1 });
        refused(3, call(0, (15, 20), was_refused), "was refused, and is there");
        refused(6, call(2, (32, 33), read(3, "c")), "after 4 had been told of");
        refused(2, call(2, (11, 14), read(3, "c")), "before it was written");
        refused(6, call(2, (32, 33), read(4, "c")), "never written");
        let stale = write("b", Some(0), Outcome::Refused { current: 0 });
        refused(1, call(1, (12, 14), stale), "after 1 had been told of");
    }

    #[test]
    fn a_write_that_is_lost_doubled_or_nobodys_is_noticed() {
        let (calls, _) = good();
        for (entries, says) in [
            (&[(3, "c"), (4, "d")][..], "and is not there"),
            (&[(1, "a"), (3, "c"), (4, "d"), (5, "d")], "written twice or by nobody"),
            (&[(1, "a"), (2, "z"), (3, "c"), (4, "d")], "written twice or by nobody"),
        ] {
            let why = check_register(&calls, &journal(entries)).unwrap_err();
            assert!(why.contains(says), "expected `{says}`: {why}");
        }
    }
}
