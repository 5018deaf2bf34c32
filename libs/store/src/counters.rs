//! Windowed counters with once-only batches, and gauges of which the newest counts.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use vocab::{Invalid, Timestamp};

use crate::error::StoreError;
use crate::record::Hash;

const BUCKETS_MAX: u64 = 1_000; // Bounds one sum: a week of ten-minute buckets.

/// What a set of counters belongs to, e.g. a pipeline; every key of a scope lives together.
/// 1 to 128 of letters, digits, `_`, `-`, `.`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

/// Names one batch of changes: counted once, however often it is sent. Same characters as
/// [`Scope`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(Box<str>);

fn checked(kind: &str, text: &str) -> Result<Box<str>, Invalid> {
    let good = (1..=128).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if good {
        return Ok(text.into());
    }
    Err(Invalid::new(format!(
        "`{}` is not a {kind}: expected 1 to 128 ASCII letters, digits, `_`, `-` or `.`",
        vocab::excerpt(text)
    )))
}

impl Scope {
    /// Checks a scope.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        checked("scope", text).map(Self)
    }

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BatchId {
    /// Checks a batch id.
    ///
    /// # Errors
    /// Says which characters are allowed.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        checked("batch id", text).map(Self)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A batch of changes: what names it, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Chosen by the reporter: counted once.
    pub id: BatchId,
    /// Digest of what was reported, as it was sent: the same id with another digest is not
    /// counted, and not taken for a repetition.
    pub contents: Hash,
}

/// A slice of time of one series: `series` in the bucket of width `width` that begins at `start`.
/// Kept for `keep` after its last change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket {
    /// The series, e.g. `m` for minutes; letters, digits, `_`, `-`, `.`, `:`, `/`.
    pub series: String,
    /// Beginning of the bucket; a multiple of its width.
    pub start: Timestamp,
    /// How long the bucket is kept after it was last written.
    pub keep: Duration,
}

/// A change to counters of buckets or to one of the scope's gauges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds the same to the counters of every one of some buckets, e.g. a minute and its hour.
    Add {
        /// Where.
        buckets: Vec<Bucket>,
        /// Which counters, e.g. `succeeded`, and how much to each.
        fields: Vec<(String, u64)>,
    },
    /// Sets a gauge, unless a newer value is known. Equal times: the larger value stays.
    Set {
        /// Which gauge, e.g. `staging_backlog`.
        gauge: String,
        /// The value.
        value: i64,
        /// When it was measured.
        at: Timestamp,
    },
}

impl Change {
    /// Adds to one counter of one bucket.
    #[must_use]
    pub fn add(bucket: Bucket, field: impl Into<String>, by: u64) -> Self {
        Self::Add { buckets: vec![bucket], fields: vec![(field.into(), by)] }
    }
}

/// Whether a batch was counted now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// Counted, and durable.
    Counted,
    /// Counted before; nothing changed.
    Duplicate,
    /// The id was used before for a batch with other contents; nothing changed.
    Reused,
}

/// The buckets of a series that begin in `from..to`, at multiples of `width`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The series.
    pub series: String,
    /// The first bucket's start; a multiple of `width`.
    pub from: Timestamp,
    /// No bucket begins here or later.
    pub to: Timestamp,
    /// Width of a bucket; at most 1,000 buckets in a window.
    pub width: Duration,
}

impl Window {
    /// The start of each bucket, oldest first.
    pub(crate) fn starts(&self) -> Result<Vec<Timestamp>, StoreError> {
        let span_ms = millis(self.to.since(self.from));
        let width_ms = millis(self.width);
        if width_ms == 0 || span_ms.div_ceil(width_ms) > BUCKETS_MAX {
            return Err(StoreError::Settings(format!(
                "a window from {} to {} in buckets of {width_ms} ms: expected at most \
                 {BUCKETS_MAX} buckets of 1 ms or more",
                self.from, self.to
            )));
        }
        let offsets = (0..span_ms.div_ceil(width_ms)).map(|index| index * width_ms);
        Ok(offsets.map(|offset| self.from.plus(Duration::from_millis(offset))).collect())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A gauge's newest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The value.
    pub value: i64,
    /// When it was measured.
    pub at: Timestamp,
}

/// Counters shared by every replica.
#[async_trait]
pub trait Counters: Send + Sync + Debug {
    /// Applies all of `changes`, if and only if `batch` has not been applied to `scope` before.
    /// The id is remembered for `remember`. One round trip; durable when it returns.
    ///
    /// # Errors
    /// `Unavailable`: the batch may or may not have been counted; sending it again is safe.
    async fn add(
        &self,
        scope: &Scope,
        batch: &Batch,
        remember: Duration,
        changes: Vec<Change>,
    ) -> Result<Added, StoreError>;

    /// Sums every field over a window.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    async fn sum(
        &self,
        scope: &Scope,
        window: &Window,
    ) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Reads every gauge of a scope.
    ///
    /// # Errors
    /// `Unavailable` where the store does not answer.
    async fn gauges(&self, scope: &Scope) -> Result<BTreeMap<String, Reading>, StoreError>;
}
