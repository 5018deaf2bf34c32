//! The fold of a stream up to a version.

use std::fmt::Debug;
use std::sync::Arc;

use crate::chain;
use crate::error::StoreError;
use crate::journal::Head;
use crate::record::{Hash, Record, StreamName, Version};

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

impl<S: Default> Default for Snapshot<S> {
    fn default() -> Self {
        Self { version: 0, state: Arc::default(), hash: Hash::default() }
    }
}

impl<S> Snapshot<S> {
    /// The end of the stream that this state reflects.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { version: self.version, hash: self.hash }
    }
}

impl<S: Projection> Snapshot<S> {
    /// Folds records in, all or none. Those already known are skipped: two readers may bring the
    /// same ones.
    pub(crate) fn absorb(
        mut self,
        stream: &StreamName,
        records: &[Record],
    ) -> Result<Self, StoreError> {
        let before = self.version;
        for record in records.iter().filter(|record| record.version > before) {
            if record.version == before + 1 && record.previous != self.hash && before > 0 {
                return Err(chain::diverged(stream, before)); // Behind another one than was seen.
            }
            chain::check(stream, self.head(), std::slice::from_ref(record))?;
            Arc::make_mut(&mut self.state).apply(record).map_err(|why| {
                StoreError::Corrupt(format!("record {} of stream {stream}: {why}", record.version))
            })?;
            self.version = record.version;
            self.hash = record.hash;
        }
        Ok(self)
    }
}
