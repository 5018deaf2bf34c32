//! A state that is the fold of one stream, held in memory and kept current by following it.

use std::fmt::Debug;
use std::mem::discriminant;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use vocab::{Actor, Timestamp};

use crate::chain;
use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Appended, Journal, RequestKey};
use crate::record::{Draft, Record, StreamName, Version};
use crate::snapshot::{Projection, Snapshot};

const PAGE: usize = 500; // Bounds memory while replaying.
const ATTEMPTS_MAX: usize = 32; // Against other replicas; each loss means somebody else won.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// How a replica stands to its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It follows the stream.
    Following,
    /// The store cannot be reached, for this reason: the state may be stale.
    Stale(String),
    /// The store no longer holds what this replica saw: an alarm. The state is what was
    /// acknowledged; every command is refused until the stream is back or the process is started
    /// anew.
    DataLost(String),
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
    /// The state after it; of a repeated request, the state after the first.
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
    current: ArcSwap<Snapshot<S>>,
    changed: watch::Sender<Version>,
    absorbing: Mutex<()>,
    writing: tokio::sync::Mutex<()>,
    condition: Mutex<Condition>,
    is_following: AtomicBool,
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
        let replica = Arc::new(Self {
            journal,
            stream,
            current: ArcSwap::default(),
            changed: watch::Sender::new(0),
            absorbing: Mutex::new(()),
            writing: tokio::sync::Mutex::new(()),
            condition: Mutex::new(Condition::Following),
            is_following: AtomicBool::new(true),
            follower: OnceLock::new(),
        });
        replica.catch_up().await?;
        let following = tokio::spawn(follow(Arc::downgrade(&replica)));
        replica.follower.get_or_init(|| following.abort_handle());
        Ok(replica)
    }

    /// The state as this process knows it. Never waits on the store.
    pub fn snapshot(&self) -> Snapshot<S> {
        Snapshot::clone(&self.current.load())
    }

    /// Looks at the state where it lies: those who look share nothing that one of them changes, so
    /// that they do not wait for each other.
    pub fn read<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.current.load().state)
    }

    /// Tells of every new version.
    pub fn changes(&self) -> watch::Receiver<Version> {
        self.changed.subscribe()
    }

    /// False while the store cannot be reached or has lost data: the state may be stale.
    pub fn is_connected(&self) -> bool {
        self.is_following.load(Ordering::Acquire)
    }

    /// How this replica stands to its stream, as of the last look at it.
    pub fn condition(&self) -> Condition {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stream that this replica follows.
    pub const fn stream(&self) -> &StreamName {
        &self.stream
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
    /// that nor a refusal is ever answered from a state that the stream has left behind. A
    /// request carried out before is answered as the first time, and nothing is decided.
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
        let one_at_a_time = self.writing.lock().await;
        if let Some(first) = self.first_answer(command).await? {
            drop(one_at_a_time); // Folding a long stream anew holds up nobody else.
            return Ok(self.as_then(first).await?);
        }
        for _attempt in 0..ATTEMPTS_MAX {
            let snapshot = self.snapshot();
            let decided = decide(&snapshot.state, snapshot.version);
            let nothing = matches!(&decided, Ok(drafts) if drafts.is_empty());
            if decided.is_err() || nothing {
                self.catch_up().await?;
                if self.snapshot().version != snapshot.version {
                    continue; // Decided on a state that was over.
                }
            }
            let drafts = match decided {
                Ok(drafts) => drafts,
                // What stands in its way may be what it did itself, over another replica.
                Err(refusal) => match self.first_answer(command).await? {
                    Some(first) => {
                        drop(one_at_a_time);
                        return Ok(self.as_then(first).await?);
                    }
                    None => return Err(WriteError::Refused(refusal)),
                },
            };
            if nothing && command.request.is_none() {
                // Another replica may have written what this is answered from a moment ago.
                self.journal.settle(&self.stream).await?;
                return Ok(Executed { snapshot, records: Vec::new() });
            }
            match self.journal.append(&self.stream, &append(command, &snapshot, drafts)).await {
                Ok(appended) if appended.repeated => {
                    drop(one_at_a_time);
                    return Ok(self.as_then(appended).await?);
                }
                Ok(appended) => {
                    self.catch_up_with(&appended.records).await?;
                    return Ok(Executed { snapshot: self.snapshot(), records: appended.records });
                }
                Err(AppendError::Conflict { expected, actual }) if actual < expected => {
                    return Err(self.alarm(chain::lost(&self.stream, expected, actual)).into());
                }
                Err(AppendError::Conflict { .. }) => self.catch_up().await?,
                Err(AppendError::Store(error)) => return Err(self.alarm(error).into()),
                Err(other @ AppendError::RequestReused { .. }) => return Err(other.into()),
            }
        }
        Err(WriteError::Contended)
    }

    async fn first_answer(&self, command: &Command) -> Result<Option<Appended>, AppendError> {
        match &command.request {
            Some(request) => self.journal.find(&self.stream, request).await,
            None => Ok(None),
        }
    }

    /// The answer of a request carried out before: with the state as it was right after, which
    /// is folded anew where it is over.
    async fn as_then(&self, first: Appended) -> Result<Executed<S>, StoreError> {
        self.catch_up().await?;
        let mut snapshot = self.snapshot();
        if snapshot.version != first.version {
            snapshot = Snapshot::default();
        }
        while snapshot.version < first.version {
            let left = usize::try_from(first.version - snapshot.version).unwrap_or(PAGE);
            let page = self.journal.read(&self.stream, snapshot.version, left.min(PAGE)).await?;
            if page.is_empty() {
                return Err(chain::lost(&self.stream, first.version, snapshot.version));
            }
            snapshot = snapshot.absorb(&self.stream, &page)?;
        }
        Ok(Executed { snapshot, records: first.records })
    }

    /// Notes data that was found lost while a command was carried out, before anybody waits.
    fn alarm(&self, error: StoreError) -> StoreError {
        if error.is_data_loss() {
            self.note(&Err(error.clone()));
        }
        error
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

    /// Readers of the state wait for the exchange of a pointer only.
    fn absorb(&self, records: &[Record]) -> Result<(), StoreError> {
        let _one_at_a_time = self.absorbing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let version = before.version;
        let next = before.absorb(&self.stream, records)?;
        if next.version > version {
            let version = next.version;
            self.current.store(Arc::new(next));
            self.changed.send_replace(version);
        }
        Ok(())
    }

    /// Notes how the last look at the stream went, and says so where that changed.
    fn note(&self, outcome: &Result<(), StoreError>) {
        let found = match outcome {
            Ok(()) => Condition::Following,
            Err(error) if error.is_data_loss() => Condition::DataLost(error.to_string()),
            Err(error) => Condition::Stale(error.to_string()),
        };
        let mut condition = self.condition.lock().unwrap_or_else(PoisonError::into_inner);
        let (stream, same) = (&self.stream, discriminant(&*condition) == discriminant(&found));
        match &found {
            _ if same => {}
            Condition::Following => tracing::info!(%stream, "back in touch with the store"),
            Condition::Stale(why) => tracing::error!(%stream, why, "lost touch with the store"),
            Condition::DataLost(why) => {
                tracing::error!(%stream, why, alarm = "data_loss", "the store lost data");
            }
        }
        self.is_following.store(found == Condition::Following, Ordering::Release);
        *condition = found;
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
        let seen = current.snapshot().head();
        drop(current);
        let waited = journal.wait(&stream, seen, PATIENCE).await;
        let Some(current) = replica.upgrade() else { return };
        let outcome = match waited {
            Ok(head) if head.version > current.snapshot().version => current.catch_up().await,
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
        expected: snapshot.head(),
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
