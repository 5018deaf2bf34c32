//! A cluster whose slots move and whose nodes die while commands run.

use store::Durability;
use test_kit::{Cluster, eventually};

use crate::load::{Load, assert_kept};
use crate::{add, errors, fill, open, reader, said, stream};

/// The slot of `{softlaunch:rollout}`.
async fn slot(cluster: &Cluster) -> u16 {
    let answer = cluster.primaries[0].command(&["CLUSTER", "KEYSLOT", "softlaunch:rollout"]).await;
    answer.trim_start_matches(':').trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_moves_while_commands_run_loses_nothing_and_doubles_nothing() {
    let cluster = Cluster::start(3, 0, &[]).await;
    let slot = slot(&cluster).await;
    let home = usize::from(slot) * 3 / 16_384;
    let store = open(&cluster.url(), Durability::PowerLoss).await;
    let reader = reader(&store).await;
    let mut load = Load::start(store.journal.clone());
    let mut from = home;
    for step in 1..=4 {
        load.acknowledges(50).await;
        let to = (home + step) % 3;
        cluster.move_slot(slot, from, to).await;
        from = to;
    }
    load.acknowledges(50).await;
    let acknowledged = load.stop().await;
    assert!(errors(&cluster.primaries[home], "MOVED").await > 0, "the store was not sent away");
    assert_kept(&*store.journal, &acknowledged).await;
    let length = said(&*store.journal, &stream()).await.len();
    eventually("the reader follows", async || reader.snapshot().state.0.len() == length).await;
    assert!(reader.is_connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_goes_on_with_a_replica_where_a_primary_dies() {
    let mut cluster = Cluster::start(3, 1, &[]).await;
    let home = usize::from(slot(&cluster).await) * 3 / 16_384;
    let store = open(&cluster.url(), Durability::Copies(1)).await;
    let reader = reader(&store).await;
    let head = fill(&*store.journal, 10).await;
    cluster.primaries[home].kill();
    let found =
        eventually("the replica has taken over", async || store.journal.head(&stream()).await.ok())
            .await;
    assert_eq!(found, head);
    let refused = add(&*store.journal, &stream(), "alone").await.unwrap_err().to_string();
    assert!(refused.starts_with("store unavailable"), "{refused}");
    cluster.primaries[home].restart().await;
    eventually("it has a copy again", async || add(&*store.journal, &stream(), "x").await.is_ok())
        .await;
    eventually("the reader follows", async || {
        reader.snapshot().state.0.last().is_some_and(|last| last == "x")
    })
    .await;
    let said = said(&*store.journal, &stream()).await;
    assert_eq!(said.iter().filter(|one| *one == "x").count(), 1);
}
