//! A store that has lost what it had acknowledged: whoever saw it says so, and does not go back
//! quietly.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use store::Durability;
use test_kit::{RedisServer, eventually};

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

/// A file system of its own for a server's append-only file. Gone when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, and said so, where nothing can be mounted.
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"], dir.path()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: a full disk needs a tmpfs, and only root can mount one.");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok(); // Best effort.
    }
}

fn mount(arguments: &[&str], on: &Path) -> bool {
    let mounted = Command::new("mount").args(arguments).arg(on).output();
    mounted.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_everything_acknowledged_before_is_kept() {
    let Some(disk) = SmallDisk::mount() else { return };
    let dir = disk.0.path().display().to_string();
    let mut server = RedisServer::start_with(&["--dir", &dir]).await;
    let store = open(&server.url(), Durability::PowerLoss).await;
    let mut load = Load::start(store.journal.clone());
    load.acknowledges(50).await;
    let free = "x".repeat(1 << 20); // More than is left.
    std::fs::write(disk.0.path().join("filler"), free).unwrap_err();
    load.is_refused("").await;
    let port = server.port();
    eventually("the server has ended rather than lie", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err()
    })
    .await;
    std::fs::remove_file(disk.0.path().join("filler")).unwrap();
    server.restart().await;
    load.acknowledges(50).await;
    assert_kept(&*store.journal, &load.stop().await).await;
    add(&*store.journal, &stream(), "after").await.unwrap();
}
