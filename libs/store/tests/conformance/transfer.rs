//! Everything a store keeps, taken out and put into another.

use std::time::Duration;

use store::{Hash, Import, Item, Options, Store, StoreError};
use tokio::sync::mpsc;
use vocab::{UploadId, WorkspaceId};

use crate::site::{Site, append, append_at, fill, request, stream};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

on_every_store!(
    what_is_taken_out_is_what_an_empty_store_becomes,
    nothing_is_put_into_a_store_that_keeps_something,
);

/// Something of every kind that a store keeps.
async fn furnish(store: &Store) {
    fill(&*store.journal, 7).await;
    let mut asked = append(store.journal.head(&stream()).await.unwrap(), 2);
    asked.request = Some(request("r1", "contents"));
    store.journal.append(&stream(), &asked).await.unwrap();
    asked = append(store.journal.head(&stream()).await.unwrap(), 0);
    asked.request = Some(request("r2", "nothing to do"));
    store.journal.append(&stream(), &asked).await.unwrap();
    let other = store::StreamName::new("other").unwrap();
    append_at(&*store.journal, &other, 0, 3).await.unwrap();

    let scope = store::Scope::new("ingestion_v2").unwrap();
    let start = vocab::Timestamp::from_millis(1_790_000_040_000);
    let bucket = |series: &str| store::Bucket { series: series.to_owned(), start, keep: DAY };
    let add = |series, field: &str, by| store::Change::add(bucket(series), field, by);
    let gauge = store::Change::Set { gauge: "backlog".to_owned(), value: -3, at: start };
    let changes = vec![add("m", "ok", 5), add("m", "bad", 1), add("phase:r:1", "ok", 9), gauge];
    let id = store::BatchId::new("b1").unwrap();
    let batch = store::Batch { id, contents: Hash::of(b"contents") };
    store.counters.add(&scope, &batch, DAY, changes).await.unwrap();

    let quota = store::Quota {
        pipeline: "ingestion_v2".to_owned(),
        workspace: WorkspaceId::new("acme").unwrap(),
        day: "2026-09-21".to_owned(),
        limit: 9,
    };
    for upload in ["u1", "u2"] {
        store.quotas.take(&quota, &UploadId::new(upload).unwrap()).await.unwrap();
    }
    store.leases.acquire("comms-delivery", "one", DAY).await.unwrap();
}

/// Everything, in an order that does not depend on the store. Until when a thing is kept is told
/// to the day: Redis counts from its own clock.
async fn everything(store: &Store) -> Vec<String> {
    let (items, mut taken) = mpsc::channel(4);
    let (dumped, items) = tokio::join!(store.dump(items), async {
        let mut items = Vec::new();
        while let Some(item) = taken.recv().await {
            items.push(item);
        }
        items
    });
    dumped.unwrap();
    let mut told: Vec<String> = items.iter().map(|item| format!("{:?}", timeless(item))).collect();
    told.sort();
    told
}

fn timeless(item: &Item) -> Item {
    let mut item = item.clone();
    match &mut item {
        Item::Answer { until, .. }
        | Item::Batch { until, .. }
        | Item::Count { until, .. }
        | Item::Hold { until, .. } => *until = vocab::Timestamp::EPOCH,
        Item::Record { .. } | Item::Gauge { .. } | Item::Fence { .. } => {}
    }
    item
}

async fn copy(from: &Store, to: &Site, chunk: usize) {
    let (items, mut taken) = mpsc::channel(4);
    let (location, options) = (to.location(), Options::default());
    let import = Import::begin(&location, to.clock(), &options, Hash::of(b"export"));
    let import = import.await.unwrap();
    let (dumped, ()) = tokio::join!(from.dump(items), async {
        let mut pending = Vec::new();
        while let Some(item) = taken.recv().await {
            pending.push(item);
            if pending.len() == chunk {
                import.load(std::mem::take(&mut pending)).await.unwrap();
            }
        }
        import.load(pending).await.unwrap();
    });
    dumped.unwrap();
    import.finish().await.unwrap();
}

async fn what_is_taken_out_is_what_an_empty_store_becomes(site: &Site) {
    site.go_to_today();
    let store = site.open().await;
    furnish(&store).await;
    let known = everything(&store).await;
    assert_eq!(known.len(), 9 + 3 + 2 + 1 + 3 + 1 + 2 + 1, "{known:#?}");
    for other in [Site::embedded(), Site::redis().await] {
        other.go_to_today();
        copy(&store, &other, 4).await;
        let copied = other.open().await;
        assert!(everything(&copied).await == known);
        // And it goes on from there.
        let again = store::RequestKey { id: "r1".to_owned(), digest: Hash::of(b"contents") };
        let first = copied.journal.find(&stream(), &again).await.unwrap().unwrap();
        assert_eq!((first.version, first.records.len()), (9, 2));
        append_at(&*copied.journal, &stream(), 9, 1).await.unwrap();
        let lease = copied.leases.acquire("comms-delivery", "two", DAY).await.unwrap().unwrap();
        assert_eq!(lease.fence, 2, "a fence never comes twice");
    }
}

async fn nothing_is_put_into_a_store_that_keeps_something(site: &Site) {
    let store = site.open().await;
    append_at(&*store.journal, &stream(), 0, 1).await.unwrap();
    drop(store);
    let options = Options::default();
    let refused =
        Import::begin(&site.location(), site.clock(), &options, Hash::of(b"export")).await;
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, StoreError::Settings(_)), "{refused:?}");
    assert!(refused.to_string().contains("is not empty"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_half_imported_is_opened_by_nobody_and_filled_by_the_same_export_only() {
    let from = Site::embedded();
    from.go_to_today();
    let source = from.open().await;
    furnish(&source).await;
    let site = Site::redis().await;
    let (location, options) = (site.location(), Options::default());
    let begin =
        |export: &'static [u8]| Import::begin(&location, site.clock(), &options, Hash::of(export));
    let import = begin(b"export").await.unwrap();
    let records = source.journal.read(&stream(), 0, 4).await.unwrap().into_iter();
    let items = records.map(|record| Item::Record { stream: stream(), record }).collect();
    import.load(items).await.unwrap();
    drop(import); // Broken off.

    let refused = site.try_open().await.unwrap_err();
    assert!(refused.to_string().contains("half filled"), "{refused}");
    let refused = begin(b"another export").await.unwrap_err();
    assert!(refused.to_string().contains("another export"), "{refused}");
    drop(begin(b"export").await.unwrap());

    copy(&source, &site, 3).await;
    assert!(everything(&site.open().await).await == everything(&source).await);
}
