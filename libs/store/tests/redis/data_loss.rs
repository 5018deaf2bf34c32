//! A store that has lost what it had acknowledged: whoever saw it says so, and does not go back
//! quietly.

use std::fs::OpenOptions;
use std::time::Duration;

use store::Durability;
use test_kit::{RedisServer, SmallDisk, eventually};

use crate::load::{Load, assert_kept};
use crate::{add, fill, open, reader, say, stream};

const SHORT: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_started_again_empty_is_found_out() {
    let mut server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let seen = fill(&*store.journal, 5).await;
    let reader = reader(&store).await;
    server.kill();
    server.erase();
    server.restart().await;
    let lost = eventually("the store answers", async || {
        store
            .journal
            .wait(&stream(), seen, SHORT)
            .await
            .map_err(|error| error.to_string())
            .err()
            .filter(|error| !error.contains("unavailable"))
    })
    .await;
    assert!(lost.contains("lost data") && lost.contains('5'), "{lost}");
    eventually("the reader notices", async || !reader.is_connected()).await;
    assert_eq!(reader.snapshot().version, 5, "the reader goes back to nothing");
    let refused = say(&reader, "more").await.unwrap_err().to_string();
    assert!(refused.contains("lost data"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_file_cut_short_is_found_out() {
    let mut server = RedisServer::start().await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let seen = fill(&*store.journal, 20).await;
    let reader = reader(&store).await;
    server.kill();
    let file = server.dir().join("appendonlydir/appendonly.aof.1.incr.aof");
    let file = OpenOptions::new().write(true).open(file).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - length / 4).unwrap();
    server.restart().await;
    let found =
        eventually("the store answers", async || store.journal.head(&stream()).await.ok()).await;
    assert!(found.version > 0 && found.version < 20, "cut at {}", found.version);
    let lost = store.journal.wait(&stream(), seen, SHORT).await.unwrap_err().to_string();
    assert!(lost.contains("lost data"), "{lost}");
    let refused = say(&reader, "more").await.unwrap_err().to_string();
    assert!(refused.contains("lost data"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_everything_acknowledged_before_is_kept() {
    let Some(disk) = SmallDisk::mount("1m") else { return };
    let dir = disk.path().display().to_string();
    let mut server = RedisServer::start_with(&["--dir", &dir]).await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(50).await;
    disk.fill();
    load.is_refused("").await;
    let port = server.port();
    eventually("the server has ended rather than lie", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()
    })
    .await;
    disk.free();
    server.restart().await;
    load.acknowledges(50).await;
    assert_kept(&*store.journal, &load.stop().await).await;
    add(&*store.journal, &stream(), "after").await.unwrap();
}
