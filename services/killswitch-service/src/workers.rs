//! The workers of this replica: who is connected, who has just gone, what each has applied.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::killswitch::worker::Breaker;
use tokio::sync::watch;

use crate::breaker::Standing;
use crate::propagation::{Change, Propagation};

const WORKERS_MAX: usize = 20_000; // Bounds memory; a worker is one process.
const CHANGES_MAX: usize = 32; // Older epochs are forgotten: nobody waits for them any more.

/// What is known of a worker. Instants are the process's own monotonic clock.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) pipeline: String,
    pub(crate) connected: bool,
    pub(crate) applied_epoch: u64,
    pub(crate) apply_time: Option<Duration>,
    pub(crate) heard_at: Duration,
    pub(crate) breaker: Breaker,
    /// How long it may go on at most after it was last in touch.
    silence_max: Duration,
    connected_at: Duration,
    touched_at: Duration,
    sent: Option<(u64, Duration)>,
}

#[derive(Debug, Default)]
struct Known {
    by_connection: BTreeMap<u64, Worker>,
    next: u64,
    /// How many of them have gone.
    gone: usize,
    changes: VecDeque<Change>,
}

/// Workers by connection.
#[derive(Debug)]
pub(crate) struct Workers {
    known: Mutex<Known>,
    changed: watch::Sender<u64>,
}

/// There are too many workers.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Worker {
    /// When it has stopped at the latest, whatever has become of it.
    fn gone_at(&self) -> Duration {
        self.touched_at.saturating_add(self.silence_max)
    }
}

impl Known {
    /// Forgets those that have gone and may not work on any more.
    fn prune(&mut self, now: Duration) {
        self.keep(|worker| worker.gone_at() > now);
    }

    /// Of those that have gone, keeps these. With nobody gone there is nothing to look through.
    fn keep(&mut self, kept: impl Fn(&Worker) -> bool) {
        if self.gone > 0 {
            self.by_connection.retain(|_, worker| worker.connected || kept(worker));
            let connected = self.by_connection.values().filter(|worker| worker.connected);
            self.gone = self.by_connection.len() - connected.count();
        }
    }

    fn worker(&mut self, connection: u64) -> Option<&mut Worker> {
        self.by_connection.get_mut(&connection)
    }
}

