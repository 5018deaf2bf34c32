//! The store on Redis beside the bare command, through the same server with `appendfsync always`.

use redis::aio::MultiplexedConnection;
use store::{Batch, BatchId, Bucket, Change, Hash, Head, Record, Scope};
use test_kit::RedisServer;
use vocab::Timestamp;

use crate::measure::{Samples, append, events, open, ratio, report, stream};

const TURNS: usize = 1_500;

async fn connect(url: String) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("the address of a server of ours");
    client.get_multiplexed_async_connection().await.expect("the server answers")
}

/// One append, beside an `XADD` of the same bytes to another stream.
pub(crate) async fn append_beside_a_bare_xadd() {
    let server = RedisServer::start().await;
    let store = open(&server.url()).await;
    let mut redis = connect(server.url()).await;
    let stream = stream("bench");
    let event = events(Head::default(), 1);
    let record = Record::seal(1, Head::default().hash, &event, &event.drafts[0]);
    let (bytes, hash) = (record.encode(), record.hash.to_string());
    let (mut ours, mut bare) = (Samples::default(), Samples::default());
    let mut head = Head::default();
    for _turn in 0..TURNS {
        head = ours.time(append(&*store.journal, &stream, head, 1)).await;
        let mut adding = redis::cmd("XADD");
        adding.arg("bare").arg("*").arg("record").arg(&bytes).arg("hash").arg(&hash);
        let id: String = bare.time(adding.query_async(&mut redis)).await.expect("it is added");
        drop(id);
    }
    let figure = ratio(ours.median(), bare.median());
    println!("  append {:?}, XADD {:?}", ours.median(), bare.median());
    report("Redis append / bare XADD", figure, "<= 1.3", figure <= 1.3);
}

/// How often the server was asked while a batch of a thousand outcomes was counted.
pub(crate) async fn a_thousand_outcomes_in_one_round_trip() {
    let server = RedisServer::start().await;
    let store = open(&server.url()).await;
    let mut redis = connect(server.url()).await;
    let scope = Scope::new("bench").expect("a scope");
    let changes: Vec<Change> = (0..1_000_i64)
        .map(|nth| {
            let start = Timestamp::from_millis(nth % 4 * 60_000);
            let keep = std::time::Duration::from_secs(3_600);
            let bucket = Bucket { series: "m".to_owned(), start, keep };
            Change::add(bucket, format!("field-{}", nth % 20), 1)
        })
        .collect();
    let batch = |id: &str| Batch {
        id: BatchId::new(id).expect("a batch id"),
        contents: Hash::of(id.as_bytes()),
    };
    let hour = std::time::Duration::from_secs(3_600);
    store.counters.add(&scope, &batch("warm"), hour, changes.clone()).await.expect("it is counted");
    let before = reads(&mut redis).await;
    let mut ours = Samples::default();
    for round in 0..100 {
        let batch = batch(&format!("b{round}"));
        let counting = store.counters.add(&scope, &batch, hour, changes.clone());
        ours.time(counting).await.expect("it is counted");
    }
    // The second question is one read itself.
    let trips = f64::from(reads(&mut redis).await - before - 1) / 100.0;
    println!("  a batch of 1,000 outcomes {:?}", ours.median());
    report("round trips for a batch of 1,000 outcomes", trips, "1", (0.99..1.5).contains(&trips));
}

/// How often the server has read from any client's socket.
async fn reads(redis: &mut MultiplexedConnection) -> u32 {
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("stats").query_async(redis).await.expect("the server answers");
    info.get("total_reads_processed").expect("Redis 6 and later tell")
}
