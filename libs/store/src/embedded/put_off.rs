//! Batches that are in the log and not yet in the tables: added up here, and carried out together.
//!
//! A batch adds to a few hundred counters, and the next one to the same. Carried out one by one, each
//! costs the database more than it costs the log.
//!
//! **Invariant:** whoever reads or writes the tables has these carried out first.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use redb::WriteTransaction;
use vocab::Timestamp;

use crate::error::StoreError;

use super::count::{self, Adds};
use super::expiry::{Item, Keeping};
use super::ops::{AddToAll, Count, thirty_two};
use super::tables::{BATCHES, failed};

/// Batches put off at most: bounds how long the next write takes that needs the tables.
const BATCHES_MAX: usize = 64;
/// Counters put off at most: bounds memory, to a few MiB.
const COUNTERS_MAX: usize = 20_000;

/// What is put off.
#[derive(Debug, Default)]
pub(super) struct PutOff {
    scopes: BTreeMap<String, OfScope>,
    batches: usize,
    counters: usize,
}

#[derive(Debug, Default)]
struct OfScope {
    batches: HashMap<String, Counted>,
    sums: HashMap<Buckets, Sum, RandomState>,
    /// To the time in ms and the value.
    gauges: HashMap<String, (i64, i64)>,
}

/// A batch that was counted.
#[derive(Debug, Default)]
struct Counted {
    contents: Vec<u8>,
    until_ms: i64,
}

/// Series and start in ms of buckets to which the same is added.
type Buckets = Vec<(String, i64)>;

#[derive(Debug, Default)]
struct Sum {
    /// Until when each of the buckets is kept, in ms.
    until_ms: Vec<i64>,
    fields: HashMap<String, u64, RandomState>,
}

impl PutOff {
    pub(super) const fn is_empty(&self) -> bool {
        self.batches == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.batches >= BATCHES_MAX || self.counters >= COUNTERS_MAX
    }

    /// What a batch contained that was counted under this id and is remembered at `now`.
    pub(super) fn contents(&self, scope: &str, id: &str, now: Timestamp) -> Option<&[u8]> {
        let counted = self.scopes.get(scope)?.batches.get(id)?;
        (counted.until_ms > now.as_millis()).then_some(&counted.contents)
    }

    /// Adds a batch, which is in the log.
    pub(super) fn add(&mut self, count: Count) {
        let Count { scope, batch, contents, until_ms, adds, sets, single: _ } = count;
        let own = self.scopes.entry(scope).or_default();
        let counted = own.batches.entry(batch).or_default();
        *counted = Counted { contents, until_ms: until_ms.max(counted.until_ms) };
        self.batches += 1;
        for set in sets {
            let offered = (set.at_ms, set.value);
            let known = own.gauges.entry(set.gauge).or_insert(offered);
            *known = offered.max(*known);
        }
        for AddToAll { buckets, fields } in adds {
            let until_ms = buckets.iter().map(|bucket| bucket.until_ms).collect();
            let place = buckets.into_iter().map(|bucket| (bucket.series, bucket.start_ms));
            let sum = own.sums.entry(place.collect()).or_default();
            sum.keep(until_ms);
            let known = sum.fields.len();
            for add in fields {
                match sum.fields.get_mut(&add.field) {
                    Some(total) => *total = total.saturating_add(add.by),
                    None => drop(sum.fields.insert(add.field, add.by)),
                }
            }
            self.counters += sum.fields.len() - known;
        }
    }

    /// Carries everything out.
    pub(super) fn carry_out(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        self.scopes.iter().try_for_each(|(scope, own)| own.carry_out(transaction, scope))
    }
}

impl OfScope {
    fn carry_out(&self, transaction: &WriteTransaction, scope: &str) -> Result<(), StoreError> {
        let mut keeping = Keeping::open(transaction)?;
        let mut batches = transaction.open_table(BATCHES).map_err(failed)?;
        for (id, counted) in &self.batches {
            let contents = thirty_two(&counted.contents)?;
            batches.insert((scope, id.as_str()), contents).map_err(failed)?;
            let until = Timestamp::from_millis(counted.until_ms);
            keeping.keep(Item::Batch { scope, id }, until)?;
        }
        let mut adds = Adds::default();
        for (buckets, sum) in &self.sums {
            let buckets = buckets.iter().zip(&sum.until_ms);
            let buckets = buckets.map(|((series, start), until)| (series.as_str(), *start, *until));
            let fields = sum.fields.iter().map(|(field, by)| (field.as_str(), *by));
            adds.add(buckets, fields.collect());
        }
        let gauges = self.gauges.iter().map(|(gauge, reading)| (gauge.as_str(), *reading));
        count::change(&mut keeping, scope, &adds, gauges)
    }
}