impl Workers {
    pub(crate) fn new() -> Self {
        Self { known: Mutex::default(), changed: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a worker in. It takes the place of one of its name that has gone.
    pub(crate) fn connect(&self, id: &str, pipeline: &str, now: Duration) -> Result<u64, TooMany> {
        let mut known = self.lock();
        if known.by_connection.len() >= WORKERS_MAX {
            known.prune(now);
        }
        if known.by_connection.len() >= WORKERS_MAX {
            return Err(TooMany);
        }
        known.keep(|worker| worker.id != id);
        let connection = known.next;
        known.next += 1;
        let worker = Worker {
            id: id.to_owned(),
            pipeline: pipeline.to_owned(),
            connected: true,
            applied_epoch: 0,
            apply_time: None,
            heard_at: now,
            breaker: Breaker::Unspecified,
            silence_max: Duration::ZERO,
            connected_at: now,
            touched_at: now,
            sent: None,
        };
        known.by_connection.insert(connection, worker);
        Ok(connection)
    }

    pub(crate) fn disconnect(&self, connection: u64, now: Duration) {
        let mut known = self.lock();
        if let Some(worker) = known.worker(connection) {
            worker.connected = false;
            worker.touched_at = now;
            known.gone += 1;
        }
        known.prune(now);
        drop(known);
        self.touch();
    }

    /// Notes what is sent, and how long the worker may go on with it.
    pub(crate) fn sent(&self, connection: u64, epoch: u64, silence_max: Duration, now: Duration) {
        if let Some(worker) = self.lock().worker(connection) {
            worker.silence_max = silence_max;
            worker.touched_at = now;
            if worker.sent.is_none_or(|(sent, _)| sent < epoch) {
                worker.sent = Some((epoch, now));
            }
        }
    }

    pub(crate) fn heard(&self, connection: u64, now: Duration) {
        if let Some(worker) = self.lock().worker(connection) {
            worker.heard_at = now;
            worker.touched_at = now;
        }
    }

    pub(crate) fn breaker(&self, connection: u64, breaker: Breaker, now: Duration) {
        if let Some(worker) = self.lock().worker(connection) {
            worker.heard_at = now;
            worker.breaker = breaker;
        }
    }

    /// Notes that an epoch is in force from now on.
    pub(crate) fn changed(&self, epoch: u64, now: Duration) {
        let mut known = self.lock();
        if known.changes.back().is_none_or(|last| last.epoch < epoch) {
            known.changes.push_back(Change { epoch, at: now, acknowledged: Vec::new() });
            if known.changes.len() > CHANGES_MAX {
                known.changes.pop_front();
            }
        }
    }

    /// Notes what a worker has applied. Returns how long it took from the newest change that is
    /// acknowledged by this, if it is news.
    pub(crate) fn acknowledged(
        &self,
        connection: u64,
        epoch: u64,
        now: Duration,
    ) -> Option<Duration> {
        let mut newest = None;
        let mut known = self.lock();
        let Known { by_connection, changes, .. } = &mut *known;
        if let Some(worker) = by_connection.get_mut(&connection) {
            worker.heard_at = now;
            if epoch >= worker.applied_epoch {
                for change in changes.iter_mut().rev() {
                    if change.epoch <= worker.applied_epoch || change.at < worker.connected_at {
                        break;
                    }
                    if change.epoch <= epoch {
                        let taken = now.saturating_sub(change.at);
                        change.acknowledged.push(taken);
                        newest = newest.or(Some(taken));
                    }
                }
                worker.apply(epoch, now);
            }
        }
        drop(known);
        self.touch();
        newest
    }

    pub(crate) fn list(&self, now: Duration) -> Vec<Worker> {
        let mut known = self.lock();
        known.prune(now);
        known.by_connection.values().cloned().collect()
    }

    /// How the breakers of each pipeline's connected workers stand.
    pub(crate) fn fleets(&self) -> BTreeMap<String, Standing> {
        let mut fleets = BTreeMap::<String, Standing>::new();
        let known = self.lock();
        for worker in known.by_connection.values().filter(|worker| worker.connected) {
            // Looked up first: a name is copied once for a fleet, not for each of its workers.
            if !fleets.contains_key(&worker.pipeline) {
                fleets.insert(worker.pipeline.clone(), Standing::default());
            }
            if let Some(standing) = fleets.get_mut(&worker.pipeline) {
                standing.connected += 1;
                if worker.breaker == Breaker::Open {
                    standing.open.push(worker.id.clone());
                }
            }
        }
        fleets
    }

    /// How far an epoch has got.
    pub(crate) fn propagation(&self, epoch: u64, now: Duration) -> Propagation {
        let mut known = self.lock();
        known.prune(now);
        let change = known.changes.iter().find(|change| change.epoch == epoch).cloned();
        let workers = known.by_connection.values();
        let (applied, pending): (Vec<_>, Vec<_>) =
            workers.partition(|worker| worker.applied_epoch >= epoch);
        let silence_max = pending.iter().map(|worker| worker.silence_max).max();
        Propagation::new(
            change,
            applied.len(),
            pending.into_iter().cloned().collect(),
            silence_max.unwrap_or_default(),
        )
    }

    pub(crate) fn connections(&self, pipeline: &str) -> Vec<u64> {
        let known = self.lock();
        let connected = known.by_connection.iter().filter(|(_, worker)| worker.connected);
        let own = connected.filter(|(_, worker)| worker.pipeline == pipeline);
        own.map(|(connection, _)| *connection).collect()
    }

    /// How many of the connections have applied `epoch`, and the slowest of them.
    pub(crate) fn applied(&self, connections: &[u64], epoch: u64) -> (usize, Duration) {
        let known = self.lock();
        let workers = connections.iter().filter_map(|one| known.by_connection.get(one));
        let applied: Vec<_> = workers.filter(|worker| worker.applied_epoch >= epoch).collect();
        let slowest = applied.iter().filter_map(|worker| worker.apply_time).max();
        (applied.len(), slowest.unwrap_or_default())
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl Worker {
    fn apply(&mut self, epoch: u64, now: Duration) {
        // A heartbeat is acknowledged too, and says nothing about how long applying took.
        let news = epoch > self.applied_epoch || self.apply_time.is_none();
        self.applied_epoch = epoch;
        if let Some((sent, at)) = self.sent
            && sent == epoch
            && news
        {
            self.apply_time = Some(now.saturating_sub(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn worker(workers: &Workers, id: &str) -> u64 {
        workers.connect(id, "ingestion_v2", Duration::ZERO).unwrap()
    }

    #[test]
    fn the_time_to_apply_is_that_of_the_first_acknowledgement() {
        let workers = Workers::new();
        let connection = worker(&workers, "worker-1");
        workers.sent(connection, 7, SECOND, SECOND);
        workers.acknowledged(connection, 7, SECOND * 2);
        workers.acknowledged(connection, 7, SECOND * 9);
        assert_eq!(workers.applied(&[connection], 7), (1, SECOND));
        assert_eq!(workers.applied(&[connection], 8).0, 0);
    }

    #[test]
    fn a_worker_that_has_gone_counts_until_its_lease_is_over() {
        let workers = Workers::new();
        let connection = worker(&workers, "worker-1");
        workers.sent(connection, 7, SECOND * 10, SECOND);
        workers.disconnect(connection, SECOND * 2);
        assert!(workers.connections("ingestion_v2").is_empty());
        assert_eq!(workers.propagation(7, SECOND * 11).pending.len(), 1);
        assert_eq!(workers.propagation(7, SECOND * 12).pending.len(), 0);
    }

    #[test]
    fn a_worker_that_comes_back_takes_its_own_place() {
        let workers = Workers::new();
        let connection = worker(&workers, "worker-1");
        workers.sent(connection, 7, SECOND * 10, SECOND);
        workers.disconnect(connection, SECOND);
        worker(&workers, "worker-1");
        assert_eq!(workers.list(SECOND).len(), 1);
    }

    #[test]
    fn the_spread_of_a_change_is_told_in_quantiles_and_by_who_lacks_it() {
        let workers = Workers::new();
        let all: Vec<_> = (0..100).map(|n| worker(&workers, &format!("worker-{n}"))).collect();
        workers.changed(3, SECOND);
        for (place, connection) in all.iter().enumerate().skip(1) {
            let after = SECOND * u32::try_from(place).unwrap();
            workers.sent(*connection, 3, SECOND * 10, SECOND);
            workers.acknowledged(*connection, 3, SECOND + after);
        }
        workers.sent(all[0], 3, SECOND * 10, SECOND);
        let spread = workers.propagation(3, SECOND * 100);
        assert_eq!((spread.applied, spread.pending.len()), (99, 1));
        assert_eq!(spread.quantiles, Some((SECOND * 50, SECOND * 99, SECOND * 99)));
        assert_eq!(spread.proven_at, SECOND * 12);
        // Who came after the change says nothing of how fast it spreads.
        let late = workers.connect("late", "ingestion_v2", SECOND * 100).unwrap();
        workers.acknowledged(late, 3, SECOND * 101);
        assert_eq!(workers.propagation(3, SECOND * 101).quantiles, spread.quantiles);
    }
}
