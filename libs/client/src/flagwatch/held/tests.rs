use super::*;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn flag(id: &str, revision: i64, basis_points: i32) -> pb::Flag {
    let definition = pb::FlagDefinition {
        enabled: true,
        percentage_basis_points: basis_points,
        ..pb::FlagDefinition::default()
    };
    pb::Flag {
        name: format!("flags/{id}"),
        definition: Some(definition),
        pipeline: "ingestion_v2".to_owned(),
        revision,
        ..pb::Flag::default()
    }
}

fn snapshot(history: &str, revision: i64, flags: Vec<pb::Flag>) -> Update {
    let history = history.to_owned();
    Update::Snapshot(pb::RulesetSnapshot { revision, flags, history, more: false, stale: false })
}

fn part(revision: i64, flags: Vec<pb::Flag>) -> Update {
    let history = "h".to_owned();
    Update::Snapshot(pb::RulesetSnapshot { revision, flags, history, more: true, stale: false })
}

fn beat(revision: i64) -> Update {
    Update::Heartbeat(pb::RulesetHeartbeat { revision, ..pb::RulesetHeartbeat::default() })
}

fn holding(revision: i64) -> Held {
    let mut held = Held::new(None);
    let flags = vec![flag("a", revision, 1_000)];
    assert_eq!(held.take(snapshot("h", revision, flags), at(1)), Ok(Taken::Replaced));
    held
}

/// Revision held, and each flag's share.
fn seen(held: &Held) -> (u64, Vec<(String, u16)>) {
    let rules = held.rules().unwrap();
    let mut shares: Vec<_> = rules
        .flags
        .iter()
        .map(|(key, entry)| {
            (key.to_string(), entry.good.as_ref().unwrap().flag().definition.share().get())
        })
        .collect();
    shares.sort();
    (rules.revision, shares)
}

fn shares(shares: &[(&str, u16)]) -> Vec<(String, u16)> {
    shares.iter().map(|(key, share)| ((*key).to_owned(), *share)).collect()
}

#[test]
fn nothing_of_a_snapshot_is_applied_before_its_last_part() {
    let mut held = holding(3);
    held.begin();
    assert_eq!(held.take(part(5, vec![flag("a", 5, 2_000)]), at(2)), Ok(Taken::Nothing));
    assert_eq!(held.take(beat(5), at(2)), Ok(Taken::Nothing));
    assert_eq!((seen(&held), held.heard()), ((3, shares(&[("a", 1_000)])), Some(at(1))));
    let last = snapshot("h", 5, vec![flag("b", 4, 3_000)]);
    assert_eq!(held.take(last, at(3)), Ok(Taken::Replaced));
    let both = shares(&[("a", 2_000), ("b", 3_000)]);
    assert_eq!((seen(&held), held.heard()), ((5, both), Some(at(3))));
}

#[test]
fn what_a_stream_left_unfinished_is_forgotten_with_it() {
    let mut held = holding(3);
    held.begin();
    assert_eq!(held.take(part(5, vec![flag("gone", 5, 2_000)]), at(2)), Ok(Taken::Nothing));
    held.begin();
    let whole = snapshot("h", 6, vec![flag("a", 6, 4_000)]);
    assert_eq!(held.take(whole, at(3)), Ok(Taken::Replaced));
    assert_eq!(seen(&held), (6, shares(&[("a", 4_000)])));
}

#[test]
fn parts_of_two_snapshots_are_not_put_together() {
    let mut held = holding(3);
    held.begin();
    assert_eq!(held.take(part(5, vec![flag("a", 5, 2_000)]), at(2)), Ok(Taken::Nothing));
    assert!(held.take(part(6, vec![flag("b", 6, 2_000)]), at(2)).is_err());
    assert_eq!(seen(&held), (3, shares(&[("a", 1_000)])));
}

#[test]
fn several_flags_of_one_revision_are_all_applied() {
    let mut held = holding(3);
    for id in ["b", "c"] {
        assert_eq!(held.take(Update::Change(flag(id, 4, 500)), at(2)), Ok(Taken::Changed));
    }
    assert_eq!(seen(&held), (4, shares(&[("a", 1_000), ("b", 500), ("c", 500)])));
}

#[test]
fn a_change_with_a_delete_time_takes_the_flag_out() {
    let mut held = holding(3);
    let gone =
        pb::Flag { delete_time: Some(prost_types::Timestamp::default()), ..flag("a", 4, 1_000) };
    assert_eq!(held.take(Update::Change(gone), at(2)), Ok(Taken::Changed));
    assert_eq!(seen(&held), (4, Vec::new()));
}

