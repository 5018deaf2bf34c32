//! Reading a long journal from its beginning, as a service does when it starts.

use std::time::Duration;

use store::{Head, Projection, Record, Replica, Store};
use test_kit::RedisServer;
use tokio::time::Instant;

use crate::measure::{append, open, stream};

const EVENTS: u64 = 1_000_000;

/// Counts events: a state that does not grow.
#[derive(Debug, Clone, Default)]
struct Count(u64);

impl Projection for Count {
    fn apply(&mut self, _record: &Record) -> Result<(), String> {
        self.0 += 1;
        Ok(())
    }
}

/// A million events, on each store: the rate, and how much more memory it takes.
pub(crate) async fn a_million_events() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let location = format!("embedded:{}", dir.path().display());
    let store = open(&location).await;
    fill(store).await;
    replay("embedded", location).await;
    let server = RedisServer::start().await;
    fill(open(&server.url()).await).await;
    replay("Redis", server.url()).await;
}

async fn fill(store: Store) {
    let (stream, mut head) = (stream("long"), Head::default());
    while head.version < EVENTS {
        head = append(&*store.journal, &stream, head, 100).await;
    }
}

async fn replay(kind: &'static str, location: String) {
    let store = open(&location).await;
    std::fs::write("/proc/self/clear_refs", "5").ok(); // Forgets the peak, where that is allowed.
    let (memory, started) = (peak_memory_kib(), Instant::now());
    let replica =
        Replica::<Count>::open(store.journal.clone(), stream("long")).await.expect("it verifies");
    let took: Duration = started.elapsed();
    assert_eq!(replica.snapshot().state.0, EVENTS, "every event was replayed");
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = EVENTS as f64 / took.as_secs_f64();
    let more = peak_memory_kib().saturating_sub(memory);
    println!("replay from {kind}: {EVENTS} events, {rate:.0}/s, {more} KiB more memory at most");
}

/// The most memory this process held since the peak was forgotten.
fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
