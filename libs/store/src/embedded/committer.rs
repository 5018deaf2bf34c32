//! Two files that are one store: the log makes a group durable, the database answers questions.
//!
//! **Invariant:** a group is in the log, on disk, before anybody can see it in the database; and
//! the log is written again from its beginning only once the database has all of it on disk.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, Durability, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;

use super::group::{Group, Memory};
use super::ops::{self, Kind};
use super::tables::{begin, failed, group_reached, set_group};
use super::wal::{Number, Wal};

/// Groups between two checkpoints: each costs the database pages that only a checkpoint frees.
const GROUPS_MAX: u32 = 256;

/// Commits groups, one after the other.
#[derive(Debug)]
pub(super) struct Committer {
    database: Arc<Database>,
    wal: Wal,
    number: Number,
    since_checkpoint: u32,
    failed: bool,
}

impl Committer {
    /// Brings the database up to the log, which is at `path`.
    ///
    /// # Errors
    /// `Corrupt` where a byte of either is not what was written, or one of them is missing.
    pub(super) fn open(database: Arc<Database>, path: &Path) -> Result<Self, StoreError> {
        let reached = group_reached(&database)?;
        if reached > 0 && !path.is_file() {
            return Err(StoreError::Corrupt(format!("{} is missing", path.display())));
        }
        let unusable = |error: std::io::Error| {
            let what = format!("{}: {error}", path.display());
            let corrupt = error.kind() == ErrorKind::InvalidData;
            if corrupt { StoreError::Corrupt(what) } else { StoreError::Settings(what) }
        };
        let wal = Wal::open(path).map_err(unusable)?;
        let found = wal.read(reached)?;
        let mut committer =
            Self { database, wal, number: reached, since_checkpoint: 0, failed: false };
        if !found.groups.is_empty() {
            committer.replay(found.groups)?;
        }
        Ok(committer)
    }

    fn replay(&mut self, groups: Vec<(Number, Vec<u8>)>) -> Result<(), StoreError> {
        tracing::info!(groups = groups.len(), "carrying out what the log has and the database not");
        let transaction = begin(&self.database, Durability::Immediate)?;
        let mut memory = Memory::default();
        for (number, bytes) in groups {
            let mut group = Group::new(&transaction, &mut memory, Timestamp::EPOCH);
            for op in ops::decode(&bytes)? {
                group.replay(&op)?;
            }
            self.number = number;
        }
        set_group(&transaction, self.number)?;
        transaction.commit().map_err(failed)?;
        self.wal.restart(self.number);
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<WriteTransaction, StoreError> {
        if self.failed {
            return Err(StoreError::Unavailable(
                "a write to the disk failed: what is on it is known when the store is opened again"
                    .to_owned(),
            ));
        }
        begin(&self.database, Durability::Immediate)
    }

    /// Makes what a transaction did durable, then visible.
    pub(super) fn commit(
        &mut self,
        mut transaction: WriteTransaction,
        done: Vec<Kind>,
    ) -> Result<(), StoreError> {
        if done.is_empty() {
            return transaction.abort().map_err(failed);
        }
        let number = self.number + 1;
        let outcome = set_group(&transaction, number).and_then(|()| {
            let logged = self.since_checkpoint < GROUPS_MAX && self.log(number, done)?;
            if logged {
                transaction.set_durability(Durability::None).map_err(failed)?;
            }
            transaction.commit().map_err(failed)?;
            Ok(logged)
        });
        match outcome {
            Ok(true) => self.since_checkpoint += 1,
            Ok(false) => {
                self.wal.restart(number);
                self.since_checkpoint = 0;
            }
            Err(error) => {
                self.failed = true; // The log may have the group, and the database not.
                return Err(error);
            }
        }
        self.number = number;
        Ok(())
    }

    fn log(&mut self, number: Number, done: Vec<Kind>) -> Result<bool, StoreError> {
        let written = self.wal.append(number, &ops::encode(done));
        written.map_err(|error| StoreError::Unavailable(format!("the write-ahead log: {error}")))
    }

    /// Leaves nothing in the log, so that the next one to open has nothing to do. Best effort: what
    /// is not done here is done then.
    pub(super) fn close(&mut self) {
        if self.failed || self.since_checkpoint == 0 && self.number == self.wal.floor() {
            return;
        }
        let checkpoint = begin(&self.database, Durability::Immediate)
            .and_then(|transaction| transaction.commit().map_err(failed));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "no checkpoint when the store was closed");
            return;
        }
        if let Err(error) = self.wal.close(self.number) {
            tracing::warn!(%error, "the log was not emptied when the store was closed");
        }
    }
}
