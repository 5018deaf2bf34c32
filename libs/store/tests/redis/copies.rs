//! What is confirmed before it is acknowledged, on the disk here and on replicas.

use std::path::Path;

use store::{Durability, TlsFiles};
use test_kit::{Proxy, RedisServer, eventually, valkey};
use tokio::task::JoinSet;

use crate::{add, calls, count, event, fill, named, open, stream, try_open};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_before_its_disk_is_asked_to_confirm_once_for_many() {
    let Some(valkey) = valkey() else { return };
    let server = RedisServer::start_program(&valkey, &["--appendfsync", "everysec"]).await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let facts = store.promise.facts().join(", ");
    assert!(facts.contains("valkey 9") && facts.contains("by WAITAOF"), "{facts}");

    let mut writers = JoinSet::new();
    for index in 0..40 {
        let journal = store.journal.clone();
        writers.spawn(async move { add(&*journal, &named(&format!("s-{index}")), "x").await });
    }
    assert!(writers.join_all().await.iter().all(Result::is_ok));
    let confirmations = calls(&server, "waitaof").await;
    assert!((1..20).contains(&confirmations), "{confirmations} for 40 writes");

    // A repetition acknowledges the first write again, and so confirms it again.
    for repeat in 1..=2 {
        let again = add(&*store.journal, &named("s-7"), "x").await.unwrap();
        assert!(again.repeated);
        assert_eq!(calls(&server, "waitaof").await, confirmations + repeat * 2 - 1);
        let request = event(store::Head::default(), "x").request.unwrap();
        assert!(store.journal.find(&named("s-7"), &request).await.unwrap().is_some());
        assert_eq!(calls(&server, "waitaof").await, confirmations + repeat * 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_on_no_disk_is_not_acknowledged() {
    let Some(valkey) = valkey() else { return };
    let server = RedisServer::start_program(&valkey, &["--appendfsync", "everysec"]).await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    fill(&*store.journal, 1).await;
    server.command(&["CONFIG", "SET", "appendonly", "no"]).await;
    let refused = add(&*store.journal, &stream(), "lost?").await.unwrap_err().to_string();
    assert!(refused.contains("written but not confirmed"), "{refused}");
    assert_eq!(store.probe().await.unwrap().level(), Durability::Memory);
    server.command(&["CONFIG", "SET", "appendonly", "yes"]).await;
    eventually("writes are confirmed again", async || {
        add(&*store.journal, &stream(), "kept").await.is_ok()
    })
    .await;
    assert_eq!(store.probe().await.unwrap().level(), Durability::PowerLoss);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_before_the_confirmation_leaves_the_outcome_open() {
    let Some(valkey) = valkey() else { return };
    let server = RedisServer::start_program(&valkey, &["--appendfsync", "everysec"]).await;
    let proxy = Proxy::start(server.port()).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let store = open(&url, Durability::PowerLoss).await;
    let mut turns = 0..;
    let id = eventually("a connection is cut in time", async || {
        let id = format!("turn-{}", turns.next()?);
        let (journal, tag) = (store.journal.clone(), id.clone());
        let adding = tokio::spawn(async move { add(&*journal, &stream(), &tag).await });
        while count(&server, "clients", "blocked_clients:").await == 0 && !adding.is_finished() {}
        proxy.cut();
        let added = adding.await.unwrap();
        proxy.heal();
        added.is_err_and(|error| error.to_string().contains("not confirmed")).then_some(id)
    })
    .await;
    let again =
        eventually("the store is back", async || add(&*store.journal, &stream(), &id).await.ok())
            .await;
    assert!(again.repeated, "it had been written, and is confirmed now");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_valkey_a_write_is_acknowledged_once_a_replica_has_it_on_disk() {
    let Some(valkey) = valkey() else { return };
    acknowledged_with_a_copy(&valkey, "on disk").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_redis_7_0_a_write_is_acknowledged_once_a_replica_has_it_in_memory() {
    acknowledged_with_a_copy(Path::new("redis-server"), "in memory").await;
}

async fn acknowledged_with_a_copy(program: &Path, place: &str) {
    let primary = RedisServer::start_program(program, &[]).await;
    let replica = RedisServer::start_program(program, &[]).await;
    replica.replicate(&primary).await;
    let two = try_open(&primary.url(), Durability::Copies(2), TlsFiles::default()).await;
    let refused = two.unwrap_err().to_string();
    assert!(refused.contains(": 1, expected 2"), "{refused}");

    let store = open(&primary.url(), Durability::Copies(1)).await;
    assert_eq!(store.promise.level(), Durability::Copies(1));
    assert!(store.promise.facts().join(", ").contains(place), "{:?}", store.promise);
    fill(&*store.journal, 3).await;
    let length = replica.command(&["XLEN", "{softlaunch:rollout}:journal"]).await;
    assert_eq!(length, ":3\r\n"); // Not eventually: it was acknowledged.

    replica.pause();
    let refused = add(&*store.journal, &stream(), "3").await.unwrap_err().to_string();
    assert!(refused.contains("0 of 1 replicas"), "{refused}");
    replica.resume();
    let again = eventually("a copy is there again", async || {
        add(&*store.journal, &stream(), "3").await.ok()
    })
    .await;
    assert!(again.repeated, "it had been written the first time");
    let length = replica.command(&["XLEN", "{softlaunch:rollout}:journal"]).await;
    assert_eq!(length, ":4\r\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_set_otherwise_later_is_found_out_by_asking_again() {
    let server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    assert_eq!(store.probe().await.unwrap(), store.promise);
    for (setting, value, level) in [
        ("appendfsync", "everysec", Durability::ProcessCrash),
        ("maxmemory-policy", "allkeys-lru", Durability::Memory),
    ] {
        server.command(&["CONFIG", "SET", setting, value]).await;
        let promise = store.probe().await.unwrap();
        assert_eq!(promise.level(), level);
        let refused = promise.require(Durability::PowerLoss).unwrap_err().to_string();
        assert!(refused.contains(&format!("{setting} is {value}")), "{refused}");
    }
}
