//! Carrying out what a batch adds to counters, and sets gauges to.

use std::borrow::Cow;
use std::collections::BTreeMap;

use redb::{ReadableTable as _, WriteTransaction};
use vocab::Timestamp;

use crate::error::StoreError;

use super::bucket;
use super::expiry::{Item, Keeping};
use super::ops::{BucketOf, Count, thirty_two};
use super::tables::{BATCHES, BUCKETS, GAUGES, failed};

impl Count {
    /// Keeps everything as long from `now` on as it was to be kept from the beginning of time.
    pub(super) fn begin(&mut self, now: Timestamp) {
        let buckets = self.adds.iter_mut().flat_map(|add| &mut add.buckets);
        let ends = buckets.map(|bucket| &mut bucket.until_ms).chain([&mut self.until_ms]);
        ends.for_each(|end| *end = end.saturating_add(now.as_millis()));
    }
}

/// Changes what a batch changes.
pub(super) fn apply(transaction: &WriteTransaction, count: &Count) -> Result<(), StoreError> {
    let (scope, batch) = (count.scope.as_str(), count.batch.as_str());
    let mut keeping = Keeping::open(transaction)?;
    if !batch.is_empty() {
        let mut batches = transaction.open_table(BATCHES).map_err(failed)?;
        batches.insert((scope, batch), thirty_two(&count.contents)?).map_err(failed)?;
        let until = Timestamp::from_millis(count.until_ms);
        keeping.keep(Item::Batch { scope, id: batch }, until)?;
    }
    let sets = count.sets.iter().map(|set| (set.gauge.as_str(), (set.at_ms, set.value)));
    change(&mut keeping, scope, &Adds::of(count), sets)
}

/// Adds to counters, and sets gauges to a time in ms and a value. Each table is opened once, each
/// bucket written and kept once.
pub(super) fn change<'a>(
    keeping: &mut Keeping<'_>,
    scope: &str,
    adds: &Adds<'_>,
    sets: impl Iterator<Item = (&'a str, (i64, i64))>,
) -> Result<(), StoreError> {
    let transaction = keeping.transaction();
    let mut buckets = transaction.open_table(BUCKETS).map_err(failed)?;
    for ((series, start_ms), touched) in &adds.touched {
        let (key, fields) = ((scope, *series, *start_ms), adds.fields(touched));
        let row = match buckets.get(key).map_err(failed)? {
            None => bucket::added(&[], &fields)?,
            Some(row) => bucket::added(row.value(), &fields)?,
        };
        buckets.insert(key, row.as_slice()).map_err(failed)?;
        let until = Timestamp::from_millis(touched.until_ms);
        keeping.keep(Item::Bucket { scope, series, start_ms: *start_ms }, until)?;
    }
    let mut gauges = transaction.open_table(GAUGES).map_err(failed)?;
    for (gauge, offered) in sets {
        let known = gauges.get((scope, gauge)).map_err(failed)?.map(|known| known.value());
        if known.is_none_or(|known| offered > known) {
            gauges.insert((scope, gauge), offered).map_err(failed)?;
        }
    }
    Ok(())
}

/// What a batch adds, by bucket.
#[derive(Debug, Default)]
pub(super) struct Adds<'a> {
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
            let bucket = |one: &'a BucketOf| (one.series.as_str(), one.start_ms, one.until_ms);
            adds.add(add.buckets.iter().map(bucket), fields.collect());
        }
        for add in &count.single {
            let bucket = (add.series.as_str(), add.start_ms, add.until_ms);
            adds.add([bucket], vec![(add.field.as_str(), add.by)]);
        }
        adds
    }

    /// Adds fields to each of some buckets: series, start in ms, and until when they are kept.
    pub(super) fn add(
        &mut self,
        buckets: impl IntoIterator<Item = (&'a str, i64, i64)>,
        fields: Vec<(&'a str, u64)>,
    ) {
        let place = self.sorted.len();
        self.sorted.push(in_order(fields));
        for (series, start_ms, until_ms) in buckets {
            let touched = self.touched.entry((series, start_ms)).or_default();
            touched.until_ms = touched.until_ms.max(until_ms);
            touched.sorted.push(place);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::ops::{AddTo, AddToAll, FieldBy};

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
