//! What a write does to the tables, as values: carried out once when it is asked for, and again
//! from the log where the database had not got to it before a crash.
//!
//! **Invariant:** carrying an operation out depends on the tables and on nothing else.

use std::borrow::Cow;
use std::collections::BTreeMap;

use prost::{Message, Oneof};
use redb::{ReadableTable as _, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;

use super::bucket;
use super::expiry::{self, Item, Keeping};
use super::group::Group;
use super::tables::{BATCHES, BUCKETS, FENCES, GAUGES, HOLDERS, REQUESTS, USED, failed};

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

impl Count {
    /// Keeps everything as long from `now` on as it was to be kept from the beginning of time.
    pub(super) fn begin(&mut self, now: Timestamp) {
        let buckets = self.adds.iter_mut().flat_map(|add| &mut add.buckets);
        let ends = buckets.map(|bucket| &mut bucket.until_ms).chain([&mut self.until_ms]);
        ends.for_each(|end| *end = end.saturating_add(now.as_millis()));
    }
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
        Kind::Answer(answer) => keep_answer(group.transaction(), answer),
        Kind::Count(count) => apply(group.transaction(), count),
        Kind::Hold(hold) => move_hold(group.transaction(), hold),
        Kind::Fence(fence) => {
            let mut fences = group.transaction().open_table(FENCES).map_err(failed)?;
            fences.insert(fence.lease.as_str(), fence.fence).map(drop).map_err(failed)
        }
        Kind::Purge(purge) => {
            let now = Timestamp::from_millis(purge.now_ms);
            expiry::purge(group.transaction(), now).map(drop)
        }
    }
}

fn thirty_two(bytes: &[u8]) -> Result<&[u8; 32], StoreError> {
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

/// Each table is opened once, each bucket written and kept once.
fn apply(transaction: &WriteTransaction, count: &Count) -> Result<(), StoreError> {
    let (scope, batch) = (count.scope.as_str(), count.batch.as_str());
    let mut keeping = Keeping::open(transaction)?;
    if !batch.is_empty() {
        let mut batches = transaction.open_table(BATCHES).map_err(failed)?;
        batches.insert((scope, batch), thirty_two(&count.contents)?).map_err(failed)?;
        let until = Timestamp::from_millis(count.until_ms);
        keeping.keep(Item::Batch { scope, id: batch }, until)?;
    }
    let adds = Adds::of(count);
    {
        let mut buckets = transaction.open_table(BUCKETS).map_err(failed)?;
        for ((series, start_ms), touched) in &adds.touched {
            let (key, fields) = ((scope, *series, *start_ms), adds.fields(touched));
            let row = match buckets.get(key).map_err(failed)? {
                None => bucket::added(&[], &fields)?,
                Some(row) => bucket::added(row.value(), &fields)?,
            };
            buckets.insert(key, row.as_slice()).map_err(failed)?;
        }
        let mut gauges = transaction.open_table(GAUGES).map_err(failed)?;
        for set in &count.sets {
            let key = (scope, set.gauge.as_str());
            let known = gauges.get(key).map_err(failed)?.map(|known| known.value());
            let offered = (set.at_ms, set.value);
            if known.is_none_or(|known| offered > known) {
                gauges.insert(key, offered).map_err(failed)?;
            }
        }
    }
    for ((series, start_ms), touched) in adds.touched {
        let until = Timestamp::from_millis(touched.until_ms);
        keeping.keep(Item::Bucket { scope, series, start_ms }, until)?;
    }
    Ok(())
}

/// What a batch adds, by bucket.
#[derive(Debug, Default)]
struct Adds<'a> {
    /// Counters, in order as a row has them.
    sorted: Vec<Vec<(&'a str, u64)>>,
    /// Series and start in ms to what is done there.
    touched: BTreeMap<(&'a str, i64), Touched>,
}

#[derive(Debug, Default)]
struct Touched {
    until_ms: i64,
    /// Places in `sorted`: one, but of an hour whose minutes are in the batch.
    sorted: Vec<usize>,
}

impl<'a> Adds<'a> {
    fn of(count: &'a Count) -> Self {
        let mut adds = Self::default();
        for add in &count.adds {
            let fields = add.fields.iter().map(|add| (add.field.as_str(), add.by));
            adds.sorted.push(in_order(fields.collect()));
            for bucket in &add.buckets {
                adds.touch(&bucket.series, bucket.start_ms, bucket.until_ms);
            }
        }
        for add in &count.single {
            adds.sorted.push(vec![(add.field.as_str(), add.by)]);
            adds.touch(&add.series, add.start_ms, add.until_ms);
        }
        adds
    }

    fn touch(&mut self, series: &'a str, start_ms: i64, until_ms: i64) {
        let touched = self.touched.entry((series, start_ms)).or_default();
        touched.until_ms = touched.until_ms.max(until_ms);
        touched.sorted.push(self.sorted.len() - 1);
    }

    fn fields(&self, touched: &Touched) -> Cow<'_, [(&'a str, u64)]> {
        match touched.sorted.as_slice() {
            [one] => Cow::Borrowed(&self.sorted[*one]),
            several => {
                let fields = several.iter().flat_map(|one| self.sorted[*one].iter().copied());
                Cow::Owned(in_order(fields.collect()))
            }
        }
    }
}

