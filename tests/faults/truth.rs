//! What is really there, read from the store without any service.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use service_kit::clock::real_now;
use softlaunch_tests::{Action, Call, Outcome};
use store::{Head, Location, Record, Scope, Store, StreamName, Window};
use test_kit::eventually;
use vocab::Timestamp;

use crate::clients::{BATCH, PIPELINE};
use crate::installation::softlaunch;

const PAGE: usize = 500;
const HOUR: Duration = Duration::from_secs(3_600);

/// Opens the store once whoever held it has let go of it.
pub(crate) async fn open(location: &str) -> Store {
    let location = Location::parse(location).expect("a location");
    eventually("the store opens", async || {
        Store::open_existing(&location, Arc::new(real_now), &store::Options::default()).await.ok()
    })
    .await
}

/// Every record of a stream, each checked against the one before.
pub(crate) async fn records(store: &Store, stream: &str) -> Vec<Record> {
    let stream = StreamName::new(stream).expect("a stream name");
    let (mut head, mut all) = (Head::default(), Vec::new());
    loop {
        let page =
            store.journal.read(&stream, head.version, PAGE).await.expect("the store answers");
        if page.is_empty() {
            return all;
        }
        for record in &page {
            head = head.followed_by(&stream, record).expect("the chain holds");
        }
        all.extend(page);
    }
}

/// Whether `audit verify` finds every journal whole.
pub(crate) fn audit(location: &str) {
    let verify = ["audit", "verify", "--store", location];
    let output = Command::new(softlaunch()).args(verify).output().expect("softlaunch can be run");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Whether a record's event has this text in it.
pub(crate) fn contains(record: &Record, tag: &str) -> bool {
    record.payload.windows(tag.len()).any(|bytes| bytes == tag.as_bytes())
}

/// The version and tag of every record that a client's command caused; fails where one has none.
pub(crate) fn tagged(records: &[Record], kind: &str, calls: &[Call]) -> Vec<(u64, String)> {
    let tags: Vec<&str> = calls
        .iter()
        .filter_map(|call| match &call.action {
            Action::Write { payload, .. } => Some(payload.as_str()),
            Action::Read { .. } => None,
        })
        .collect();
    let of_kind = records.iter().filter(|record| record.kind == kind);
    let found = of_kind.filter_map(|record| {
        let tag = tags.iter().find(|tag| contains(record, tag));
        tag.map(|tag| (record.version, (*tag).to_owned()))
    });
    found.collect()
}

/// Fails unless every acknowledged command is there once, and every other at most once.
pub(crate) fn once(calls: &[Call], there: &[(u64, String)]) {
    for call in calls {
        let Action::Write { payload, outcome, .. } = &call.action else { continue };
        let times = there.iter().filter(|(_, tag)| tag == payload).count();
        match outcome {
            Outcome::Done(_) => assert_eq!(times, 1, "ONCE: {payload} was acknowledged"),
            Outcome::Unknown => assert!(times <= 1, "ONCE: {payload} is there {times} times"),
            Outcome::Refused { .. } => assert_eq!(times, 0, "ONCE: {payload} was refused"),
        }
    }
}

/// Fails unless every acknowledged batch is counted once, and every other whole or not at all.
pub(crate) async fn counted_once(store: &Store, calls: &[Call]) {
    let is = |call: &&Call, wanted: fn(&Outcome) -> bool| match &call.action {
        Action::Write { outcome, .. } => wanted(outcome),
        Action::Read { .. } => false,
    };
    let done = calls.iter().filter(|call| is(call, |one| matches!(one, Outcome::Done(_)))).count();
    let open = calls.iter().filter(|call| is(call, |one| *one == Outcome::Unknown)).count();
    let hour_ms = 3_600_000;
    let this_hour = Timestamp::from_millis(real_now().as_millis().div_euclid(hour_ms) * hour_ms);
    let window = Window {
        series: "h".to_owned(),
        from: this_hour.minus(HOUR * 3),
        to: this_hour.plus(HOUR * 2),
        width: HOUR,
    };
    let scope = Scope::new(PIPELINE).expect("a scope");
    let sums = store.counters.sum(&scope, &window).await.expect("the store answers");
    assert!(!sums.is_empty(), "nothing was counted at all");
    for (field, sum) in &sums {
        assert_eq!(sum % BATCH, 0, "ONCE: a batch is counted in part: {sums:?}");
        let batches = usize::try_from(sum / BATCH).expect("a small number");
        let wanted = done..=done + open;
        assert!(wanted.contains(&batches), "ONCE: {field}: {batches} batches of {wanted:?}");
    }
    let mut values = sums.values();
    let first = values.next();
    assert!(values.all(|value| Some(value) == first), "ONCE: counted in part: {sums:?}");
}
