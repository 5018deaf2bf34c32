//! From an engagement acknowledged to the last watcher that holds it.

use std::time::Duration;

use tokio::time::Instant;

use crate::Error;
use crate::fleet::Fleet;
use crate::measure::{Samples, report};
use crate::operator::Operator;
use crate::process::Server;

const ROUNDS: usize = 15;
const REST: Duration = Duration::from_millis(500); // Acknowledgements are over by then.
const LAST_MAX: f64 = 1.5;
const P99_MAX: f64 = 1.5;
const REASON: &str = "the numbers of yesterday are wrong";

/// A server, its watchers, and how they fared.
struct Side {
    server: Server,
    operator: Operator,
    fleet: Fleet,
    memory_kib: u64,
    last: Samples,
    p99: Samples,
    spread: Samples,
    spread_p99: Samples,
}

impl Side {
    async fn start(arguments: &[&str], watchers: usize) -> Result<Self, Error> {
        let server = Server::start(arguments).await?;
        let operator = Operator::connect(&server.address).await?;
        let before = server.resident_kib()?;
        let mut fleet = Fleet::connect(&server.address, watchers).await?;
        fleet.hold(0).await?;
        tokio::time::sleep(REST).await;
        let memory_kib = server.resident_kib()?.saturating_sub(before);
        let (last, p99, spread, spread_p99) = Default::default();
        Ok(Self { server, operator, fleet, memory_kib, last, p99, spread, spread_p99 })
    }

    /// Engages, sees every watcher hold it, and releases. Returns the size of what was sent.
    async fn round(&mut self, reason: &str) -> Result<usize, Error> {
        let engaged = self.operator.engage(reason).await?;
        let acknowledged = Instant::now();
        let (instants, size) = self.fleet.hold(engaged.epoch).await?;
        let after = |at: &Instant| at.saturating_duration_since(acknowledged);
        let times: Samples = instants.iter().map(after).collect();
        self.last.push(times.quantile(100));
        self.p99.push(times.quantile(99));
        if let Some(first) = instants.iter().min() {
            let after = |at: &Instant| at.saturating_duration_since(*first);
            let times: Samples = instants.iter().map(after).collect();
            self.spread.push(times.quantile(100));
            self.spread_p99.push(times.quantile(99));
        }
        tokio::time::sleep(REST).await;
        let released = self.operator.release(engaged.epoch).await?;
        self.fleet.hold(released.epoch).await?;
        tokio::time::sleep(REST).await;
        Ok(size)
    }

    /// Forgets what warming up took.
    fn forget(&mut self) {
        (self.last, self.p99, self.spread, self.spread_p99) = Default::default();
    }
}

/// As many watchers of the kill-switch service as of a bare broadcast of as many bytes. Besides the
/// time from the acknowledgement, the time from the first watcher to the last is told: an engagement
/// is sent out before its acknowledgement has arrived, which flatters the former.
pub(crate) async fn beside_a_bare_broadcast(watchers: usize) -> Result<(), Error> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().to_str().ok_or("a directory with a strange name")?;
    let mut ours = Side::start(&["product", path], watchers).await?;
    let mut bare = Side::start(&["bare"], watchers).await?;
    let size = ours.round(REASON).await?;
    let lacking = size.saturating_sub(bare.round(REASON).await?);
    // A little more text, until as many bytes are sent.
    let padded = format!("{REASON}{}", "!".repeat(lacking));
    let padded_size = bare.round(&padded).await?;
    ours.forget();
    bare.forget();
    for _round in 0..ROUNDS {
        ours.round(REASON).await?;
        bare.round(&padded).await?;
    }
    println!("{watchers} watchers, {size} bytes each, bare {padded_size} bytes:");
    report("  acknowledged to the last", ours.last.median(), bare.last.median(), LAST_MAX);
    report("  acknowledged to the 99th percentile", ours.p99.median(), bare.p99.median(), P99_MAX);
    report("  the first to the last", ours.spread.median(), bare.spread.median(), LAST_MAX);
    let (ours_p99, bare_p99) = (ours.spread_p99.median(), bare.spread_p99.median());
    report("  the first to the 99th percentile", ours_p99, bare_p99, P99_MAX);
    let each = |side: &Side| side.memory_kib * 1_024 / u64::try_from(watchers).unwrap_or(1);
    println!(
        "  memory of the server per watcher: {} bytes, bare {} bytes",
        each(&ours),
        each(&bare)
    );
    println!("  memory of the server: {} KiB", ours.server.resident_kib()?);
    Ok(())
}
