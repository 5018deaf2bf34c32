//! The workers connected to this replica, and what each has applied.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

const WORKERS_MAX: usize = 20_000; // Bounds memory; a worker is one process.

/// What is known of a worker.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) pipeline: String,
    pub(crate) applied_epoch: u64,
    pub(crate) apply_time: Option<Duration>,
    sent: Option<(u64, Duration)>,
}

/// Connected workers by connection.
#[derive(Debug)]
pub(crate) struct Workers {
    by_connection: Mutex<BTreeMap<u64, (String, Worker)>>,
    changed: watch::Sender<u64>,
}

/// There are too many workers.
#[derive(Debug)]
pub(crate) struct TooMany;

impl Workers {
    pub(crate) fn new() -> Self {
        Self { by_connection: Mutex::default(), changed: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (String, Worker)>> {
        self.by_connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn connect(&self, id: &str, pipeline: &str) -> Result<u64, TooMany> {
        let mut workers = self.lock();
        if workers.len() >= WORKERS_MAX {
            return Err(TooMany);
        }
        let connection = workers.last_key_value().map_or(0, |(last, _)| last + 1);
        let pipeline = pipeline.to_owned();
        let worker = Worker { pipeline, applied_epoch: 0, apply_time: None, sent: None };
        workers.insert(connection, (id.to_owned(), worker));
        Ok(connection)
    }

    pub(crate) fn disconnect(&self, connection: u64) {
        self.lock().remove(&connection);
        self.touch();
    }

    pub(crate) fn sent(&self, connection: u64, epoch: u64, now: Duration) {
        if let Some((_, worker)) = self.lock().get_mut(&connection)
            && worker.sent.is_none_or(|(sent, _)| sent < epoch)
        {
            worker.sent = Some((epoch, now));
        }
    }

    pub(crate) fn acknowledged(&self, connection: u64, epoch: u64, now: Duration) {
        if let Some((_, worker)) = self.lock().get_mut(&connection)
            && epoch >= worker.applied_epoch
        {
            // A heartbeat is acknowledged too, and says nothing about how long applying took.
            let news = epoch > worker.applied_epoch || worker.apply_time.is_none();
            worker.applied_epoch = epoch;
            if let Some((sent, at)) = worker.sent
                && sent == epoch
                && news
            {
                worker.apply_time = Some(now.saturating_sub(at));
            }
        }
        self.touch();
    }

    pub(crate) fn list(&self) -> Vec<(String, Worker)> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn connections(&self, pipeline: &str) -> Vec<u64> {
        let workers = self.lock();
        let own = workers.iter().filter(|(_, (_, worker))| worker.pipeline == pipeline);
        own.map(|(connection, _)| *connection).collect()
    }

    /// How many of the connections have applied `epoch`, and the slowest of them.
    pub(crate) fn applied(&self, connections: &[u64], epoch: u64) -> (usize, Duration) {
        let workers = self.lock();
        let applied = connections.iter().filter_map(|connection| workers.get(connection));
        let applied: Vec<_> = applied.filter(|(_, worker)| worker.applied_epoch >= epoch).collect();
        let slowest = applied.iter().filter_map(|(_, worker)| worker.apply_time).max();
        (applied.len(), slowest.unwrap_or_default())
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_apply_is_that_of_the_first_acknowledgement() {
        let workers = Workers::new();
        let connection = workers.connect("worker-1", "ingestion_v2").unwrap();
        let second = Duration::from_secs(1);
        workers.sent(connection, 7, second);
        workers.acknowledged(connection, 7, second * 2);
        workers.acknowledged(connection, 7, second * 9);
        assert_eq!(workers.applied(&[connection], 7), (1, second));
        assert_eq!(workers.applied(&[connection], 8).0, 0);
    }
}
