//! What only the embedded store promises.

use std::time::Duration;

use store::{Head, Location, StoreError};
use tokio::task::JoinSet;
use vocab::{UploadId, WorkspaceId};

use crate::site::{Site, append, append_at, fill, request, stream};

#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_dropping_and_opening_again() {
    let site = Site::embedded();
    let store = site.open().await;
    fill(&*store.journal, 5).await;
    let records = store.journal.read(&stream(), 0, 10).await.unwrap();
    drop(store);
    let store = site.try_open().await.unwrap(); // At once: dropping closes the file.
    assert_eq!(store.journal.read(&stream(), 0, 10).await.unwrap(), records);
    append_at(&*store.journal, &stream(), 5, 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_refused_and_told_what_to_do() {
    let site = Site::embedded();
    let _store = site.open().await;
    let refused = site.try_open().await.unwrap_err();
    let Location::Embedded(dir) = site.location() else { panic!("not embedded") };
    assert!(matches!(&refused, StoreError::InUse(_)), "{refused:?}");
    assert!(refused.to_string().contains(dir.to_str().unwrap()), "{refused}");
    assert!(refused.to_string().contains("stop that one"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let location = Location::Embedded(file.path().join("below"));
    let clock = std::sync::Arc::new(|| vocab::Timestamp::EPOCH);
    let refused = store::Store::open(&location, clock).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Settings(_)), "{refused:?}");
    assert!(refused.to_string().contains("below"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_writes_undo_nothing_of_those_committed_with_them() {
    let site = Site::embedded();
    let journal = site.open().await.journal;
    let mut writers = JoinSet::new();
    for index in 0..100 {
        let journal = journal.clone();
        let stream = store::StreamName::new(&format!("s{}", index / 2)).unwrap();
        writers.spawn(async move { append_at(&*journal, &stream, 0, 1).await.is_ok() });
    }
    let written = writers.join_all().await.into_iter().filter(|written| *written).count();
    assert_eq!(written, 50);
    for index in 0..50 {
        let stream = store::StreamName::new(&format!("s{index}")).unwrap();
        assert_eq!(journal.head(&stream).await.unwrap().version, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_quota_days_are_kept_their_time_and_then_dropped() {
    let site = Site::embedded();
    let store = site.open().await;
    let mut first = append(Head::default(), 1);
    first.request = Some(request("r1", "contents"));
    store.journal.append(&stream(), &first).await.unwrap();
    let quota = store::Quota {
        pipeline: "ingestion_v2".to_owned(),
        workspace: WorkspaceId::new("w").unwrap(),
        day: "2026-09-21".to_owned(),
        limit: 1,
    };
    let upload = |id| UploadId::new(id).unwrap();
    assert!(store.quotas.take(&quota, &upload("u1")).await.unwrap().granted);

    let key = request("r1", "contents");
    site.advance(Duration::from_secs(25 * 60 * 60));
    assert!(!store.quotas.take(&quota, &upload("u2")).await.unwrap().granted); // A write, too.
    assert!(store.journal.find(&stream(), &key).await.unwrap().is_some());

    site.advance(Duration::from_secs(8 * 24 * 60 * 60));
    append_at(&*store.journal, &stream(), 1, 1).await.unwrap(); // Drops what is over.
    assert!(store.journal.find(&stream(), &key).await.unwrap().is_none());
    assert!(store.quotas.take(&quota, &upload("u2")).await.unwrap().granted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_kept_from_its_last_change_and_not_its_first() {
    const HOUR: Duration = Duration::from_secs(3600);
    let site = Site::embedded();
    let counters = site.open().await.counters;
    let scope = store::Scope::new("p").unwrap();
    let start = vocab::Timestamp::EPOCH;
    let bucket = store::Bucket { series: "m".to_owned(), start, keep: HOUR };
    let one = [store::Change::add(bucket, "ok", 1)];
    let window =
        store::Window { series: "m".to_owned(), from: start, to: start.plus(HOUR), width: HOUR };
    let write = async |id, changes: &[store::Change]| {
        let id = store::BatchId::new(id).unwrap();
        let batch = store::Batch { id, contents: store::Hash::of(b"contents") };
        counters.add(&scope, &batch, HOUR, changes.to_vec()).await.unwrap();
    };
    write("b1", &one).await;
    site.advance(HOUR * 2 / 3);
    write("b2", &one).await;
    site.advance(HOUR * 2 / 3);
    write("b3", &[]).await; // Drops what is over: not the bucket.
    assert_eq!(counters.sum(&scope, &window).await.unwrap()["ok"], 2);
    site.advance(HOUR);
    write("b4", &[]).await;
    assert!(counters.sum(&scope, &window).await.unwrap().is_empty());
}
