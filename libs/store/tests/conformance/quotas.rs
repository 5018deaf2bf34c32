//! Quotas: never more than the limit, once per upload.

use store::{Quota, Taken};
use tokio::task::JoinSet;
use vocab::{UploadId, WorkspaceId};

use crate::site::Site;

on_every_store!(
    of_fifty_concurrent_uploads_exactly_ten_are_granted_a_limit_of_ten,
    the_same_upload_takes_once,
    what_is_released_can_be_taken_again,
    what_was_granted_stays_granted_under_a_lower_limit,
    days_workspaces_and_pipelines_are_apart,
);

fn quota(limit: u32) -> Quota {
    Quota {
        pipeline: "ingestion_v2".to_owned(),
        workspace: WorkspaceId::new("canary-ws-1").unwrap(),
        day: "2026-09-21".to_owned(),
        limit,
    }
}

fn upload(id: &str) -> UploadId {
    UploadId::new(id).unwrap()
}

async fn of_fifty_concurrent_uploads_exactly_ten_are_granted_a_limit_of_ten(site: &Site) {
    let quotas = site.open().await.quotas;
    let mut takers = JoinSet::new();
    for index in 0..50 {
        let quotas = quotas.clone();
        takers.spawn(async move {
            quotas.take(&quota(10), &upload(&format!("u{index}"))).await.unwrap()
        });
    }
    let answers = takers.join_all().await;
    assert_eq!(answers.iter().filter(|taken| taken.granted).count(), 10);
    assert!(answers.iter().all(|taken| taken.used <= 10));
}

async fn the_same_upload_takes_once(site: &Site) {
    let store = site.open().await;
    for _time in 0..3 {
        let taken = store.quotas.take(&quota(2), &upload("u1")).await.unwrap();
        assert_eq!(taken, Taken { granted: true, used: 1 });
    }
    drop(store);
    let quotas = site.open().await.quotas;
    let taken = quotas.take(&quota(2), &upload("u1")).await.unwrap();
    assert_eq!(taken, Taken { granted: true, used: 1 });
}

async fn what_is_released_can_be_taken_again(site: &Site) {
    let quotas = site.open().await.quotas;
    assert!(quotas.take(&quota(1), &upload("u1")).await.unwrap().granted);
    assert!(!quotas.take(&quota(1), &upload("u2")).await.unwrap().granted);
    let nothing = quotas.release(&quota(1), &upload("u2")).await.unwrap();
    assert_eq!(nothing, Taken { granted: false, used: 1 });
    for _time in 0..2 {
        let released = quotas.release(&quota(1), &upload("u1")).await.unwrap();
        assert_eq!(released, Taken { granted: false, used: 0 });
    }
    assert!(quotas.take(&quota(1), &upload("u2")).await.unwrap().granted);
}

async fn what_was_granted_stays_granted_under_a_lower_limit(site: &Site) {
    let quotas = site.open().await.quotas;
    assert!(quotas.take(&quota(2), &upload("u1")).await.unwrap().granted);
    assert!(quotas.take(&quota(2), &upload("u2")).await.unwrap().granted);
    let taken = quotas.take(&quota(0), &upload("u1")).await.unwrap();
    assert_eq!(taken, Taken { granted: true, used: 2 });
    assert!(!quotas.take(&quota(0), &upload("u3")).await.unwrap().granted);
}

async fn days_workspaces_and_pipelines_are_apart(site: &Site) {
    let quotas = site.open().await.quotas;
    let first = quota(1);
    let day = Quota { day: "2026-09-22".to_owned(), ..first.clone() };
    let workspace = Quota { workspace: WorkspaceId::new("canary-ws-10").unwrap(), ..first.clone() };
    let pipeline = Quota { pipeline: "ingestion_v3".to_owned(), ..first.clone() };
    for quota in [first, day, workspace, pipeline] {
        assert!(quotas.take(&quota, &upload("u1")).await.unwrap().granted, "{quota:?}");
        assert!(!quotas.take(&quota, &upload("u2")).await.unwrap().granted, "{quota:?}");
    }
}
