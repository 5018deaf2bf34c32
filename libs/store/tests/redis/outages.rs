//! A server that is paused, slow, cut off, full, loading or not the primary any more: calls end,
//! nothing acknowledged is lost, and the store comes back by itself.

use std::time::Duration;

use store::{Durability, Journal};
use test_kit::{Proxy, RedisServer, eventually};
use tokio::task::JoinSet;

use crate::load::{Load, assert_kept};
use crate::{add, calls, errors, event, fill, named, open, said, stream};

const STREAMS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30); // Several times what a call may take.

/// Asks for every stream at once, many times, and returns how many asked in vain. An answer that
/// is another's fails the test.
async fn read_all(journal: &std::sync::Arc<dyn Journal>, rounds: usize) -> usize {
    let mut readers = JoinSet::new();
    for index in (0..STREAMS).cycle().take(STREAMS * rounds) {
        let journal = std::sync::Arc::clone(journal);
        readers.spawn(async move {
            let stream = named(&format!("s-{index}"));
            let reading = journal.read(&stream, 0, 10);
            let read = tokio::time::timeout(PATIENCE, reading).await.expect("a call ends");
            let Ok(records) = read else { return 1 };
            assert_eq!(records[0].payload, format!("stream {index}").into_bytes());
            0
        });
    }
    readers.join_all().await.iter().sum()
}

async fn fill_all(journal: &dyn Journal) {
    for index in 0..STREAMS {
        add(journal, &named(&format!("s-{index}")), &format!("stream {index}")).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_ends_every_call_and_no_answer_is_taken_for_anothers() {
    let server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    fill_all(&*store.journal).await;
    server.pause();
    assert_eq!(read_all(&store.journal, 5).await, STREAMS * 5, "the server was not paused");
    let unanswered = add(&*store.journal, &stream(), "x").await.unwrap_err();
    assert!(unanswered.to_string().starts_with("store unavailable"), "{unanswered}");
    let taking = store.leases.acquire("loop", "me", Duration::from_secs(60));
    tokio::time::timeout(PATIENCE, taking).await.expect("a call ends").unwrap_err();
    server.resume();
    eventually("the store answers", async || store.journal.head(&stream()).await.is_ok()).await;
    assert_eq!(read_all(&store.journal, 30).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_waited_for_and_one_too_slow_is_given_up() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = open(&format!("redis://127.0.0.1:{}", proxy.port()), Durability::PowerLoss).await;
    fill_all(&*store.journal).await;
    proxy.delay(Duration::from_millis(150));
    assert_eq!(read_all(&store.journal, 5).await, 0);
    fill(&*store.journal, 2).await;
    proxy.delay(Duration::from_secs(4));
    assert_eq!(read_all(&store.journal, 1).await, STREAMS);
    proxy.heal(); // Answers of before may still be on their way.
    eventually("the store answers", async || store.journal.head(&stream()).await.is_ok()).await;
    assert_eq!(read_all(&store.journal, 30).await, 0);
    assert_eq!(said(&*store.journal, &stream()).await, ["0", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_or_cuts_is_tried_again_after_pauses() {
    let server = RedisServer::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = open(&format!("redis://127.0.0.1:{}", proxy.port()), Durability::PowerLoss).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(20).await;
    proxy.cut();
    load.is_refused("tried again in").await; // At once, between two attempts.
    proxy.heal();
    load.acknowledges(20).await;
    proxy.black_hole();
    load.is_refused("").await;
    proxy.heal();
    load.acknowledges(20).await;
    assert_kept(&*store.journal, &load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    for index in 0..5 {
        server.command(&["SCRIPT", "FLUSH"]).await;
        add(&*store.journal, &stream(), &index.to_string()).await.unwrap();
        add(&*store.journal, &stream(), &format!("{index} again")).await.unwrap();
    }
    assert_eq!(errors(&server, "NOSCRIPT").await, 5);
    assert_eq!(calls(&server, "eval").await, 5);
    assert_eq!(said(&*store.journal, &stream()).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_loading_is_waited_for() {
    let mut server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let head = fill(&*store.journal, 3).await;
    let filling = "for i = 1, 3000 do redis.call('SET', 'filler' .. i, i) end";
    server.command(&["EVAL", filling, "0"]).await;
    server.start_again(&["--key-load-delay", "1000"]);
    eventually("the server says that it is loading", async || {
        let asked = store.journal.head(&stream()).await;
        asked.is_err_and(|error| error.to_string().contains("loading"))
    })
    .await;
    let after =
        eventually("it has loaded", async || store.journal.head(&stream()).await.ok()).await;
    assert_eq!(after, head);
    add(&*store.journal, &stream(), "after").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_made_a_replica_takes_no_writes_and_loses_none() {
    let server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(10).await;
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await;
    load.is_refused("read only replica").await;
    server.command(&["CONFIG", "SET", "replica-serve-stale-data", "no"]).await;
    load.is_refused("MasterDown").await;
    server.command(&["REPLICAOF", "NO", "ONE"]).await;
    load.acknowledges(10).await;
    assert_kept(&*store.journal, &load.stop().await).await;
    assert!(errors(&server, "READONLY").await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_out_of_memory_takes_events_and_refuses_whole_what_can_wait() {
    let server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let head = fill(&*store.journal, 3).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let kept = store.journal.append(&stream(), &event(head, "3")).await.unwrap();
    let id = store::BatchId::new("b").unwrap();
    let batch = store::Batch { id, contents: store::Hash::of(b"") };
    let scope = store::Scope::new("p").unwrap();
    let counted = store.counters.add(&scope, &batch, PATIENCE, Vec::new()).await;
    assert!(counted.unwrap_err().to_string().contains("OOM"));
    assert_eq!(store.journal.head(&stream()).await.unwrap().version, kept.version);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    store.counters.add(&scope, &batch, PATIENCE, Vec::new()).await.unwrap();
}
