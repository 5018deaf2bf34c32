//! Bugs put in on purpose, one at a time, to show that the tests of `tests/faults` catch them.
//! Compiled with the feature `seeded-bugs` only; which one is active says an environment variable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::Store;
use crate::counters::{Added, Batch, BatchId, Change, Counters, Reading, Scope, Window};
use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Appended, Head, Journal, RequestKey};
use crate::record::{Record, StreamName, Version};

/// The variable that names the active bug.
pub const VARIABLE: &str = "SOFTLAUNCH_SEEDED_BUG";
/// The embedded store acknowledges before its commit is on disk.
pub const ACKNOWLEDGE_BEFORE_FSYNC: &str = "acknowledge-before-fsync";
/// An append is carried out wherever the stream ends.
pub const NO_FENCE: &str = "no-fence";
/// Nobody remembers the ids of requests and batches.
pub const DEDUPE_FORGOTTEN: &str = "dedupe-forgotten";
/// A message is recorded as sent, then sent.
pub const MARK_BEFORE_SEND: &str = "mark-before-send";

/// Whether this bug is the active one.
#[must_use]
pub fn is_active(bug: &str) -> bool {
    static ACTIVE: LazyLock<Option<String>> = LazyLock::new(|| {
        let named = std::env::var_os(VARIABLE);
        named.map(|bug| bug.to_string_lossy().into_owned())
    });
    ACTIVE.as_deref() == Some(bug)
}

/// The store with the active bug in it, or as it is.
pub(crate) fn infect(store: Store) -> Store {
    if is_active(NO_FENCE) {
        return Store { journal: Arc::new(Fenceless(Arc::clone(&store.journal))), ..store };
    }
    if is_active(DEDUPE_FORGOTTEN) {
        return Store {
            journal: Arc::new(Forgetful(Arc::clone(&store.journal))),
            counters: Arc::new(ForgetfulCounters(Arc::clone(&store.counters))),
            ..store
        };
    }
    store
}

#[derive(Debug)]
struct Fenceless(Arc<dyn Journal>);

#[async_trait]
impl Journal for Fenceless {
    async fn append(&self, stream: &StreamName, append: &Append) -> Result<Appended, AppendError> {
        let mut append = append.clone();
        loop {
            match self.0.append(stream, &append).await {
                Err(AppendError::Conflict { .. }) => append.expected = self.0.head(stream).await?,
                answered => return answered,
            }
        }
    }

    async fn find(
        &self,
        stream: &StreamName,
        request: &RequestKey,
    ) -> Result<Option<Appended>, AppendError> {
        self.0.find(stream, request).await
    }

    async fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.0.read(stream, after, limit).await
    }

    async fn head(&self, stream: &StreamName) -> Result<Head, StoreError> {
        self.0.head(stream).await
    }

    async fn settle(&self, stream: &StreamName) -> Result<(), StoreError> {
        self.0.settle(stream).await
    }

    async fn wait(
        &self,
        stream: &StreamName,
        after: Head,
        patience: Duration,
    ) -> Result<Head, StoreError> {
        self.0.wait(stream, after, patience).await
    }
}

#[derive(Debug)]
struct Forgetful(Arc<dyn Journal>);

#[async_trait]
impl Journal for Forgetful {
    async fn append(&self, stream: &StreamName, append: &Append) -> Result<Appended, AppendError> {
        let append = Append { request: None, ..append.clone() };
        self.0.append(stream, &append).await
    }

    async fn find(
        &self,
        _stream: &StreamName,
        _request: &RequestKey,
    ) -> Result<Option<Appended>, AppendError> {
        Ok(None)
    }

    async fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.0.read(stream, after, limit).await
    }

    async fn head(&self, stream: &StreamName) -> Result<Head, StoreError> {
        self.0.head(stream).await
    }

    async fn settle(&self, stream: &StreamName) -> Result<(), StoreError> {
        self.0.settle(stream).await
    }

    async fn wait(
        &self,
        stream: &StreamName,
        after: Head,
        patience: Duration,
    ) -> Result<Head, StoreError> {
        self.0.wait(stream, after, patience).await
    }
}

#[derive(Debug)]
struct ForgetfulCounters(Arc<dyn Counters>);

#[async_trait]
impl Counters for ForgetfulCounters {
    async fn add(
        &self,
        scope: &Scope,
        batch: &Batch,
        remember: Duration,
        changes: Vec<Change>,
    ) -> Result<Added, StoreError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let renamed = format!("{}.{}", batch.id.as_str(), NEXT.fetch_add(1, Ordering::Relaxed));
        let id = BatchId::new(&renamed).unwrap_or_else(|_e| batch.id.clone());
        self.0.add(scope, &Batch { id, ..batch.clone() }, remember, changes).await
    }

    async fn sum(
        &self,
        scope: &Scope,
        window: &Window,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        self.0.sum(scope, window).await
    }

    async fn gauges(&self, scope: &Scope) -> Result<BTreeMap<String, Reading>, StoreError> {
        self.0.gauges(scope).await
    }
}
