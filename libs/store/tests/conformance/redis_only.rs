//! What is to be seen of Redis when it dies, forgets or is not what it should be.

use std::time::Duration;

use store::{Added, Batch, BatchId, Hash, StoreError};
use test_kit::eventually;

use crate::replica::{replica, say};
use crate::site::{Site, append_at, connect, fill, stream};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_survives_sigkill_and_the_store_comes_back() {
    let mut site = Site::redis().await;
    let store = site.open().await;
    let replica = replica(&store).await;
    let scope = store::Scope::new("p").unwrap();
    for index in 0..50 {
        say(&replica, &index.to_string()).await.unwrap();
    }
    let batch = Batch { id: BatchId::new("b1").unwrap(), contents: Hash::of(b"contents") };
    store.counters.add(&scope, &batch, HOUR, Vec::new()).await.unwrap();
    let before = store.journal.read(&stream(), 0, 100).await.unwrap();

    site.server().kill();
    let gone = append_at(&*store.journal, &stream(), 50, 1).await.unwrap_err();
    assert!(gone.to_string().starts_with("store unavailable"), "{gone}");
    eventually("the replica notices", async || !replica.is_connected()).await;
    assert_eq!(replica.snapshot().version, 50);

    site.server().restart().await;
    eventually("the replica is back", async || replica.is_connected()).await;
    let after =
        eventually("the store answers", async || store.journal.read(&stream(), 0, 100).await.ok())
            .await;
    assert_eq!(after, before);
    let again = store.counters.add(&scope, &batch, HOUR, Vec::new()).await.unwrap();
    assert_eq!(again, Added::Duplicate);
    say(&replica, "after").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_appends_survive_a_kill_in_the_middle_of_them() {
    let mut site = Site::redis().await;
    let journal = site.open().await.journal;
    let (tx, mut rx) = tokio::sync::watch::channel(0);
    let appending = tokio::spawn({
        let journal = journal.clone();
        async move {
            let mut version = 0;
            while append_at(&*journal, &stream(), version, 1).await.is_ok() {
                version += 1;
                tx.send_replace(version);
            }
            version
        }
    });
    rx.wait_for(|version| *version >= 20).await.unwrap();
    site.server().kill();
    let acknowledged = appending.await.unwrap();
    site.server().restart().await;
    let head = eventually("the store answers", async || journal.head(&stream()).await.ok()).await;
    // The one in flight may have taken effect or not.
    assert!((acknowledged..=acknowledged + 1).contains(&head.version), "{acknowledged} {head:?}");
    let records = journal.read(&stream(), 0, 10_000).await.unwrap();
    assert_eq!(records.len() as u64, head.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_writes_is_unavailable_and_nothing_is_half_written() {
    let mut site = Site::redis().await;
    let journal = site.open().await.journal;
    fill(&*journal, 1).await;
    let mut redis = connect(site.server()).await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("min-replicas-to-write").arg("1");
    let () = set.query_async(&mut redis).await.unwrap();
    let refused = append_at(&*journal, &stream(), 1, 3).await.unwrap_err();
    assert!(refused.to_string().starts_with("store unavailable"), "{refused}");
    assert_eq!(journal.head(&stream()).await.unwrap().version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_kind_is_corruption() {
    let mut site = Site::redis().await;
    let journal = site.open().await.journal;
    let mut redis = connect(site.server()).await;
    let mut set = redis::cmd("SET");
    set.arg("{softlaunch:rollout}:journal").arg("not a stream");
    let () = set.query_async(&mut redis).await.unwrap();
    let refused = journal.head(&stream()).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
    let refused = append_at(&*journal, &stream(), 0, 1).await.unwrap_err();
    assert!(refused.to_string().starts_with("store corrupt"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_password_is_a_matter_of_settings() {
    let mut site = Site::redis().await;
    let mut redis = connect(site.server()).await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg("secret");
    let () = set.query_async(&mut redis).await.unwrap();
    let refused = site.try_open().await.unwrap_err();
    assert!(matches!(refused, StoreError::Settings(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_without_an_answer_is_unavailable_and_happens_whole_or_not_at_all() {
    let mut site = Site::redis().await;
    let journal = site.open().await.journal;
    fill(&*journal, 1).await;
    let mut redis = connect(site.server()).await;
    let mut pause = redis::cmd("CLIENT");
    pause.arg("PAUSE").arg(4000).arg("WRITE");
    let () = pause.query_async(&mut redis).await.unwrap();
    let unanswered = append_at(&*journal, &stream(), 1, 3).await.unwrap_err();
    assert!(unanswered.to_string().starts_with("store unavailable"), "{unanswered}");
    eventually("the server writes again", async || {
        let answer: redis::RedisResult<()> =
            redis::cmd("SET").arg("probe").arg("1").query_async(&mut redis).await;
        answer.is_ok()
    })
    .await;
    let version = journal.head(&stream()).await.unwrap().version;
    assert!(version == 1 || version == 4, "{version}");
}
