//! Sentinels that put a replica in the primary's place while commands run.

use std::path::Path;

use store::Durability;
use test_kit::{RedisServer, Sentinels, eventually, valkey};

use crate::load::{Load, assert_kept};
use crate::{add, fill, open, reader, said, say, stream};

const JOURNAL: &str = "{softlaunch:rollout}:journal";

/// Lets no replica follow `primary` any more, and says so to nobody else.
async fn stop_replication(primary: &RedisServer) {
    primary.command(&["ACL", "SETUSER", "default", "-psync", "-sync"]).await;
    primary.command(&["CLIENT", "KILL", "TYPE", "replica"]).await;
}

/// Waits until the sentinels name the only replica the primary.
async fn failed_over(group: &Sentinels) {
    let replica = group.replicas[0].port();
    eventually("the sentinels fail over", async || group.primary_port().await == replica).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_lost_by_a_failover_are_found_out_by_whoever_saw_them() {
    let group = Sentinels::start(Path::new("redis-server"), 1, &[]).await;
    let store = open(&group.url(), Durability::ProcessCrash).await;
    assert!(store.promise.facts().join(", ").contains("may lose"), "{:?}", store.promise);
    let reader = reader(&store).await;
    fill(&*store.journal, 5).await;
    let replica = &group.replicas[0];
    eventually("the replica has them", async || {
        replica.command(&["XLEN", JOURNAL]).await == ":5\r\n"
    })
    .await;
    stop_replication(&group.primary).await;
    for index in 5..15 {
        add(&*store.journal, &stream(), &index.to_string()).await.unwrap();
    }
    eventually("the reader has seen them", async || reader.snapshot().version == 15).await;
    group.primary.pause();
    failed_over(&group).await;
    let found =
        eventually("the new primary answers", async || store.journal.head(&stream()).await.ok())
            .await;
    assert_eq!(found.version, 5, "nothing acknowledged was lost: the fault did not happen");
    eventually("the reader notices", async || !reader.is_connected()).await;
    assert_eq!(reader.snapshot().version, 15);
    let refused = say(&reader, "more").await.unwrap_err().to_string();
    assert!(refused.contains("lost data"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_nothing_that_a_copy_has_confirmed() {
    nothing_confirmed_is_lost(Path::new("redis-server")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_of_valkey_loses_nothing_that_a_copy_has_confirmed() {
    let Some(valkey) = valkey() else { return };
    nothing_confirmed_is_lost(&valkey).await;
}

async fn nothing_confirmed_is_lost(program: &Path) {
    let group = Sentinels::start(program, 1, &[]).await;
    let store = open(&group.url(), Durability::Copies(1)).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(100).await;
    stop_replication(&group.primary).await;
    load.is_refused("0 of 1 replicas").await;
    let refused = add(&*store.journal, &stream(), "nowhere else").await.unwrap_err().to_string();
    assert!(refused.contains("0 of 1 replicas"), "{refused}");
    let before = group.primary.command(&["XREVRANGE", JOURNAL, "+", "-", "COUNT", "2"]).await;
    assert!(before.contains("nowhere else"), "it was not even written");
    group.primary.pause();
    failed_over(&group).await;
    eventually("the new primary answers", async || store.journal.head(&stream()).await.is_ok())
        .await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() >= 100);
    assert_kept(&*store.journal, &acknowledged).await;
    let kept = said(&*store.journal, &stream()).await;
    assert!(!kept.contains(&"nowhere else".to_owned()), "the failover lost nothing at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_cut_off_from_the_sentinels_is_left_though_it_answers() {
    let group = Sentinels::start(Path::new("redis-server"), 1, &[]).await;
    let url = group.url().replace("://", "://store:secret@");
    for server in [&group.primary, &group.replicas[0]] {
        server.command(&["ACL", "SETUSER", "store", "on", ">secret", "~*", "+@all"]).await;
    }
    let store = open(&url, Durability::ProcessCrash).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(20).await;
    // The sentinels and the replica are the default user.
    group.primary.command(&["ACL", "SETUSER", "default", "-@all"]).await;
    let refused = group.primary.ask(&["PING"]).await;
    assert!(refused.starts_with("-NOPERM"), "{refused}");
    failed_over(&group).await;
    let replica = &group.replicas[0];
    let before = replica.command(&["INFO", "commandstats"]).await;
    assert!(!before.contains("cmdstat_eval"), "the store has been there before");
    eventually("the store writes to the new primary", async || {
        replica.command(&["INFO", "commandstats"]).await.contains("cmdstat_eval")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_primary_comes_back_as_a_replica_and_the_copies_are_whole_again() {
    let group = Sentinels::start(Path::new("redis-server"), 1, &[]).await;
    let store = open(&group.url(), Durability::Copies(1)).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(50).await;
    group.primary.pause();
    failed_over(&group).await;
    group.primary.resume();
    load.acknowledges(50).await; // Once a sentinel has told it whom to follow.
    let acknowledged = load.stop().await;
    assert_kept(&*store.journal, &acknowledged).await;
    let length = said(&*store.journal, &stream()).await.len();
    assert!(length >= 100, "{length}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_survive_one_failover_after_the_other() {
    let group = Sentinels::start(Path::new("redis-server"), 1, &[]).await;
    let store = open(&group.url(), Durability::Copies(1)).await;
    let reader = reader(&store).await;
    let mut load = Load::start(store.journal.clone());
    let (mut primary, mut other) = (&group.primary, &group.replicas[0]);
    let rounds = test_kit::rounds(1);
    for _round in 0..rounds {
        load.acknowledges(200).await;
        primary.pause();
        eventually("the sentinels fail over", async || group.primary_port().await == other.port())
            .await;
        primary.resume();
        (primary, other) = (other, primary);
    }
    load.acknowledges(200).await;
    let acknowledged = load.stop().await;
    assert!(acknowledged.len() >= 200 * (rounds + 1), "{}", acknowledged.len());
    assert_kept(&*store.journal, &acknowledged).await;
    let kept = said(&*store.journal, &stream()).await;
    eventually("the reader follows", async || reader.snapshot().state.0 == kept).await;
}
