//! What is kept for a time only, and dropped a little at a time as other things are written.

use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;

use super::tables::{BATCHES, BUCKETS, DUE, Due, Expiring, HOLDERS, KEPT, REQUESTS, USED, failed};

/// Entries looked at in one transaction: bounds what a write pays.
pub(super) const PURGE_MAX: usize = 500;

/// Something that is dropped when nobody has renewed it in time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item<'a> {
    Request { stream: &'a str, id: &'a str },
    Batch { scope: &'a str, id: &'a str },
    Bucket { scope: &'a str, series: &'a str, start_ms: i64 },
    QuotaDay { pipeline: &'a str, workspace_day: &'a str },
}

const REQUEST: u8 = 1; // These numbers are in files: never change one.
const BATCH: u8 = 2;
const BUCKET: u8 = 3;
const QUOTA_DAY: u8 = 4;

impl<'a> Item<'a> {
    fn key(self) -> (u8, &'a str, &'a str, i64) {
        match self {
            Self::Request { stream, id } => (REQUEST, stream, id, 0),
            Self::Batch { scope, id } => (BATCH, scope, id, 0),
            Self::Bucket { scope, series, start_ms } => (BUCKET, scope, series, start_ms),
            Self::QuotaDay { pipeline, workspace_day } => (QUOTA_DAY, pipeline, workspace_day, 0),
        }
    }
}

/// Whether `item` is kept still.
pub(super) fn is_kept(
    kept: &impl ReadableTable<Expiring, i64>,
    item: Item<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let until = kept.get(item.key()).map_err(failed)?.map(|until| until.value());
    Ok(until.is_some_and(|until| until > now.as_millis()))
}

/// Until when `item` is kept; the beginning of time where it is not.
pub(super) fn kept_until(
    transaction: &ReadTransaction,
    item: Item<'_>,
) -> Result<Timestamp, StoreError> {
    let kept = transaction.open_table(KEPT).map_err(failed)?;
    let until = kept.get(item.key()).map_err(failed)?.map_or(0, |until| until.value());
    Ok(Timestamp::from_millis(until))
}

/// Keeps things, one after the other, with the tables opened once.
pub(super) struct Keeping<'txn> {
    transaction: &'txn WriteTransaction,
    kept: Table<'txn, Expiring, i64>,
    due: Option<Table<'txn, Due, ()>>,
}

impl<'txn> Keeping<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction) -> Result<Self, StoreError> {
        let kept = transaction.open_table(KEPT).map_err(failed)?;
        Ok(Self { transaction, kept, due: None })
    }

    /// The transaction, for every table but those of what is kept.
    pub(super) const fn transaction(&self) -> &'txn WriteTransaction {
        self.transaction
    }

    /// Keeps `item` until `until` at least. A renewal moves the row only: the due entry finds out.
    pub(super) fn keep(&mut self, item: Item<'_>, until: Timestamp) -> Result<(), StoreError> {
        let (kind, owner, name, start) = item.key();
        let until = until.as_millis();
        let known = self.kept.get(item.key()).map_err(failed)?.map(|known| known.value());
        if known.is_some_and(|known| known >= until) {
            return Ok(());
        }
        self.kept.insert(item.key(), until).map_err(failed)?;
        if known.is_some() {
            return Ok(());
        }
        let due = match self.due.take() {
            Some(due) => due,
            None => self.transaction.open_table(DUE).map_err(failed)?,
        };
        let due = self.due.insert(due);
        due.insert((until, kind, owner, name, start), ()).map(drop).map_err(failed)
    }
}

/// Drops what is over at `now`. Returns how many entries it looked at: [`PURGE_MAX`] at most.
pub(super) fn purge(transaction: &WriteTransaction, now: Timestamp) -> Result<usize, StoreError> {
    let taken = take_due(transaction, now)?;
    let looked_at = taken.len();
    for (due_ms, kind, owner, name, start) in taken {
        let key = (kind, owner.as_str(), name.as_str(), start);
        let mut kept = transaction.open_table(KEPT).map_err(failed)?;
        let until = kept.get(key).map_err(failed)?.map_or(due_ms, |until| until.value());
        if until > now.as_millis() {
            let mut due = transaction.open_table(DUE).map_err(failed)?;
            due.insert((until, kind, owner.as_str(), name.as_str(), start), ()).map_err(failed)?;
            continue;
        }
        kept.remove(key).map_err(failed)?;
        drop(kept);
        drop_contents(transaction, kind, &owner, &name, start)?;
    }
    Ok(looked_at)
}

type Taken = (i64, u8, String, String, i64);

fn take_due(transaction: &WriteTransaction, now: Timestamp) -> Result<Vec<Taken>, StoreError> {
    let mut due = transaction.open_table(DUE).map_err(failed)?;
    let mut taken = Vec::new();
    while taken.len() < PURGE_MAX {
        let Some((key, _)) = due.first().map_err(failed)? else { break };
        let (due_ms, kind, owner, name, start) = key.value();
        if due_ms > now.as_millis() {
            break;
        }
        taken.push((due_ms, kind, owner.to_owned(), name.to_owned(), start));
        drop(key);
        due.pop_first().map_err(failed)?;
    }
    Ok(taken)
}

fn drop_contents(
    transaction: &WriteTransaction,
    kind: u8,
    owner: &str,
    name: &str,
    start: i64,
) -> Result<(), StoreError> {
    match kind {
        REQUEST => {
            let mut requests = transaction.open_table(REQUESTS).map_err(failed)?;
            requests.remove((owner, name)).map_err(failed)?;
        }
        BATCH => {
            let mut batches = transaction.open_table(BATCHES).map_err(failed)?;
            batches.remove((owner, name)).map_err(failed)?;
        }
        BUCKET => {
            let mut buckets = transaction.open_table(BUCKETS).map_err(failed)?;
            buckets.remove((owner, name, start)).map_err(failed)?;
        }
        QUOTA_DAY => {
            let mut holders = transaction.open_table(HOLDERS).map_err(failed)?;
            let next = format!("{name}\0"); // The first text after `name`.
            let uploads = (owner, name, "")..(owner, next.as_str(), "");
            holders.retain_in(uploads, |_key, ()| false).map_err(failed)?;
            let mut used = transaction.open_table(USED).map_err(failed)?;
            used.remove((owner, name)).map_err(failed)?;
        }
        _ => {} // Of a kind from a later release, the entry alone is ours.
    }
    Ok(())
}
