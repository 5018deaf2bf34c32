//! Operations that share one transaction, and what the one who writes remembers between them.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::time::Duration;

use redb::{ReadableTable, Table, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;
use crate::journal::Head;
use crate::record::{Hash, StreamName};

use super::committer::Committer;
use super::count;
use super::expiry::{self, Item};
use super::ops::{self, Count, Kind, Ops, Purge};
use super::put_off::PutOff;
use super::tables::{BATCHES, Expiring, KEPT, RECORDS, failed};

/// How long a look at what is over stays good: that much longer things may be kept.
const LOOK_EVERY: Duration = Duration::from_secs(10);

type Records<'txn> = Table<'txn, (&'static str, u64), &'static [u8]>;

/// What only the writer knows, since nobody else writes: it saves looking into the file.
#[derive(Debug, Default)]
pub(super) struct Memory {
    heads: HashMap<StreamName, Head>,
    next_look: Option<Timestamp>,
    pub(super) put_off: PutOff,
}

/// What a group comes to.
#[derive(Debug)]
pub(super) struct Finished {
    /// What it does, for the log.
    pub(super) ops: Ops,
    moved: HashMap<StreamName, Head>,
    next_look: Option<Timestamp>,
}

/// The operations of one transaction, in the making. It is begun when the tables are needed.
pub(super) struct Group<'txn> {
    transaction: &'txn OnceCell<WriteTransaction>,
    committer: &'txn Committer,
    now: Timestamp,
    memory: &'txn mut Memory,
    records: Option<Records<'txn>>,
    finished: Finished,
}

impl<'txn> Group<'txn> {
    pub(super) fn new(
        transaction: &'txn OnceCell<WriteTransaction>,
        committer: &'txn Committer,
        memory: &'txn mut Memory,
        now: Timestamp,
    ) -> Self {
        let next_look = memory.next_look;
        let finished = Finished { ops: Ops::default(), moved: HashMap::new(), next_look };
        Self { transaction, committer, now, memory, records: None, finished }
    }

    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// The transaction, for every table but the records'; what was put off is carried out in it.
    pub(super) fn transaction(&self) -> Result<&'txn WriteTransaction, StoreError> {
        if let Some(transaction) = self.transaction.get() {
            return Ok(transaction);
        }
        let begun = self.memory.begin(self.committer, &self.finished.ops)?;
        Ok(self.transaction.get_or_init(|| begun))
    }

    /// The table of records, opened once for the whole group.
    pub(super) fn records(&mut self) -> Result<&mut Records<'txn>, StoreError> {
        let table = match self.records.take() {
            Some(table) => table,
            None => self.transaction()?.open_table(RECORDS).map_err(failed)?,
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

    /// Counts a batch: in the log now, in the tables when somebody needs them.
    pub(super) fn count(&mut self, count: Count) -> Result<(), StoreError> {
        if let Some(transaction) = self.transaction.get() {
            count::apply(transaction, &count)?;
        }
        self.finished.ops.push(Kind::Count(count));
        Ok(())
    }

    /// Whether a batch was counted under this id, and with which contents, where that is known.
    pub(super) fn counted(
        &self,
        scope: &str,
        id: &str,
    ) -> Result<Option<Option<Hash>>, StoreError> {
        if let Some(transaction) = self.transaction.get() {
            let kept = transaction.open_table(KEPT).map_err(failed)?;
            let batches = transaction.open_table(BATCHES).map_err(failed)?;
            return remembered(&kept, &batches, (scope, id), self.now);
        }
        let same = |count: &&Count| count.scope == scope && count.batch == id;
        let in_group = self.finished.ops.counts().rfind(same).map(|count| &count.contents[..]);
        let put_off = in_group.or_else(|| self.memory.put_off.contents(scope, id, self.now));
        if let Some(contents) = put_off {
            return Ok(Some(Some(Hash(*ops::thirty_two(contents)?))));
        }
        let transaction = self.committer.read()?;
        let kept = transaction.open_table(KEPT).map_err(failed)?;
        let batches = transaction.open_table(BATCHES).map_err(failed)?;
        remembered(&kept, &batches, (scope, id), self.now)
    }

    /// Carries an operation out once more, as the log has it.
    pub(super) fn replay(&mut self, op: &Kind) -> Result<(), StoreError> {
        ops::carry_out(self, op)
    }

    /// Drops what is over, unless somebody looked just now, and puts off no more than may be.
    pub(super) fn finish(mut self) -> Result<Finished, StoreError> {
        if self.finished.next_look.is_none_or(|look| look <= self.now) {
            let looked_at = expiry::purge(self.transaction()?, self.now)?;
            if looked_at > 0 {
                self.finished.ops.push(Kind::Purge(Purge { now_ms: self.now.as_millis() }));
            }
            let more = looked_at == expiry::PURGE_MAX;
            self.finished.next_look =
                Some(self.now.plus(if more { Duration::ZERO } else { LOOK_EVERY }));
        }
        if self.memory.put_off.is_full() {
            self.transaction()?;
        }
        Ok(self.finished)
    }
}

fn remembered(
    kept: &impl ReadableTable<Expiring, i64>,
    batches: &impl ReadableTable<(&'static str, &'static str), &'static [u8; 32]>,
    (scope, id): (&str, &str),
    now: Timestamp,
) -> Result<Option<Option<Hash>>, StoreError> {
    if !expiry::is_kept(kept, Item::Batch { scope, id }, now)? {
        return Ok(None);
    }
    let contents = batches.get((scope, id)).map_err(failed)?;
    Ok(Some(contents.map(|contents| Hash(*contents.value()))))
}

impl Memory {
    /// Begins a transaction in which everything that was put off is carried out, and behind it
    /// what `ops` has put off.
    pub(super) fn begin(
        &self,
        committer: &Committer,
        ops: &Ops,
    ) -> Result<WriteTransaction, StoreError> {
        let transaction = committer.begin()?;
        self.put_off.carry_out(&transaction)?;
        ops.counts().try_for_each(|count| count::apply(&transaction, count))?;
        Ok(transaction)
    }

    /// Takes over a group that is in the log and not in the tables.
    pub(super) fn put_off(&mut self, finished: Finished) {
        self.next_look = finished.next_look;
        finished.ops.into_counts().for_each(|count| self.put_off.add(count));
    }

    /// Takes over what a group has changed, after its commit.
    pub(super) fn committed(&mut self, finished: Finished) {
        self.heads.extend(finished.moved);
        self.next_look = finished.next_look;
        self.put_off = PutOff::default();
    }
}
