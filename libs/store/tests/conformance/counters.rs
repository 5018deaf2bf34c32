//! Counters and gauges: counted once, in any order, however split.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use store::{
    Added, Batch, BatchId, Bucket, Change, Counters, Hash, Reading, Scope, StoreError, Window,
};
use test_kit::eventually;
use tokio::task::JoinSet;
use vocab::Timestamp;

use crate::site::Site;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const CASES: u32 = 16; // Each is tens of round trips.

on_every_store!(
    a_batch_is_counted_once_also_after_opening_again,
    a_batch_id_with_other_contents_is_neither_counted_nor_a_duplicate,
    a_batch_raced_by_itself_is_counted_once,
    order_repetition_and_splitting_change_no_total,
    a_sum_covers_its_window_only,
    a_window_of_too_many_buckets_is_refused,
    the_newest_reading_of_a_gauge_wins_and_at_equal_times_the_larger,
    scopes_are_apart,
    what_is_over_is_dropped,
);

fn scope() -> Scope {
    Scope::new("ingestion_v2").unwrap()
}

fn batch(id: &str) -> Batch {
    Batch { id: BatchId::new(id).unwrap(), contents: Hash::of(b"contents") }
}

fn at_minute(minute: u32) -> Timestamp {
    Timestamp::from_millis(1_790_000_040_000).plus(MINUTE * minute)
}

fn add(minute: u32, field: &str, by: u64) -> Change {
    let bucket = Bucket { series: "m".to_owned(), start: at_minute(minute), keep: HOUR };
    Change::add(bucket, field, by)
}

fn set(gauge: &str, minute: u32, value: i64) -> Change {
    Change::Set { gauge: gauge.to_owned(), value, at: at_minute(minute) }
}

fn window(from: u32, to: u32) -> Window {
    Window { series: "m".to_owned(), from: at_minute(from), to: at_minute(to), width: MINUTE }
}

fn totals<const N: usize>(totals: [(&str, u64); N]) -> BTreeMap<String, u64> {
    totals.into_iter().map(|(field, total)| (field.to_owned(), total)).collect()
}

async fn a_batch_is_counted_once_also_after_opening_again(site: &Site) {
    let store = site.open().await;
    let changes = vec![add(0, "ok", 3), add(0, "ok", 4), add(1, "bad", 1), set("backlog", 0, 9)];
    let counters = store.counters.clone();
    let first = counters.add(&scope(), &batch("b1"), HOUR, changes.clone()).await.unwrap();
    assert_eq!(first, Added::Counted);
    let second = counters.add(&scope(), &batch("b1"), HOUR, changes.clone()).await.unwrap();
    assert_eq!(second, Added::Duplicate);
    drop((store, counters));

    let counters = site.open().await.counters;
    let third = counters.add(&scope(), &batch("b1"), HOUR, changes).await.unwrap();
    assert_eq!(third, Added::Duplicate);
    let sum = counters.sum(&scope(), &window(0, 10)).await.unwrap();
    assert_eq!(sum, totals([("ok", 7), ("bad", 1)]));
    assert_eq!(counters.gauges(&scope()).await.unwrap().len(), 1);
}

async fn a_batch_id_with_other_contents_is_neither_counted_nor_a_duplicate(site: &Site) {
    let store = site.open().await;
    let counters = store.counters.clone();
    counters.add(&scope(), &batch("b1"), HOUR, vec![add(0, "ok", 3)]).await.unwrap();
    let other = Batch { contents: Hash::of(b"other contents"), ..batch("b1") };
    let reused = counters.add(&scope(), &other, HOUR, vec![add(0, "ok", 5)]).await.unwrap();
    assert_eq!(reused, Added::Reused);
    assert_eq!(counters.sum(&scope(), &window(0, 1)).await.unwrap(), totals([("ok", 3)]));
}

async fn a_batch_raced_by_itself_is_counted_once(site: &Site) {
    let counters = site.open().await.counters;
    let mut racers = JoinSet::new();
    for _racer in 0..16 {
        let counters = counters.clone();
        racers.spawn(async move {
            counters.add(&scope(), &batch("b1"), HOUR, vec![add(0, "ok", 5)]).await.unwrap()
        });
    }
    let answers = racers.join_all().await;
    assert_eq!(answers.iter().filter(|added| **added == Added::Counted).count(), 1);
    assert_eq!(counters.sum(&scope(), &window(0, 1)).await.unwrap(), totals([("ok", 5)]));
}

/// The minute, whether it went well, by how much, and the batch it is sent in.
type Sent = (u32, bool, u64, usize);

/// Changes, the batch each of them is sent in, and the order in which batches arrive.
fn deliveries() -> impl Strategy<Value = (Vec<Sent>, Vec<usize>)> {
    let changes = prop::collection::vec((0..4_u32, any::<bool>(), 0..1000_u64, 0..4_usize), 1..12);
    (changes, prop::collection::vec(0..4_usize, 0..8))
}

