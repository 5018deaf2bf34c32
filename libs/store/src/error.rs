//! What can go wrong with a store, by what a caller can do about it.

use crate::record::Version;

/// A store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or did not answer in time; whether a write took effect is
    /// unknown. Try again.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// What was read is not what was written: a broken hash chain, a gap, an undecodable record.
    #[error("store corrupt: {0}")]
    Corrupt(String),
    /// The store is behind what this process has already seen: acknowledged data was lost.
    #[error("store lost data: stream {stream} is at version {found}, {seen} was seen before")]
    Lost {
        /// The stream that went back.
        stream: String,
        /// The highest version seen before.
        seen: Version,
        /// The version found now.
        found: Version,
    },
    /// The stream has another record than this process saw at the same version: acknowledged data
    /// was lost, and other data written in its place.
    #[error("store lost data: record {version} of stream {stream} is not the one seen before")]
    Diverged {
        /// The stream that was replaced.
        stream: String,
        /// The version at which it differs.
        version: Version,
    },
    /// Another process holds the data directory.
    #[error("store in use: {0}")]
    InUse(String),
    /// The store's address or folder cannot be used.
    #[error("store settings: {0}")]
    Settings(String),
}

impl StoreError {
    /// Whether acknowledged data is gone or damaged: no repetition brings it back.
    #[must_use]
    pub const fn is_data_loss(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::Diverged { .. } | Self::Corrupt(_) => true,
            Self::Unavailable(_) | Self::InUse(_) | Self::Settings(_) => false,
        }
    }
}

/// Why an append was refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream has moved on: read again and decide again.
    #[error("stream is at version {actual}, not {expected}")]
    Conflict {
        /// The version the caller expected.
        expected: Version,
        /// The version the stream has.
        actual: Version,
    },
    /// The request id was used before, for a command with other contents.
    #[error("request id {id} was used before with other contents")]
    RequestReused {
        /// The request id.
        id: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