/// Each field once, as a row has them.
fn in_order(mut fields: Vec<(&str, u64)>) -> Vec<(&str, u64)> {
    fields.sort_unstable_by_key(|(field, _)| *field);
    fields.dedup_by(|again, first| {
        let same = again.0 == first.0;
        if same {
            first.1 = first.1.saturating_add(again.1);
        }
        same
    });
    fields
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

/// The operations of a group, as bytes.
pub(super) fn encode(ops: Vec<Kind>) -> Vec<u8> {
    let ops = ops.into_iter().map(|kind| Op { kind: Some(kind) }).collect();
    Ops { ops }.encode_to_vec()
}

/// Reads the operations of a group.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Kind>, StoreError> {
    let unread = |what: &str| StoreError::Corrupt(format!("a group in the log: {what}"));
    let ops = Ops::decode(bytes).map_err(|error| unread(&error.to_string()))?.ops;
    ops.into_iter().map(|op| op.kind.ok_or_else(|| unread("an unknown operation"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_an_older_log_adds_what_one_of_today_does() {
        let field = |field: &str, by| FieldBy { field: field.to_owned(), by };
        let bucket = |start_ms| BucketOf { series: "m".to_owned(), start_ms, until_ms: 9 };
        let today = Count {
            adds: vec![AddToAll {
                buckets: vec![bucket(0), bucket(60)],
                fields: vec![field("ok", 2), field("bad", 1), field("ok", 3)],
            }],
            ..Count::default()
        };
        let single = |start_ms, field: &str, by| AddTo {
            series: "m".to_owned(),
            start_ms,
            field: field.to_owned(),
            by,
            until_ms: 9,
        };
        let of_each = |start_ms| {
            [single(start_ms, "ok", 2), single(start_ms, "bad", 1), single(start_ms, "ok", 3)]
        };
        let older =
            Count { single: [0, 60].into_iter().flat_map(of_each).collect(), ..Count::default() };
        let come_to = |count: &Count| -> Vec<_> {
            let adds = Adds::of(count);
            let touched = adds.touched.iter();
            let fields = |touched| {
                let fields = adds.fields(touched);
                fields.iter().map(|(field, by)| ((*field).to_owned(), *by)).collect::<Vec<_>>()
            };
            touched.map(|(place, it)| (place.1, it.until_ms, fields(it))).collect()
        };
        let sum = vec![("bad".to_owned(), 1), ("ok".to_owned(), 5)];
        assert_eq!(come_to(&today), [(0, 9, sum.clone()), (60, 9, sum)]);
        assert_eq!(come_to(&older), come_to(&today));
    }
}
