//! May this upload start: limits that hold over replicas, and what is given back.

use contracts::flag as pb;
use contracts::flag::{Admission, Limit};
use test_kit::{RedisServer, eventually};
use tonic::Code;

use crate::site::{Site, ada, new_flag, refused};

fn upload(id: &str) -> pb::AdmitUploadRequest {
    pb::AdmitUploadRequest {
        name: "flags/counted".to_owned(),
        workspace_id: "ws-1".to_owned(),
        upload_id: id.to_owned(),
        file_size_bytes: 1,
        attributes: None,
    }
}

async fn counted(site: &Site, per_day: i32) {
    let mut call = new_flag("counted", pb::FlagDefinition::default());
    let flag = call.flag.as_mut().unwrap();
    flag.definition.as_mut().unwrap().allowlist.push("ws-1".to_owned());
    flag.limits =
        Some(pb::UploadLimits { uploads_per_day_count: per_day, file_size_max_bytes: 10 });
    site.flags().create_flag(ada(call)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_uploads_at_once_over_two_replicas_exactly_the_quota_is_admitted() {
    let redis = RedisServer::start().await;
    let sites = [Site::over(&redis.url()).await, Site::over(&redis.url()).await];
    counted(&sites[0], 10).await;
    for site in &sites {
        eventually("the replica to know flag and kill switch", async || {
            let found = site.ask("counted", "ws-1", &[]).await;
            found.is_ok_and(|found| found.reason() == pb::Reason::Allowlisted)
        })
        .await;
    }
    let asked = (0..60).map(|n| {
        // Every upload is asked for twice, once at each replica.
        let mut client = sites[n % 2].admissions();
        tokio::spawn(async move {
            client.admit_upload(upload(&format!("u-{}", n / 2))).await.unwrap().into_inner()
        })
    });
    let mut admitted = std::collections::BTreeSet::new();
    for (n, asked) in asked.collect::<Vec<_>>().into_iter().enumerate() {
        let answer = asked.await.unwrap();
        if answer.admission() == Admission::Admit {
            admitted.insert(n / 2);
            assert!(!answer.quota_day.is_empty());
        } else {
            let found = (answer.admission(), answer.limit());
            assert_eq!(found, (Admission::Reject, Limit::UploadsPerDay));
            assert_eq!((answer.limit_value, answer.observed_value), (10, 11));
        }
    }
    assert_eq!(admitted.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upload_that_never_started_held_is_given_back() {
    let site = Site::start().await;
    counted(&site, 1).await;
    site.knows_the_kill_switch("counted").await;
    let admit =
        async |id: &str| site.admissions().admit_upload(upload(id)).await.unwrap().into_inner();
    let first = admit("u-1").await;
    assert_eq!((first.admission(), first.quota_used_count), (Admission::Admit, 1));
    assert_eq!(admit("u-2").await.admission(), Admission::Reject);
    let release = |day: &str| pb::ReleaseUploadRequest {
        name: "flags/counted".to_owned(),
        workspace_id: "ws-1".to_owned(),
        upload_id: "u-1".to_owned(),
        quota_day: day.to_owned(),
    };
    let nonsense = site.admissions().release_upload(release("today")).await;
    refused(nonsense, (Code::InvalidArgument, "FIELD_INVALID"), "quota_day");
    for _again in 0..2 {
        let left = site.admissions().release_upload(release(&first.quota_day)).await.unwrap();
        assert_eq!(left.into_inner().quota_used_count, 0);
    }
    assert_eq!(admit("u-2").await.admission(), Admission::Admit);
}
