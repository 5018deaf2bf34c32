//! The one thread that writes: it takes what is queued, commits it together, and then answers.

use std::sync::Arc;
use std::thread::JoinHandle;

use redb::{Database, WriteTransaction};
use tokio::sync::{mpsc, oneshot};
use vocab::Timestamp;

use crate::error::StoreError;
use crate::open::Clock;

use super::expiry;
use super::tables::{begin, failed};

const QUEUE_MAX: usize = 1024; // Callers beyond it wait in line.
const GROUP_MAX: usize = 256; // Bounds a transaction, and how long the first in it waits.

/// Tells one caller what became of its group.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// One operation inside the group's transaction; `None` where the database failed it.
type Job = Box<dyn FnOnce(&WriteTransaction, Timestamp) -> Option<Answer> + Send>;

/// A handle on the writer thread, which ends when the handle is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(database: Arc<Database>, clock: Clock) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&database, queue, &clock))
            .map_err(|e| StoreError::Unavailable(format!("no thread for the store: {e}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Carries `work` out in the next transaction, and answers when it is on disk. An error of
    /// `work` undoes the whole group: what is merely refused is a value, found before the first
    /// write.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTransaction, Timestamp) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_then(work, |_value| ()).await
    }

    /// As [`Self::write`], and runs `committed` even where the caller has stopped waiting.
    pub(super) async fn write_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTransaction, Timestamp) -> Result<T, StoreError> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Unavailable("the write did not reach the disk".to_owned());
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |transaction, now| match work(transaction, now) {
            Ok(value) => Some(Box::new(move |outcome| {
                let answer = outcome.map_err(StoreError::Unavailable).map(|()| {
                    committed(&value);
                    value
                });
                tx.send(answer).ok(); // Best effort because the caller may have gone.
            })),
            Err(error) => {
                tx.send(Err(error)).ok(); // Best effort for the same reason.
                None
            }
        });
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.send(job).await.map_err(|_closed| stopped())?;
        rx.await.map_err(|_undone| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None; // Ends the thread once the queue is empty,
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // so that the file is closed when this returns.
        }
    }
}

fn run(database: &Database, mut queue: mpsc::Receiver<Job>, clock: &Clock) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        let mut answers = Vec::with_capacity(group.len());
        let outcome = commit(database, group, clock(), &mut answers);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a group of writes did not reach the disk");
        }
        for answer in answers {
            answer(outcome.as_ref().copied().map_err(ToString::to_string));
        }
    }
}

/// Commits all of `group` or, where the database fails any of it, nothing.
fn commit(
    database: &Database,
    group: Vec<Job>,
    now: Timestamp,
    answers: &mut Vec<Answer>,
) -> Result<(), StoreError> {
    let transaction = begin(database)?;
    for job in group {
        let answer = job(&transaction, now).ok_or_else(|| {
            StoreError::Unavailable("another write in the same group failed".to_owned())
        })?;
        answers.push(answer);
    }
    expiry::purge(&transaction, now)?;
    transaction.commit().map_err(failed)
}
