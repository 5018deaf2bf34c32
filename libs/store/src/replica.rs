//! A state that is the fold of one stream, held in memory and kept current by following it.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use vocab::{Actor, Timestamp};

use crate::chain;
use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Head, Journal, RequestKey};
use crate::record::{Draft, Hash, Record, StreamName, Version};

const PAGE: usize = 500; // Bounds memory while replaying.
const ATTEMPTS_MAX: usize = 32; // Against other replicas; each loss means somebody else won.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// A state that a stream's records fold into.
pub trait Projection: Clone + Default + Debug + Send + Sync + 'static {
    /// Applies one record. What happened is never refused.
    ///
    /// # Errors
    /// Says why the record cannot be read at all.
    fn apply(&mut self, record: &Record) -> Result<(), String>;
}

/// A state and the version of its stream that it reflects.
#[derive(Debug, Clone)]
pub struct Snapshot<S> {
    /// The version of the last record applied.
    pub version: Version,
    /// The state.
    pub state: Arc<S>,
    hash: Hash,
}

/// Who gives a command, when and why: what every record of it carries.
#[derive(Debug, Clone)]
pub struct Command {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Why; may be empty.
    pub reason: String,
    /// The W3C `traceparent`, or empty.
    pub traceparent: String,
    /// Makes a repetition harmless.
    pub request: Option<RequestKey>,
}

/// What came of a command.
#[derive(Debug, Clone)]
pub struct Executed<S> {
    /// The state after it.
    pub snapshot: Snapshot<S>,
    /// The records it caused; none where the wanted state was already there.
    pub records: Vec<Record>,
}

/// Why a command did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The decision was no.
    #[error("refused")]
    Refused(E),
    /// The request id was used before, for another command.
    #[error("request id {0} was used before with other contents")]
    RequestReused(String),
    /// Other replicas won every time.
    #[error("too many concurrent changes")]
    Contended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The fold of one stream, current as far as this process knows.
#[derive(Debug)]
pub struct Replica<S> {
    journal: Arc<dyn Journal>,
    stream: StreamName,
    current: RwLock<Snapshot<S>>,
    changed: watch::Sender<Version>,
    absorbing: Mutex<()>,
    writing: tokio::sync::Mutex<()>,
    connected: AtomicBool,
    follower: OnceLock<AbortHandle>,
}

impl<S: Projection> Replica<S> {
    /// Replays `stream` and keeps following it until the last handle is dropped.
    ///
    /// # Errors
    /// Fails where the stream cannot be read or does not verify.
    pub async fn open(
        journal: Arc<dyn Journal>,
        stream: StreamName,
    ) -> Result<Arc<Self>, StoreError> {
        let empty = Snapshot { version: 0, state: Arc::new(S::default()), hash: Hash::default() };
        let replica = Arc::new(Self {
            journal,
            stream,
            current: RwLock::new(empty),
            changed: watch::Sender::new(0),
            absorbing: Mutex::new(()),
            writing: tokio::sync::Mutex::new(()),
            connected: AtomicBool::new(true),
            follower: OnceLock::new(),
        });
        replica.catch_up().await?;
        let following = tokio::spawn(follow(Arc::downgrade(&replica)));
        replica.follower.get_or_init(|| following.abort_handle());
        Ok(replica)
    }

    /// The state as this process knows it. Never waits on the store.
    pub fn snapshot(&self) -> Snapshot<S> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells of every new version.
    pub fn changes(&self) -> watch::Receiver<Version> {
        self.changed.subscribe()
    }

    /// False while the store cannot be reached or has lost data: the state may be stale.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    /// Reads up to `limit` records after `after`.
    ///
    /// # Errors
    /// As [`Journal::read`].
    pub async fn records(&self, after: Version, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.journal.read(&self.stream, after, limit).await
    }