impl Sum {
    fn keep(&mut self, until_ms: Vec<i64>) {
        if self.until_ms.is_empty() {
            self.until_ms = until_ms;
            return;
        }
        for (known, until) in self.until_ms.iter_mut().zip(until_ms) {
            *known = until.max(*known);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableDatabase as _, ReadableTable as _};

    use super::*;
    use crate::embedded::ops::{BucketOf, FieldBy, SetTo};
    use crate::embedded::tables::{self, BUCKETS, GAUGES, KEPT};

    fn count() -> impl Strategy<Value = Count> {
        let bucket = ("[mh]", 0..3_i64, 1..9_i64);
        let bucket =
            bucket.prop_map(|(series, start_ms, until_ms)| BucketOf { series, start_ms, until_ms });
        let field = ("[a-c]", any::<u64>()).prop_map(|(field, by)| FieldBy { field, by });
        let add = (prop::collection::vec(bucket, 1..4), prop::collection::vec(field, 1..4));
        let add = add.prop_map(|(buckets, fields)| AddToAll { buckets, fields });
        let set = ("[xy]", 0..4_i64, any::<i64>());
        let set = set.prop_map(|(gauge, at_ms, value)| SetTo { gauge, at_ms, value });
        let names = ("[pq]", "[a-f]", 1..9_i64);
        let changes = (prop::collection::vec(add, 0..4), prop::collection::vec(set, 0..3));
        (names, changes).prop_map(|((scope, batch, until_ms), (adds, sets))| Count {
            scope,
            batch,
            contents: vec![7; 32],
            until_ms,
            adds,
            sets,
            ..Count::default()
        })
    }

    /// What is in the tables once `write` has written.
    fn tables(write: impl FnOnce(&WriteTransaction)) -> [Vec<String>; 4] {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        tables::create(&database).unwrap();
        let transaction = database.begin_write().unwrap();
        write(&transaction);
        transaction.commit().unwrap();
        let read = database.begin_read().unwrap();
        macro_rules! rows {
            ($table:ident) => {{
                let table = read.open_table($table).unwrap();
                let rows = table.iter().unwrap().map(Result::unwrap);
                rows.map(|(key, row)| format!("{:?} {:?}", key.value(), row.value())).collect()
            }};
        }
        [rows!(BUCKETS), rows!(GAUGES), rows!(KEPT), rows!(BATCHES)]
    }

    proptest! {
        #[test]
        fn what_was_put_off_comes_to_what_it_would_have_come_to_at_once(
            before in prop::collection::vec(count(), 0..4),
            counts in prop::collection::vec(count(), 0..12),
        ) {
            let one_by_one = |transaction: &WriteTransaction, counts: &[Count]| {
                counts.iter().for_each(|one| count::apply(transaction, one).unwrap());
            };
            let at_once = tables(|transaction| {
                one_by_one(transaction, &before);
                one_by_one(transaction, &counts);
            });
            let later = tables(|transaction| {
                one_by_one(transaction, &before);
                let mut put_off = PutOff::default();
                counts.iter().cloned().for_each(|one| put_off.add(one));
                put_off.carry_out(transaction).unwrap();
            });
            prop_assert_eq!(later, at_once);
        }
    }

    #[test]
    fn a_batch_is_known_for_as_long_as_it_is_remembered() {
        let mut put_off = PutOff::default();
        let (scope, batch, contents) = ("p".to_owned(), "b".to_owned(), vec![7; 32]);
        put_off.add(Count { scope, batch, contents, until_ms: 5, ..Count::default() });
        let contents = |scope, id, now_ms| {
            put_off.contents(scope, id, Timestamp::from_millis(now_ms)).map(<[u8]>::len)
        };
        assert_eq!((contents("p", "b", 4), contents("p", "b", 5)), (Some(32), None));
        assert_eq!((contents("p", "c", 4), contents("q", "b", 4)), (None, None));
    }

    #[test]
    fn it_is_full_after_so_many_batches_and_after_so_many_counters() {
        let batch = |nth: usize, counters: usize| {
            let field = |n: usize| FieldBy { field: format!("{nth}-{n}"), by: 1 };
            let bucket = BucketOf { series: "m".to_owned(), start_ms: 0, until_ms: 9 };
            let fields = (0..counters).map(field).collect();
            let adds = vec![AddToAll { buckets: vec![bucket], fields }];
            Count { batch: nth.to_string(), adds, ..Count::default() }
        };
        let full_after = |counters: usize| {
            let mut put_off = PutOff::default();
            (0..).find(|nth| {
                put_off.add(batch(*nth, counters));
                put_off.is_full()
            })
        };
        assert_eq!(full_after(1), Some(BATCHES_MAX - 1));
        assert_eq!(full_after(COUNTERS_MAX / 4), Some(3));
    }
}
