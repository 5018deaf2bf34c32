//! Clocks, samples and what is written.

use std::sync::Arc;
use std::time::Duration;

use store::{Append, Draft, Head, Journal, Location, Store, StreamName};
use tokio::time::Instant;
use vocab::{Actor, Timestamp};

/// The payload of every event, in bytes: about that of a flag change.
pub(crate) const PAYLOAD: usize = 200;

/// The durations of one thing, measured again and again.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Times one turn.
    pub(crate) async fn time<T>(&mut self, turn: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let value = turn.await;
        self.0.push(started.elapsed());
        value
    }

    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted[sorted.len() / 2]
    }
}

/// How many times as long `this` takes as `that`.
pub(crate) fn ratio(this: Duration, that: Duration) -> f64 {
    this.as_secs_f64() / that.as_secs_f64()
}

/// Prints a line of the report, and whether the target is met.
pub(crate) fn report(what: &str, figure: f64, target: &str, met: bool) {
    let verdict = if met { "met" } else { "MISSED" };
    println!("{what}: {figure:.2} (target {target}: {verdict})");
}

pub(crate) async fn open(location: &str) -> Store {
    let location = Location::parse(location).expect("a location of this benchmark");
    let clock = Arc::new(|| Timestamp::from_millis(1_790_000_000_000));
    Store::open(&location, clock).await.expect("a store of this benchmark opens")
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("a stream of this benchmark")
}

/// An append of `count` events behind `expected`.
pub(crate) fn events(expected: Head, count: usize) -> Append {
    let draft = Draft { kind: "SomethingHappened".to_owned(), payload: vec![7; PAYLOAD] };
    Append {
        expected,
        time: Timestamp::from_millis(1_790_000_000_000),
        actor: Actor::system("bench"),
        reason: "because".to_owned(),
        traceparent: String::new(),
        request: None,
        drafts: vec![draft; count],
    }
}

/// Appends `count` events and returns the new head.
pub(crate) async fn append(
    journal: &dyn Journal,
    stream: &StreamName,
    head: Head,
    count: usize,
) -> Head {
    let appended = journal.append(stream, &events(head, count)).await.expect("nobody races");
    let last = appended.records.last().expect("something was appended");
    Head { version: last.version, hash: last.hash }
}
