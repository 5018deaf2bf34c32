//! Reading a week of counters, after few outcomes and after many.

use std::time::Duration;

use store::{Batch, BatchId, Bucket, Change, Hash, Scope, Store, Window};
use test_kit::RedisServer;
use vocab::Timestamp;

use crate::measure::{Samples, open, ratio, report};

const HOUR: Duration = Duration::from_secs(3_600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
const FEW: u64 = 1;
const MANY: u64 = 1_000; // Batches.
const FIELDS: u64 = 30; // Results, paths and buckets of the latency sketch.
const TURNS: usize = 60;

/// The sum over a week of hours, after five thousand outcomes and after five million, on each
/// store.
pub(crate) async fn a_week_after_many_outcomes_beside_after_few() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let embedded = open(&format!("embedded:{}", dir.path().display())).await;
    compare("embedded", embedded).await;
    let server = RedisServer::start().await;
    compare("Redis", open(&server.url()).await).await;
}

async fn compare(kind: &str, store: Store) {
    let scope = |name: &str| Scope::new(name).expect("a scope");
    let (few, many) = (scope("few"), scope("many"));
    for (scope, batches) in [(&few, FEW), (&many, MANY)] {
        for nth in 0..batches {
            count(&store, scope, nth).await;
        }
    }
    let window = Window {
        series: "h".to_owned(),
        from: Timestamp::EPOCH,
        to: Timestamp::EPOCH.plus(WEEK),
        width: HOUR,
    };
    let (mut after_few, mut after_many) = (Samples::default(), Samples::default());
    for _turn in 0..TURNS {
        for (scope, samples) in [(&few, &mut after_few), (&many, &mut after_many)] {
            let sum = samples.time(store.counters.sum(scope, &window)).await.expect("it answers");
            assert_eq!(sum.len() as u64, FIELDS, "every field was counted");
        }
    }
    let figure = ratio(after_many.median(), after_few.median());
    println!("  {kind}: {:?} after few, {:?} after many", after_few.median(), after_many.median());
    report("a week after 5,040,000 outcomes / after 5,040", figure, "<= 1.5", figure <= 1.5);
}

/// Counts a batch of 5,040 outcomes: one for every field of every hour of the week.
async fn count(store: &Store, scope: &Scope, nth: u64) {
    let hours = WEEK.as_secs() / HOUR.as_secs();
    let mut changes = Vec::new();
    for hour in 0..hours {
        let start = Timestamp::EPOCH.plus(HOUR * u32::try_from(hour).unwrap_or(0));
        let buckets = vec![Bucket { series: "h".to_owned(), start, keep: WEEK }];
        let fields = (0..FIELDS).map(|field| (format!("latency.{field}"), 1)).collect();
        changes.push(Change::Add { buckets, fields });
    }
    let id = BatchId::new(&format!("b{nth}")).expect("a batch id");
    let batch = Batch { id, contents: Hash::of(&nth.to_le_bytes()) };
    store.counters.add(scope, &batch, WEEK, changes).await.expect("it is counted");
}
