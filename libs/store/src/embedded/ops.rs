//! What a write does to the tables, as values: carried out once when it is asked for, and again
//! from the log where the database had not got to it before a crash.
//!
//! **Invariant:** carrying an operation out depends on the tables and on nothing else.

use prost::{Message, Oneof};
use redb::WriteTransaction;
use vocab::Timestamp;

use crate::error::StoreError;

use super::count;
use super::expiry::{self, Item, Keeping};
use super::group::Group;
use super::tables::{FENCES, HOLDERS, REQUESTS, USED, failed};

/// Everything a group does, in order. Field numbers are in files: never change one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Ops {
    #[prost(message, repeated, tag = "1")]
    pub(super) ops: Vec<Op>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Op {
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6")]
    pub(super) kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(super) enum Kind {
    #[prost(message, tag = "1")]
    Append(Append),
    #[prost(message, tag = "2")]
    Answer(Answer),
    #[prost(message, tag = "3")]
    Count(Count),
    #[prost(message, tag = "4")]
    Hold(Hold),
    #[prost(message, tag = "5")]
    Fence(Fence),
    #[prost(message, tag = "6")]
    Purge(Purge),
}

/// Records of a stream, sealed and encoded.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Append {
    #[prost(string, tag = "1")]
    pub(super) stream: String,
    #[prost(uint64, tag = "2")]
    pub(super) first: u64,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(super) records: Vec<Vec<u8>>,
}

/// The answer to a request: the records it wrote.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(string, tag = "1")]
    pub(super) stream: String,
    #[prost(string, tag = "2")]
    pub(super) request: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) digest: Vec<u8>,
    #[prost(uint64, tag = "4")]
    pub(super) first: u64,
    #[prost(uint64, tag = "5")]
    pub(super) count: u64,
    #[prost(int64, tag = "6")]
    pub(super) until_ms: i64,
}

/// Changes to counters and gauges; of a batch where one is named.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Count {
    #[prost(string, tag = "1")]
    pub(super) scope: String,
    #[prost(string, tag = "2")]
    pub(super) batch: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) contents: Vec<u8>,
    #[prost(int64, tag = "4")]
    pub(super) until_ms: i64,
    /// Only in logs of older releases.
    #[prost(message, repeated, tag = "5")]
    pub(super) single: Vec<AddTo>,
    #[prost(message, repeated, tag = "6")]
    pub(super) sets: Vec<SetTo>,
    #[prost(message, repeated, tag = "7")]
    pub(super) adds: Vec<AddToAll>,
}