    /// Decides on the current state and appends what was decided; where another replica was
    /// faster, decides again on the newer state. Nothing decided means nothing to do. Neither
    /// that nor a refusal is ever answered from a state that the stream has left behind.
    ///
    /// Must not be dropped half-way: run it in a task of its own.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn execute<E>(
        &self,
        command: &Command,
        mut decide: impl FnMut(&S, Version) -> Result<Vec<Draft>, E>,
    ) -> Result<Executed<S>, WriteError<E>> {
        let _one_at_a_time = self.writing.lock().await;
        if let Some(request) = &command.request {
            let found = self.journal.find(&self.stream, request).await.map_err(WriteError::from)?;
            if let Some(records) = found {
                self.catch_up().await?;
                return Ok(Executed { snapshot: self.snapshot(), records });
            }
        }
        for _attempt in 0..ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let decided = decide(&snapshot.state, snapshot.version);
            if !matches!(&decided, Ok(drafts) if !drafts.is_empty()) {
                self.catch_up().await?;
                if self.snapshot().version != snapshot.version {
                    continue; // Decided on a state that was over.
                }
            }
            let drafts = decided.map_err(WriteError::Refused)?;
            if drafts.is_empty() {
                return Ok(Executed { snapshot, records: Vec::new() });
            }
            match self.journal.append(&self.stream, &append(command, &snapshot, drafts)).await {
                Ok(appended) => {
                    self.catch_up_with(&appended.records).await?;
                    return Ok(Executed { snapshot: self.snapshot(), records: appended.records });
                }
                Err(AppendError::Conflict { expected, actual }) if actual < expected => {
                    return Err(chain::lost(&self.stream, expected, actual).into());
                }
                Err(AppendError::Conflict { .. }) => self.catch_up().await?,
                Err(other) => return Err(other.into()),
            }
        }
        Err(WriteError::Contended)
    }

    /// Applies records just written, without reading them again where they follow directly.
    async fn catch_up_with(&self, records: &[Record]) -> Result<(), StoreError> {
        let next = self.snapshot().version + 1;
        if records.first().is_some_and(|first| first.version <= next) {
            return self.absorb(records);
        }
        self.catch_up().await
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            let after = self.snapshot().version;
            let page = self.journal.read(&self.stream, after, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            self.absorb(&page)?;
        }
    }

    /// Folds records in, all or none. Those already known are skipped: two readers may bring the
    /// same ones. Readers of the state wait for the exchange of a pointer only.
    fn absorb(&self, records: &[Record]) -> Result<(), StoreError> {
        let _one_at_a_time = self.absorbing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.snapshot();
        let before = next.version;
        for record in records.iter().filter(|record| record.version > before) {
            let last = Head { version: next.version, hash: next.hash };
            chain::check(&self.stream, last, std::slice::from_ref(record))?;
            Arc::make_mut(&mut next.state).apply(record).map_err(|why| {
                StoreError::Corrupt(format!(
                    "record {} of stream {}: {why}",
                    record.version, self.stream
                ))
            })?;
            next.version = record.version;
            next.hash = record.hash;
        }
        if next.version > before {
            let version = next.version;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
            self.changed.send_replace(version);
        }
        Ok(())
    }

    /// Notes how the last look at the stream went, and says so where that changed.
    fn note(&self, outcome: &Result<(), StoreError>) {
        let was_connected = self.connected.swap(outcome.is_ok(), Ordering::Relaxed);
        match outcome {
            Err(error) if was_connected => {
                tracing::error!(stream = %self.stream, %error, "lost touch with the store");
            }
            Ok(()) if !was_connected => {
                tracing::info!(stream = %self.stream, "back in touch with the store");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl<S> Drop for Replica<S> {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.get() {
            follower.abort(); // It holds the journal while it waits.
        }
    }
}

/// Follows the stream until the replica is gone. Holds on to it only while there is news.
async fn follow<S: Projection>(replica: Weak<Replica<S>>) {
    while let Some(current) = replica.upgrade() {
        let (journal, stream) = (Arc::clone(&current.journal), current.stream.clone());
        let seen = current.snapshot().version;
        drop(current);
        let waited = journal.wait(&stream, seen, PATIENCE).await;
        let Some(current) = replica.upgrade() else { return };
        let outcome = match waited {
            Ok(version) if version > current.snapshot().version => current.catch_up().await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        current.note(&outcome);
        drop(current);
        if outcome.is_err() {
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}

fn append<S>(command: &Command, snapshot: &Snapshot<S>, drafts: Vec<Draft>) -> Append {
    Append {
        expected: snapshot.version,
        time: command.time,
        actor: command.actor.clone(),
        reason: command.reason.clone(),
        traceparent: command.traceparent.clone(),
        request: command.request.clone(),
        drafts,
    }
}

impl<E> From<AppendError> for WriteError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } => Self::Contended,
            AppendError::RequestReused { id } => Self::RequestReused(id),
            AppendError::Store(error) => Self::Store(error),
        }
    }
}
