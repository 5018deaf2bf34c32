//! The one who writes: takes what is queued, commits it together, and then answers.
//!
//! A caller who finds the writer idle commits by itself: no other thread has to wake. Where more
//! is queued than that, a thread of its own takes over, and gathers as many as came last time.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, oneshot};

use crate::error::StoreError;
use crate::open::Clock;

use super::committer::Committer;
use super::group::{Group, Memory};
use super::ops::Ops;
use super::tables::failed;

const QUEUE_MAX: usize = 1024; // Callers beyond it wait in line.
const GROUP_MAX: usize = 256; // Bounds a transaction, and how long the first in it waits.

/// How long the thread waits for callers just answered to come back with more: far less than a
/// commit takes.
const GATHER_MAX: Duration = Duration::from_micros(100);

/// Tells one caller what became of its group.
type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;

/// One operation inside the group's transaction; `None` where the database failed it.
type Job = Box<dyn FnOnce(&mut Group<'_>) -> Option<Answer> + Send>;

/// A handle on the writer, whose thread ends when the handle is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    room: Semaphore,
    queue: Mutex<Queue>,
    news: Condvar,
    engine: Mutex<Engine>,
    /// Whether something that was answered is not in the tables yet.
    put_off: AtomicBool,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    wake_at: usize, // The thread is not woken for fewer.
    closed: bool,
}

/// Whoever holds it is the one who writes.
struct Engine {
    committer: Committer,
    clock: Clock,
    memory: Memory,
    last_group: usize,
}

impl Writer {
    pub(super) fn start(committer: Committer, clock: Clock) -> Result<Self, StoreError> {
        let engine = Engine { committer, clock, memory: Memory::default(), last_group: 0 };
        let shared = Arc::new(Shared {
            room: Semaphore::new(QUEUE_MAX),
            queue: Mutex::default(),
            news: Condvar::new(),
            engine: Mutex::new(engine),
            put_off: AtomicBool::new(false),
        });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writing.run())
            .map_err(|e| StoreError::Unavailable(format!("no thread for the store: {e}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Carries `work` out in the next transaction, and answers when it is on disk. An error of
    /// `work` undoes the whole group: what is merely refused is a value, found before the first
    /// write.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Group<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_then(work, |_value| ()).await
    }

    /// Has everything that was answered carried out in the tables, for those who read them.
    pub(super) async fn settle(&self) -> Result<(), StoreError> {
        if !self.shared.put_off.load(Ordering::Acquire) {
            return Ok(());
        }
        self.write(|group| group.transaction().map(drop)).await
    }

    /// As [`Self::write`], and runs `committed` even where the caller has stopped waiting.
    pub(super) async fn write_then<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Group<'_>) -> Result<T, StoreError> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, StoreError> {
        let stopped = || StoreError::Unavailable("the write did not reach the disk".to_owned());
        let (tx, rx) = oneshot::channel();
        let job: Job = Box::new(move |group| match work(group) {
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
        self.shared.room.acquire().await.map_err(|_closed| stopped())?.forget();
        self.shared.push(job);
        rx.await.map_err(|_undone| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        lock(&self.shared.queue).closed = true; // Ends the thread once the queue is empty,
        self.shared.news.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok(); // so that the file is closed when this returns.
        }
        lock(&self.shared.engine).close();
    }
}

impl Shared {
    /// Queues `job`, and commits it right here where nobody else writes.
    fn push(&self, job: Job) {
        let (waiting, wake_at) = {
            let mut queue = lock(&self.queue);
            queue.jobs.push_back(job);
            (queue.jobs.len(), queue.wake_at)
        };
        if waiting == 1
            && may_block()
            && let Some(mut engine) = try_lock(&self.engine)
            && engine.last_group <= 1
        {
            tokio::task::block_in_place(|| self.commit(&mut engine));
            drop(engine);
            if lock(&self.queue).jobs.is_empty() {
                return;
            }
        }
        if waiting >= wake_at {
            self.news.notify_one();
        }
    }

    /// Commits for as long as anything is queued, and waits for more until the store is closed.
    fn run(&self) {
        loop {
            let mut queue = lock(&self.queue);
            while queue.jobs.is_empty() {
                if queue.closed {
                    return;
                }
                queue = self.news.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            drop(queue);
            let mut engine = lock(&self.engine);
            self.gather(engine.last_group.min(GROUP_MAX));
            self.commit(&mut engine);
        }
    }

    /// Waits a moment for as many to come as were answered last.
    fn gather(&self, wanted: usize) {
        let mut queue = lock(&self.queue);
        if queue.jobs.len() >= wanted {
            return;
        }
        queue.wake_at = wanted;
        let few = |queue: &mut Queue| queue.jobs.len() < wanted && !queue.closed;
        let waited = self.news.wait_timeout_while(queue, GATHER_MAX, few);
        waited.unwrap_or_else(PoisonError::into_inner).0.wake_at = 0;
    }

    /// Commits what is queued, and answers.
    fn commit(&self, engine: &mut Engine) {
        let group: Vec<Job> = {
            let mut queue = lock(&self.queue);
            let count = queue.jobs.len().min(GROUP_MAX);
            queue.jobs.drain(..count).collect()
        };
        if group.is_empty() {
            return; // Somebody was faster.
        }
        engine.last_group = group.len();
        self.room.add_permits(group.len());
        let mut answers = Vec::with_capacity(group.len());
        let outcome = engine.commit(group, &mut answers);
        self.put_off.store(!engine.memory.put_off.is_empty(), Ordering::Release);
        if let Err(error) = &outcome {
            tracing::error!(%error, "a group of writes did not reach the disk");
        }
        for answer in answers {
            answer(outcome.as_ref().copied().map_err(ToString::to_string));
        }
    }
}

impl Engine {
    /// Commits all of `group` or, where the database fails any of it, nothing.
    fn commit(&mut self, group: Vec<Job>, answers: &mut Vec<Answer>) -> Result<(), StoreError> {
        let transaction = OnceCell::new();
        let now = (self.clock)();
        let mut working = Group::new(&transaction, &self.committer, &mut self.memory, now);
        for job in group {
            let answer = job(&mut working).ok_or_else(|| {
                StoreError::Unavailable("another write in the same group failed".to_owned())
            })?;
            answers.push(answer);
        }
        let finished = working.finish()?;
        let logged = self.committer.log(&finished.ops)?;
        let transaction = match transaction.into_inner() {
            Some(begun) => begun,
            None if logged => {
                self.memory.put_off(finished);
                return Ok(());
            }
            None => self.memory.begin(&self.committer, &finished.ops)?,
        };
        if finished.ops.is_empty() && self.memory.put_off.is_empty() {
            return transaction.abort().map_err(failed);
        }
        self.committer.commit(transaction, logged)?;
        self.memory.committed(finished);
        Ok(())
    }

    /// Leaves nothing in the log, so that the next one to open has nothing to do. Best effort: what
    /// is not done here is done then.
    fn close(&mut self) {
        if self.committer.is_done() {
            return;
        }
        let checkpoint = self.memory.begin(&self.committer, &Ops::default());
        if let Err(error) = checkpoint.and_then(|last| self.committer.close(last)) {
            tracing::warn!(%error, "the log was not emptied when the store was closed");
        }
    }
}

/// Whether this thread may stop for the time of a commit: others take over what it had to do.
fn may_block() -> bool {
    Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::MultiThread)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