#[test]
fn an_older_change_is_ignored_and_confirms_nothing() {
    let mut held = holding(3);
    assert_eq!(held.take(Update::Change(flag("a", 2, 9_000)), at(9)), Ok(Taken::Older));
    assert_eq!(held.take(beat(2), at(9)), Ok(Taken::Older));
    assert_eq!((seen(&held), held.heard()), ((3, shares(&[("a", 1_000)])), Some(at(1))));
}

#[test]
fn an_older_snapshot_of_the_same_history_never_replaces() {
    for history in ["h", ""] {
        let mut held = holding(7);
        held.begin();
        let older = snapshot(history, 5, vec![flag("a", 5, 9_000)]);
        assert_eq!(held.take(older, at(2)), Ok(Taken::Older));
        assert_eq!(held.take(Update::Change(flag("a", 6, 8_000)), at(3)), Ok(Taken::Older));
        assert_eq!((seen(&held), held.heard()), ((7, shares(&[("a", 1_000)])), Some(at(1))));
    }
}

#[test]
fn a_service_that_was_behind_is_asked_for_everything_once_it_has_caught_up() {
    let mut held = holding(7);
    held.begin();
    assert_eq!(held.take(snapshot("h", 6, Vec::new()), at(2)), Ok(Taken::Older));
    assert!(held.take(beat(7), at(3)).is_err());
    assert!(held.take(Update::Change(flag("a", 8, 8_000)), at(3)).is_err());
    assert_eq!(seen(&held), (7, shares(&[("a", 1_000)])));
    held.begin();
    let whole = snapshot("h", 8, vec![flag("a", 8, 8_000)]);
    assert_eq!(held.take(whole, at(4)), Ok(Taken::Replaced));
    assert_eq!(seen(&held), (8, shares(&[("a", 8_000)])));
}

#[test]
fn a_snapshot_of_another_history_replaces_whatever_its_revision() {
    let mut held = holding(7);
    held.begin();
    let other = snapshot("other", 2, vec![flag("b", 2, 500)]);
    assert_eq!(held.take(other, at(2)), Ok(Taken::Replaced));
    assert_eq!(seen(&held), (2, shares(&[("b", 500)])));
    assert_eq!(held.take(Update::Change(flag("b", 3, 600)), at(2)), Ok(Taken::Changed));
}

#[test]
fn a_stream_begins_with_a_snapshot() {
    let mut held = holding(3);
    held.begin();
    assert!(held.take(Update::Change(flag("a", 4, 1)), at(2)).is_err());
    let mut empty = Held::new(None);
    assert!(empty.take(Update::Change(flag("a", 4, 1)), at(2)).is_err());
    assert_eq!((empty.take(beat(4), at(2)), empty.heard()), (Ok(Taken::Nothing), None));
}

#[test]
fn a_definition_that_cannot_be_read_keeps_the_last_good_one_and_says_so() {
    let mut held = holding(3);
    assert_eq!(held.take(Update::Change(flag("a", 4, 20_000)), at(2)), Ok(Taken::Changed));
    assert_eq!(seen(&held), (4, shares(&[("a", 1_000)])));
    let rules = held.rules().unwrap();
    let (key, why) = rules.unread().next().unwrap();
    assert!(key == "a" && why.contains("percentage_basis_points"), "{why}");
    assert_eq!(rules.get("a").unwrap().revision, 3);
    // Neither another snapshot nor a restart forgets either of the two.
    let kept = Rules::read(rules.as_snapshot(), None);
    assert_eq!((kept.unread().count(), kept.get("a").unwrap().revision), (1, 3));
    held.begin();
    let again = snapshot("h", 5, vec![flag("a", 4, 20_000)]);
    assert_eq!(held.take(again, at(3)), Ok(Taken::Replaced));
    assert_eq!(seen(&held), (5, shares(&[("a", 1_000)])));
    assert_eq!(held.take(Update::Change(flag("a", 6, 2_000)), at(4)), Ok(Taken::Changed));
    assert_eq!(held.rules().unwrap().unread().count(), 0);
}

#[test]
fn a_snapshot_of_more_flags_than_there_can_be_is_refused() {
    let mut held = holding(3);
    held.begin();
    let flags = (0..=FLAGS_MAX).map(|n| flag(&format!("f{n}"), 4, 0)).collect();
    assert!(held.take(part(4, flags), at(2)).is_err());
    assert_eq!(seen(&held), (3, shares(&[("a", 1_000)])));
}

#[test]
fn a_service_that_is_itself_out_of_touch_is_heard_and_counts_as_stale() {
    let mut held = holding(3);
    let beat = pb::RulesetHeartbeat { revision: 3, stale: true, ..Default::default() };
    assert_eq!(held.take(Update::Heartbeat(beat), at(2)), Ok(Taken::Nothing));
    assert_eq!((held.heard(), held.service_is_stale()), (Some(at(2)), true));
}
