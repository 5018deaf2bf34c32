//! Operations that share one transaction, and what the one who writes remembers between them.

use std::collections::HashMap;
use std::time::Duration;

use redb::{Table, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;
use crate::journal::Head;
use crate::record::StreamName;

use super::expiry;
use super::ops::{self, Kind, Purge};
use super::tables::{RECORDS, failed};

/// How long a look at what is over stays good: that much longer things may be kept.
const LOOK_EVERY: Duration = Duration::from_secs(10);

type Records<'txn> = Table<'txn, (&'static str, u64), &'static [u8]>;

/// What only the writer knows, since nobody else writes: it saves looking into the file.
#[derive(Debug, Default)]
pub(super) struct Memory {
    heads: HashMap<StreamName, Head>,
    next_look: Option<Timestamp>,
}

/// What a group comes to.
#[derive(Debug)]
pub(super) struct Finished {
    /// What it does, for the log.
    pub(super) ops: Vec<Kind>,
    moved: HashMap<StreamName, Head>,
    next_look: Option<Timestamp>,
}

/// The operations of one transaction, in the making.
pub(super) struct Group<'txn> {
    transaction: &'txn WriteTransaction,
    now: Timestamp,
    memory: &'txn mut Memory,
    records: Option<Records<'txn>>,
    finished: Finished,
}

impl<'txn> Group<'txn> {
    pub(super) fn new(
        transaction: &'txn WriteTransaction,
        memory: &'txn mut Memory,
        now: Timestamp,
    ) -> Self {
        let next_look = memory.next_look;
        let finished = Finished { ops: Vec::new(), moved: HashMap::new(), next_look };
        Self { transaction, now, memory, records: None, finished }
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// The transaction, for every table but the records'.
    pub(super) const fn transaction(&self) -> &'txn WriteTransaction {
        self.transaction
    }

    /// The table of records, opened once for the whole group.
    pub(super) fn records(&mut self) -> Result<&mut Records<'txn>, StoreError> {
        let table = match self.records.take() {
            Some(table) => table,
            None => self.transaction.open_table(RECORDS).map_err(failed)?,
        };
        Ok(self.records.insert(table))
    }

    /// Where `stream` ends within this group; found with `look` the first time.
    pub(super) fn head(
        &mut self,
        stream: &StreamName,
        look: impl FnOnce(&Records<'txn>) -> Result<Head, StoreError>,
    ) -> Result<Head, StoreError> {
        let known = self.finished.moved.get(stream).or_else(|| self.memory.heads.get(stream));
        if let Some(head) = known {
            return Ok(*head);
        }
        let head = look(self.records()?)?;
        self.memory.heads.insert(stream.clone(), head);
        Ok(head)
    }

    /// Notes that `stream` ends at `head` once the group is committed.
    pub(super) fn move_head(&mut self, stream: &StreamName, head: Head) {
        self.finished.moved.insert(stream.clone(), head);
    }

    /// Carries an operation out, and keeps it for the log.
    pub(super) fn apply(&mut self, op: Kind) -> Result<(), StoreError> {
        ops::carry_out(self, &op)?;
        self.finished.ops.push(op);
        Ok(())
    }

    /// Carries an operation out once more, as the log has it.
    pub(super) fn replay(&mut self, op: &Kind) -> Result<(), StoreError> {
        ops::carry_out(self, op)
    }

    /// Drops what is over, unless somebody looked just now.
    pub(super) fn finish(mut self) -> Result<Finished, StoreError> {
        if self.finished.next_look.is_none_or(|look| look <= self.now) {
            let looked_at = expiry::purge(self.transaction, self.now)?;
            if looked_at > 0 {
                self.finished.ops.push(Kind::Purge(Purge { now_ms: self.now.as_millis() }));
            }
            let more = looked_at == expiry::PURGE_MAX;
            self.finished.next_look =
                Some(self.now.plus(if more { Duration::ZERO } else { LOOK_EVERY }));
        }
        Ok(self.finished)
    }
}

impl Memory {
    /// Takes over what a group has changed, after its commit.
    pub(super) fn committed(&mut self, finished: Finished) {
        self.heads.extend(finished.moved);
        self.next_look = finished.next_look;
    }
}
