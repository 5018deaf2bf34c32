//! Two files that are one store: the log makes a group durable, the database answers questions.
//!
//! **Invariant:** a group is in the log, on disk, before anybody can see it in the database; and
//! the log is written again from its beginning only once the database has all of it on disk.

use std::cell::OnceCell;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;

use super::group::{Group, Memory};
use super::ops::{self, Ops};
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
        let transaction = OnceCell::from(self.begin()?);
        let (mut memory, mut number) = (Memory::default(), self.number);
        for (of_group, bytes) in groups {
            let mut group = Group::new(&transaction, self, &mut memory, Timestamp::EPOCH);
            for op in ops::decode(&bytes)? {
                group.replay(&op)?;
            }
            number = of_group;
        }
        self.number = number;
        if let Some(transaction) = transaction.into_inner() {
            set_group(&transaction, number)?;
            transaction.commit().map_err(failed)?;
        }
        self.wal.restart(self.number);
        Ok(())
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Unavailable(
                "a write to the disk failed: what is on it is known when the store is opened again"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    pub(super) fn begin(&self) -> Result<WriteTransaction, StoreError> {
        self.usable()?;
        begin(&self.database, Durability::Immediate)
    }

    /// Begins to read what is committed.
    pub(super) fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.database.begin_read().map_err(failed)
    }

    /// Makes what a group does durable. False where the log has no room for it: then its commit
    /// does that.
    pub(super) fn log(&mut self, done: &Ops) -> Result<bool, StoreError> {
        if done.is_empty() {
            return Ok(true);
        }
        self.usable()?;
        if self.since_checkpoint >= GROUPS_MAX {
            return Ok(false);
        }
        let logged = self.wal.append(self.number + 1, &done.encode_to_vec()).map_err(|error| {
            self.failed = true; // The log may have the group.
            StoreError::Unavailable(format!("the write-ahead log: {error}"))
        })?;
        if logged {
            self.number += 1;
            self.since_checkpoint += 1;
        }
        Ok(logged)
    }

    /// Makes what a transaction did visible, and durable where it is not `logged`.
    pub(super) fn commit(
        &mut self,
        mut transaction: WriteTransaction,
        logged: bool,
    ) -> Result<(), StoreError> {
        let number = if logged { self.number } else { self.number + 1 };
        let committed = set_group(&transaction, number).and_then(|()| {
            if logged {
                transaction.set_durability(Durability::None).map_err(failed)?;
            }
            transaction.commit().map_err(failed)
        });
        if let Err(error) = committed {
            self.failed = true; // The log may have the group, and the database not.
            return Err(error);
        }
        if !logged {
            self.number = number;
            self.since_checkpoint = 0;
            self.wal.restart(number);
        }
        Ok(())
    }

    /// Whether there is nothing in the log that the database has not on disk, or nothing to be
    /// done about it.
    pub(super) const fn is_done(&self) -> bool {
        self.failed || self.since_checkpoint == 0 && self.number == self.wal.floor()
    }

    /// Has the disk told everything, and the log emptied.
    pub(super) fn close(&mut self, last: WriteTransaction) -> Result<(), StoreError> {
        set_group(&last, self.number)?;
        last.commit().map_err(failed)?;
        self.wal.close(self.number).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}
