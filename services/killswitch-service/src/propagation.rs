//! How far an epoch has got.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::worker::Breaker;
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::wire::{signed, wire_time};
use vocab::Timestamp;

use crate::app::App;
use crate::error::DOMAIN;
use crate::workers::Worker;

const PENDING_MAX: usize = 100; // In a reply; all are counted.
const MARGIN: Duration = Duration::from_secs(1); // For clocks that run at different speeds.

/// An epoch that came into force while this process watched.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) epoch: u64,
    pub(crate) at: Duration,
    /// Time to each acknowledgement of those that were connected, in order of arrival.
    pub(crate) acknowledged: Vec<Duration>,
}

/// How far an epoch has got among the workers of this replica.
#[derive(Debug)]
pub(crate) struct Propagation {
    pub(crate) applied: usize,
    pub(crate) pending: Vec<Worker>,
    /// Median, 99th percentile and maximum of the time to apply.
    pub(crate) quantiles: Option<(Duration, Duration, Duration)>,
    /// From then on nobody works on a permission from before.
    pub(crate) proven_at: Duration,
}

impl Propagation {
    /// `silence_max`: how long those that lack it may go on at most. A change that was not watched
    /// was in force before this process began.
    pub(crate) fn new(
        change: Option<Change>,
        applied: usize,
        pending: Vec<Worker>,
        silence_max: Duration,
    ) -> Self {
        let (at, mut acknowledged) =
            change.map_or((Duration::ZERO, Vec::new()), |change| (change.at, change.acknowledged));
        acknowledged.sort_unstable();
        let quantiles = acknowledged
            .last()
            .map(|last| (quantile(&acknowledged, 50), quantile(&acknowledged, 99), *last));
        let slowest = acknowledged.last().copied().unwrap_or_default();
        let proven_at = if pending.is_empty() { at + slowest } else { at + silence_max + MARGIN };
        Self { applied, pending, quantiles, proven_at }
    }
}

/// The smallest value that so many percent are not above.
fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl App {
    pub(crate) fn propagation(&self, epoch: i64) -> Result<pb::Propagation, Fault> {
        let newest = self.in_force.told().epoch;
        let asked =
            u64::try_from(epoch).ok().filter(|epoch| *epoch <= newest).ok_or_else(|| {
                let why = format!("{epoch} is not an epoch so far: the newest is {newest}");
                Fault::field(DOMAIN, "epoch", why)
            })?;
        let epoch = if asked == 0 { newest } else { asked };
        let now = self.clock.monotonic();
        let found = self.workers.propagation(epoch, now);
        let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let wire = |duration: Duration| duration.try_into().ok();
        let pending = found.pending.iter().take(PENDING_MAX);
        let (p50, p99, max) = found
            .quantiles
            .map_or((None, None, None), |(p50, p99, max)| (Some(p50), Some(p99), Some(max)));
        Ok(pb::Propagation {
            epoch: signed(epoch),
            worker_count: count(found.applied + found.pending.len()),
            applied_count: count(found.applied),
            pending: pending.map(|worker| wire_worker(worker, &self.clock)).collect(),
            apply_duration_p50: p50.and_then(wire),
            apply_duration_p99: p99.and_then(wire),
            apply_duration_max: max.and_then(wire),
            proven_time: Some(wire_time(instant(&self.clock, found.proven_at))),
            proven: found.pending.is_empty() || now >= found.proven_at,
        })
    }
}

/// An instant of the monotonic clock, in the time of the house.
fn instant(clock: &Clock, at: Duration) -> Timestamp {
    let (monotonic, now) = (clock.monotonic(), clock.now());
    let factor = clock.demo().map_or(1, |demo| demo.factor);
    if at >= monotonic {
        now.plus((at - monotonic).saturating_mul(factor))
    } else {
        now.minus((monotonic - at).saturating_mul(factor))
    }
}

/// A worker as it is told.
pub(crate) fn wire_worker(worker: &Worker, clock: &Clock) -> pb::Worker {
    let breaker: Breaker = worker.breaker;
    pb::Worker {
        worker_id: worker.id.clone(),
        pipeline: worker.pipeline.clone(),
        applied_epoch: signed(worker.applied_epoch),
        apply_duration: worker.apply_time.and_then(|time| time.try_into().ok()),
        connected: worker.connected,
        hear_time: Some(wire_time(instant(clock, worker.heard_at))),
        breaker: breaker.into(),
    }
}