async fn order_repetition_and_splitting_change_no_total(site: &Site) {
    static CASE: AtomicU32 = AtomicU32::new(0);
    let counters = site.open().await.counters;
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let property = |(changes, order): (Vec<Sent>, Vec<usize>)| {
        let scope = format!("case-{}", CASE.fetch_add(1, Ordering::Relaxed));
        let scope = Scope::new(&scope).unwrap();
        let deliver = deliver(&*counters, &scope, &changes, &order);
        let (sum, gauges) = tokio::runtime::Handle::current().block_on(deliver);
        let mut expected = BTreeMap::new();
        let mut newest = None;
        for (minute, good, by, _) in &changes {
            let field = if *good { "ok" } else { "bad" };
            *expected.entry(field.to_owned()).or_default() += by;
            newest = newest.max(Some((*minute, i64::try_from(*by).unwrap())));
        }
        let (minute, value) = newest.unwrap();
        prop_assert_eq!(sum, expected);
        let reading = Reading { value, at: at_minute(minute) };
        prop_assert_eq!(gauges, BTreeMap::from([("backlog".to_owned(), reading)]));
        Ok(())
    };
    tokio::task::block_in_place(|| TestRunner::new(config).run(&deliveries(), property)).unwrap();
}

/// Sends each of four batches once at least, in `order` first.
async fn deliver(
    counters: &dyn Counters,
    scope: &Scope,
    changes: &[Sent],
    order: &[usize],
) -> (BTreeMap<String, u64>, BTreeMap<String, Reading>) {
    for wanted in order.iter().copied().chain(0..4) {
        let changes: Vec<Change> = changes
            .iter()
            .filter(|(.., sent_in)| *sent_in == wanted)
            .flat_map(|(minute, good, by, _)| {
                let field = if *good { "ok" } else { "bad" };
                let value = i64::try_from(*by).unwrap();
                [add(*minute, field, *by), set("backlog", *minute, value)]
            })
            .collect();
        let id = batch(&format!("b{wanted}"));
        counters.add(scope, &id, HOUR, changes).await.unwrap();
    }
    let sum = counters.sum(scope, &window(0, 4)).await.unwrap();
    (sum, counters.gauges(scope).await.unwrap())
}

async fn a_sum_covers_its_window_only(site: &Site) {
    let counters = site.open().await.counters;
    let changes: Vec<Change> = (0..6).map(|minute| add(minute, "ok", 1 << minute)).collect();
    counters.add(&scope(), &batch("b1"), HOUR, changes).await.unwrap();
    let other = Bucket { series: "h".to_owned(), start: at_minute(2), keep: HOUR };
    let other = vec![Change::add(other, "ok", 1000)];
    counters.add(&scope(), &batch("b2"), HOUR, other).await.unwrap();
    let sum = async |from, to| counters.sum(&scope(), &window(from, to)).await.unwrap();
    assert_eq!(sum(0, 6).await, totals([("ok", 63)]));
    assert_eq!(sum(2, 4).await, totals([("ok", 4 + 8)]));
    assert_eq!(sum(6, 9).await, totals([]));
    assert_eq!(sum(3, 3).await, totals([]));
}

async fn a_window_of_too_many_buckets_is_refused(site: &Site) {
    let counters = site.open().await.counters;
    assert!(counters.sum(&scope(), &window(0, 1000)).await.unwrap().is_empty());
    let refused = counters.sum(&scope(), &window(0, 1001)).await;
    assert!(matches!(refused, Err(StoreError::Settings(_))), "{refused:?}");
    let endless = Window { width: Duration::ZERO, ..window(0, 1) };
    assert!(counters.sum(&scope(), &endless).await.is_err());
}

async fn the_newest_reading_of_a_gauge_wins_and_at_equal_times_the_larger(site: &Site) {
    let counters = site.open().await.counters;
    for (id, change) in [
        ("b1", set("backlog", 5, -7)),
        ("b2", set("backlog", 3, 100)),
        ("b3", set("backlog", 5, -9)),
        ("b4", set("lag", 1, 1)),
        ("b5", set("lag", 1, 2)),
    ] {
        counters.add(&scope(), &batch(id), HOUR, vec![change]).await.unwrap();
    }
    let gauges = counters.gauges(&scope()).await.unwrap();
    assert_eq!(gauges["backlog"], Reading { value: -7, at: at_minute(5) });
    assert_eq!(gauges["lag"], Reading { value: 2, at: at_minute(1) });
    assert_eq!(gauges.len(), 2);
}

async fn scopes_are_apart(site: &Site) {
    let counters = site.open().await.counters;
    let (one, two) = (Scope::new("p").unwrap(), Scope::new("p2").unwrap());
    let changes = vec![add(0, "ok", 1), set("backlog", 0, 1)];
    let counted = counters.add(&one, &batch("b"), HOUR, changes.clone()).await.unwrap();
    assert_eq!(counted, Added::Counted);
    assert!(counters.sum(&two, &window(0, 1)).await.unwrap().is_empty());
    assert!(counters.gauges(&two).await.unwrap().is_empty());
    assert_eq!(counters.add(&two, &batch("b"), HOUR, changes).await.unwrap(), Added::Counted);
}

async fn what_is_over_is_dropped(site: &Site) {
    const SOON: Duration = Duration::from_millis(20);
    let counters = site.open().await.counters;
    let bucket = Bucket { series: "m".to_owned(), start: at_minute(0), keep: SOON };
    let short = vec![Change::add(bucket, "ok", 1)];
    counters.add(&scope(), &batch("b1"), SOON, short).await.unwrap();
    site.advance(HOUR);
    eventually("the batch is forgotten", async || {
        counters.add(&scope(), &batch("b1"), HOUR, Vec::new()).await.unwrap() == Added::Counted
    })
    .await;
    eventually("the bucket is dropped", async || {
        counters.sum(&scope(), &window(0, 1)).await.unwrap().is_empty()
    })
    .await;
}
