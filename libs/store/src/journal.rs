//! The journal: append-only, gap-free, hash-chained streams.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use vocab::{Actor, Timestamp};

use crate::chain;
use crate::error::{AppendError, StoreError};
use crate::record::{Draft, Hash, Record, StreamName, Version};

/// Names one command, so that repeating it is harmless. Kept for 24 hours at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// Chosen by the caller, e.g. a UUID.
    pub id: String,
    /// Digest of the command's contents: the same id with another digest is refused.
    pub digest: Hash,
}

/// What is appended together: all of it or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Where the stream must end, exactly: the same version of the same history.
    pub expected: Head,
    /// When the command was decided.
    pub time: Timestamp,
    /// Who gave the command.
    pub actor: Actor,
    /// Why.
    pub reason: String,
    /// The W3C `traceparent` of the command, or empty.
    pub traceparent: String,
    /// Makes a repetition return the first answer.
    pub request: Option<RequestKey>,
    /// The events, oldest first; at most 100. None only with a request: the answer "nothing to
    /// do" is then kept under its id.
    pub drafts: Vec<Draft>,
}

/// The answer to an append: durable when returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The version the stream had right after the append; for a repeated request, after the first.
    pub version: Version,
    /// The records written now, or, for a repeated request, written the first time.
    pub records: Vec<Record>,
    /// True where the request had been carried out before and nothing was written now.
    pub repeated: bool,
}

/// Where a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The version of the newest record; 0 where there is none.
    pub version: Version,
    /// The hash of the newest record; zeros where there is none.
    pub hash: Hash,
}

impl Head {
    /// The head once `record` of `stream` follows. Checks the record's hash and its place in the
    /// chain, and so verifies a journal wherever its records come from.
    ///
    /// # Errors
    /// `Corrupt` where the record is not what was sealed, or does not follow.
    pub fn followed_by(self, stream: &StreamName, record: &Record) -> Result<Self, StoreError> {
        if record.hash != record.expected_hash() {
            return Err(StoreError::Corrupt(format!(
                "record {} does not match its hash",
                record.version
            )));
        }
        chain::check(stream, self, std::slice::from_ref(record))?;
        Ok(chain::head_at(record))
    }
}

/// Append-only streams of events.
#[async_trait]
pub trait Journal: Send + Sync + Debug {
    /// Appends all of `append.drafts`, if and only if the stream ends at `append.expected`.
    /// A repeated request is answered with its first records, wherever the stream ends by then.
    ///
    /// # Errors
    /// See [`AppendError`]; `Settings` for no drafts without a request or more than 100;
    /// `Diverged` where the stream has the version expected with another record. After
    /// `Unavailable` the append may or may not have taken effect: all of it or none.
    async fn append(&self, stream: &StreamName, append: &Append) -> Result<Appended, AppendError>;

    /// Finds the answer to a request carried out before; `None` where there was none.
    ///
    /// # Errors
    /// `RequestReused` where the id was used with another digest.
    async fn find(
        &self,
        stream: &StreamName,
        request: &RequestKey,
    ) -> Result<Option<Appended>, AppendError>;

    /// Reads up to `limit` records after version `after`, oldest first, checking the chain. None
    /// where the stream does not reach beyond `after`.
    ///
    /// # Errors
    /// `Corrupt` where the chain does not hold, `Unavailable` where the store does not answer.
    async fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError>;

    /// Reads where a stream ends.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    async fn head(&self, stream: &StreamName) -> Result<Head, StoreError>;

    /// Returns once everything that can be read of the stream is as durable as an acknowledged
    /// append: what a caller answers from must not be less.
    ///
    /// # Errors
    /// `Unavailable` where the store does not confirm it in time.
    async fn settle(&self, stream: &StreamName) -> Result<(), StoreError>;

    /// Waits until the stream is past `after`, or `patience` is over, and returns where it ends.
    /// Uses a connection of its own: waiting delays nobody.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer; `Lost` where the stream is shorter than
    /// `after`, `Diverged` where it ends at that version with another record.
    async fn wait(
        &self,
        stream: &StreamName,
        after: Head,
        patience: Duration,
    ) -> Result<Head, StoreError>;
}
