//! A state that is the fold of one stream, held in memory and kept current by following it.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use vocab::{Actor, Timestamp};

use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Journal, RequestKey};
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
    writing: Mutex<()>,
    connected: AtomicBool,
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
            writing: Mutex::new(()),
            connected: AtomicBool::new(true),
        });
        replica.catch_up().await?;
        let weak = Arc::downgrade(&replica);
        tokio::spawn(async move {
            while let Some(replica) = weak.upgrade() {
                replica.follow_once().await;
            }
        });
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
    /// faster, decides again on the newer state. Nothing decided means nothing to do.
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
            let drafts = decide(&snapshot.state, snapshot.version).map_err(WriteError::Refused)?;
            if drafts.is_empty() {
                return Ok(Executed { snapshot, records: Vec::new() });
            }
            match self.journal.append(&self.stream, &append(command, &snapshot, drafts)).await {
                Ok(appended) => {
                    self.catch_up_with(&appended.records).await?;
                    return Ok(Executed { snapshot: self.snapshot(), records: appended.records });
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
        if records.first().is_some_and(|first| first.version == next) {
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

    /// Folds records in. Those already known are skipped: two readers may bring the same ones.
    fn absorb(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            if record.version <= current.version {
                continue;
            }
            if record.version != current.version + 1 || record.previous != current.hash {
                return Err(StoreError::Corrupt(format!(
                    "record {} of stream {} does not follow record {}",
                    record.version, self.stream, current.version
                )));
            }
            Arc::make_mut(&mut current.state).apply(record).map_err(|why| {
                StoreError::Corrupt(format!(
                    "record {} of stream {}: {why}",
                    record.version, self.stream
                ))
            })?;
            current.version = record.version;
            current.hash = record.hash;
        }
        self.changed.send_replace(current.version);
        Ok(())
    }

    async fn follow_once(&self) {
        let seen = self.snapshot().version;
        let waited = self.journal.wait(&self.stream, seen, PATIENCE).await;
        let outcome = match waited {
            Ok(version) if version > self.snapshot().version => self.catch_up().await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        let connected = outcome.is_ok();
        let was_connected = self.connected.swap(connected, Ordering::Relaxed);
        if let Err(error) = outcome {
            if was_connected {
                tracing::error!(stream = %self.stream, %error, "lost touch with the store");
            }
            tokio::time::sleep(RETRY_DELAY).await;
        } else if !was_connected {
            tracing::info!(stream = %self.stream, "back in touch with the store");
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
