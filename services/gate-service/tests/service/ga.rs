//! General availability: seven good days in a row at 100 %, each on record.

use contracts::gate as pb;
use contracts::gate::signal::Kind;
use test_kit::eventually;

use crate::site::{ROLLOUT, Site, plan};

const DAY_FACTOR: u32 = 86_400; // A day in a second.

async fn record(site: &Site) -> pb::GaRecord {
    let request = pb::GetGaRecordRequest { name: format!("{ROLLOUT}/gaRecord") };
    site.gates.clone().get_ga_record(request).await.expect("there is a record").into_inner()
}

/// Good news of one moment.
async fn good_news(site: &Site, moment: usize) {
    site.uploads(&format!("good-{moment}"), 1_000, 0).await;
    let probes = Kind::ProbeResults(pb::ProbeResults { good_count: 1_000, bad_count: 0 });
    site.send(&format!("probes-{moment}"), vec![probes]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_days_in_a_row_complete_the_record_and_a_bad_one_restarts_it() {
    let site = Site::hurried(DAY_FACTOR).await;
    site.enter("P4", 1, 10_000, &plan(&[])).await;
    let mut moment = 0;
    let complete = eventually("seven days in a row are met", async || {
        moment += 1;
        good_news(&site, moment).await;
        let record = record(&site).await;
        record.complete.then_some(record)
    })
    .await;
    assert!(complete.days.len() >= 7, "{:?}", complete.days);
    assert!(complete.days[0].criteria.len() >= 8, "each day keeps what was judged");
    let judged = site.judged("ga", "ga-consecutive-days").await;
    assert_eq!(judged.verdict(), pb::Verdict::Pass, "{judged:?}");

    site.uploads("bad", 0, 20_000).await;
    let restarted = eventually("a bad day restarts the count", async || {
        let record = record(&site).await;
        (record.consecutive_day_count == 0).then_some(record)
    })
    .await;
    assert_eq!(restarted.days[0].verdict(), pb::Verdict::Fail, "{:?}", restarted.days[0]);
    assert!(restarted.days[0].reason.contains("ga-error-rate"), "{:?}", restarted.days[0]);
    assert!(!restarted.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_data_or_below_full_share_does_not_count() {
    let site = Site::hurried(DAY_FACTOR).await;
    site.enter("P4", 1, 9_000, &plan(&[])).await;
    let mut moment = 0;
    let day = eventually("a day is judged on data", async || {
        moment += 1;
        good_news(&site, moment).await;
        let record = record(&site).await;
        let day = record.days.into_iter().next()?;
        day.reason.contains("did not stand at 100%").then_some(day)
    })
    .await;
    assert_eq!(day.verdict(), pb::Verdict::Inconclusive, "{day:?}");
    let empty = Site::hurried(DAY_FACTOR).await;
    empty.enter("P4", 1, 10_000, &plan(&[])).await;
    let day = eventually("a day is judged without data", async || {
        record(&empty).await.days.into_iter().next()
    })
    .await;
    assert_eq!(day.verdict(), pb::Verdict::Inconclusive, "{day:?}");
    assert!(day.reason.contains("no telemetry"), "{day:?}");
}