/// Adds the same counts to each of some buckets.
#[derive(Clone, PartialEq, Message)]
pub(super) struct AddToAll {
    #[prost(message, repeated, tag = "1")]
    pub(super) buckets: Vec<BucketOf>,
    #[prost(message, repeated, tag = "2")]
    pub(super) fields: Vec<FieldBy>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct BucketOf {
    #[prost(string, tag = "1")]
    pub(super) series: String,
    #[prost(int64, tag = "2")]
    pub(super) start_ms: i64,
    #[prost(int64, tag = "3")]
    pub(super) until_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldBy {
    #[prost(string, tag = "1")]
    pub(super) field: String,
    #[prost(uint64, tag = "2")]
    pub(super) by: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AddTo {
    #[prost(string, tag = "1")]
    pub(super) series: String,
    #[prost(int64, tag = "2")]
    pub(super) start_ms: i64,
    #[prost(string, tag = "3")]
    pub(super) field: String,
    #[prost(uint64, tag = "4")]
    pub(super) by: u64,
    #[prost(int64, tag = "5")]
    pub(super) until_ms: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SetTo {
    #[prost(string, tag = "1")]
    pub(super) gauge: String,
    #[prost(int64, tag = "2")]
    pub(super) at_ms: i64,
    #[prost(int64, tag = "3")]
    pub(super) value: i64,
}

/// An upload that takes or gives back a unit of a day's quota.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Hold {
    #[prost(string, tag = "1")]
    pub(super) pipeline: String,
    #[prost(string, tag = "2")]
    pub(super) workspace_day: String,
    #[prost(string, tag = "3")]
    pub(super) upload: String,
    #[prost(bool, tag = "4")]
    pub(super) held: bool,
    #[prost(uint32, tag = "5")]
    pub(super) used: u32,
    #[prost(int64, tag = "6")]
    pub(super) until_ms: i64,
}

/// A fence given out.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Fence {
    #[prost(string, tag = "1")]
    pub(super) lease: String,
    #[prost(uint64, tag = "2")]
    pub(super) fence: u64,
}

/// What is over at this time is dropped.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Purge {
    #[prost(int64, tag = "1")]
    pub(super) now_ms: i64,
}

/// Carries an operation out.
pub(super) fn carry_out(group: &mut Group<'_>, op: &Kind) -> Result<(), StoreError> {
    match op {
        Kind::Append(append) => {
            let records = group.records()?;
            for (version, record) in (append.first..).zip(&append.records) {
                let key = (append.stream.as_str(), version);
                records.insert(key, record.as_slice()).map_err(failed)?;
            }
            Ok(())
        }
        Kind::Answer(answer) => keep_answer(group.transaction()?, answer),
        Kind::Count(count) => count::apply(group.transaction()?, count),
        Kind::Hold(hold) => move_hold(group.transaction()?, hold),
        Kind::Fence(fence) => {
            let mut fences = group.transaction()?.open_table(FENCES).map_err(failed)?;
            fences.insert(fence.lease.as_str(), fence.fence).map(drop).map_err(failed)
        }
        Kind::Purge(purge) => {
            let now = Timestamp::from_millis(purge.now_ms);
            expiry::purge(group.transaction()?, now).map(drop)
        }
    }
}

pub(super) fn thirty_two(bytes: &[u8]) -> Result<&[u8; 32], StoreError> {
    bytes.try_into().map_err(|_e| StoreError::Corrupt("a digest in the log".to_owned()))
}

fn keep_answer(transaction: &WriteTransaction, answer: &Answer) -> Result<(), StoreError> {
    let (stream, id) = (answer.stream.as_str(), answer.request.as_str());
    let mut requests = transaction.open_table(REQUESTS).map_err(failed)?;
    let row = (thirty_two(&answer.digest)?, answer.first, answer.count);
    requests.insert((stream, id), row).map_err(failed)?;
    let until = Timestamp::from_millis(answer.until_ms);
    Keeping::open(transaction)?.keep(Item::Request { stream, id }, until)
}

fn move_hold(transaction: &WriteTransaction, hold: &Hold) -> Result<(), StoreError> {
    let (pipeline, workspace_day) = (hold.pipeline.as_str(), hold.workspace_day.as_str());
    let mut holders = transaction.open_table(HOLDERS).map_err(failed)?;
    let key = (pipeline, workspace_day, hold.upload.as_str());
    if hold.held {
        holders.insert(key, ()).map_err(failed)?;
    } else {
        holders.remove(key).map_err(failed)?;
    }
    let mut used = transaction.open_table(USED).map_err(failed)?;
    used.insert((pipeline, workspace_day), hold.used).map_err(failed)?;
    let item = Item::QuotaDay { pipeline, workspace_day };
    Keeping::open(transaction)?.keep(item, Timestamp::from_millis(hold.until_ms))
}

/// Reads the operations of a group.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Kind>, StoreError> {
    let unread = |what: &str| StoreError::Corrupt(format!("a group in the log: {what}"));
    let ops = Ops::decode(bytes).map_err(|error| unread(&error.to_string()))?.ops;
    ops.into_iter().map(|op| op.kind.ok_or_else(|| unread("an unknown operation"))).collect()
}

impl Ops {
    pub(super) fn push(&mut self, kind: Kind) {
        self.ops.push(Op { kind: Some(kind) });
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The batches in it.
    pub(super) fn counts(&self) -> impl DoubleEndedIterator<Item = &Count> {
        self.ops.iter().filter_map(|op| match &op.kind {
            Some(Kind::Count(count)) => Some(count),
            Some(Kind::Append(_) | Kind::Answer(_) | Kind::Hold(_) | Kind::Fence(_))
            | Some(Kind::Purge(_))
            | None => None,
        })
    }

    /// The batches in it, to keep.
    pub(super) fn into_counts(self) -> impl Iterator<Item = Count> {
        self.ops.into_iter().filter_map(|op| match op.kind {
            Some(Kind::Count(count)) => Some(count),
            Some(Kind::Append(_) | Kind::Answer(_) | Kind::Hold(_) | Kind::Fence(_))
            | Some(Kind::Purge(_))
            | None => None,
        })
    }
}
