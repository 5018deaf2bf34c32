//! Reports: streamed or not, split, shuffled and repeated, they add up to the same.

use contracts::gate as pb;
use contracts::gate::signal::Kind;
use contracts::gate::upload_outcome::{Path, Result as Ending};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tonic::Code;
use vocab::Timestamp;

use crate::site::{Site, outcome, outcomes, plan};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_reports_counts_each_once_and_says_how_many() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let at = site.clock.now();
    let report = |batch: &str| pb::StreamOutcomesRequest {
        report: Some(outcomes(batch, vec![outcome(batch, at, Ending::Succeeded)])),
    };
    let reports = vec![report("a"), report("b"), report("a"), report("c")];
    let answer = site.signals.clone().stream_outcomes(tokio_stream::iter(reports)).await;
    let answer = answer.expect("the stream is taken").into_inner();
    assert_eq!((answer.counted_count, answer.duplicate_count), (3, 1));
    let broken = vec![report("d"), pb::StreamOutcomesRequest::default(), report("e")];
    let status = site.signals.clone().stream_outcomes(tokio_stream::iter(broken)).await;
    let status = status.expect_err("a report is missing");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let counted = status.metadata().get("softlaunch-reports-counted");
    assert_eq!(counted.and_then(|count| count.to_str().ok()), Some("1"), "{status:?}");
    assert_eq!(totals(&site).await.len(), 3, "platform, workspace and all");
    assert!(totals(&site).await.iter().all(|(_, amount)| *amount == 4), "a, b, c and d");
}

/// What was counted since the phase started, of all, of platforms and of workspaces.
async fn totals(site: &Site) -> Vec<(String, i64)> {
    let metrics = site.metrics().await.into_iter();
    let own = metrics.filter(|one| {
        let counts = ["uploads_processed", "uploads_succeeded", "error_rate", "latency_p99"];
        one.window == "since phase start"
            && one.label.is_empty()
            && counts[..1].contains(&one.metric.as_str())
    });
    own.map(|one| (format!("{}{}", one.platform, one.workspace_id), one.amount.unwrap_or(-1)))
        .collect()
}

fn uploads() -> impl Strategy<Value = Vec<(u8, u8, u64, i64)>> {
    // How it ended, by which path, how long it took, how long ago.
    prop::collection::vec((0_u8..4, 0_u8..2, 1_u64..900_000, 0_i64..6 * 86_400), 1..60)
}

fn wire(uploads: &[(u8, u8, u64, i64)], now: Timestamp) -> Vec<pb::UploadOutcome> {
    let endings = [Ending::Succeeded, Ending::Failed, Ending::Invalid, Ending::Started];
    let of = |(n, (ending, path, latency_ms, age_s)): (usize, &(u8, u8, u64, i64))| {
        let at = Timestamp::from_millis(now.as_millis() - age_s * 1_000);
        let path = if *path == 0 { Path::New } else { Path::Legacy };
        let latency = std::time::Duration::from_millis(*latency_ms);
        pb::UploadOutcome {
            workspace_id: format!("ws-{}", n % 3),
            path: path.into(),
            latency_duration: latency.try_into().ok(),
            ..outcome(&format!("u-{n}"), at, endings[usize::from(*ending)])
        }
    };
    uploads.iter().enumerate().map(of).collect()
}

/// Everything that windows and verdicts show of these reports.
async fn shown(reports: Vec<pb::ReportOutcomesRequest>, start: Timestamp) -> String {
    let site = Site::new().await;
    let request = pb::ApplyGatePlanRequest {
        rollout: crate::site::ROLLOUT.to_owned(),
        plan_source: plan(&[]).into_bytes(),
        generation: 1,
        phase_id: "P1".to_owned(),
        start_time: Some(service_kit::wire::wire_time(start)),
        phase_generation: 1,
        ..Default::default()
    };
    site.gates.clone().apply_gate_plan(request).await.expect("the phase is applied");
    for report in reports {
        site.signals.clone().report_outcomes(report).await.expect("it is counted");
    }
    let metrics = site.metrics().await.into_iter().map(|one| {
        let (who, amount) = (format!("{}{}", one.platform, one.workspace_id), one.amount);
        format!("{} {} {} {who} {amount:?} {}", one.metric, one.label, one.window, one.sample_count)
    });
    let report = site.report("gate-1", true).await;
    let verdicts =
        report.criteria.iter().map(|one| format!("{} {:?}", one.criterion_id, one.verdict()));
    metrics.chain(verdicts).collect::<Vec<_>>().join("\n")
}

#[test]
fn any_interleaving_duplication_and_split_of_reports_gives_the_same_totals_and_verdicts() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let config = Config { cases: 6, failure_persistence: None, ..Config::default() };
    let shuffled = (uploads(), any::<u64>(), 1_usize..20);
    let tried = TestRunner::new(config).run(&shuffled, |(uploads, seed, width)| {
        // Middle of an hour: no window's edge passes between the two runs.
        let now = service_kit::clock::real_now();
        let start = now.minus(std::time::Duration::from_secs(30 * 86_400));
        let all = wire(&uploads, now);
        let whole = vec![outcomes("whole", all.clone())];
        let mut parts: Vec<_> = all
            .chunks(width)
            .enumerate()
            .map(|(n, part)| outcomes(&format!("part-{n}"), part.to_vec()))
            .collect();
        let repeated = parts.clone();
        parts.extend(repeated.into_iter().rev());
        let length = parts.len() as u64;
        parts.rotate_left(usize::try_from(seed % length).unwrap_or(0));
        let expected = runtime.block_on(shown(whole, start));
        let found = runtime.block_on(shown(parts, start));
        prop_assert_eq!(expected, found);
        Ok(())
    });
    tried.expect("the order of reports does not matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_occurrences_are_counted_and_none_is_told_from_unknown() {
    let site = Site::new().await;
    site.enter("P3", 1, 5_000, &plan(&[])).await;
    let unknown = site.judged("gate-3", "gate-3-concurrency").await;
    assert_eq!(unknown.reason_code(), pb::Reason::NoTelemetry, "{unknown:?}");
    let looked = |kind: pb::occurrences::Kind, count| {
        Kind::Occurrences(pb::Occurrences { kind: kind.into(), count })
    };
    site.send("none", vec![looked(pb::occurrences::Kind::ConcurrencyBreach, 0)]).await;
    let none = site.judged("gate-3", "gate-3-concurrency").await;
    assert_eq!(none.verdict(), pb::Verdict::Pass, "{none:?}");
    site.send("two", vec![looked(pb::occurrences::Kind::ConcurrencyBreach, 2)]).await;
    let two = site.judged("gate-3", "gate-3-concurrency").await;
    assert_eq!((two.verdict(), two.value.as_str()), (pb::Verdict::Fail, "2"));
    let probes = Kind::ProbeResults(pb::ProbeResults { good_count: 999, bad_count: 1 });
    site.send("probes", vec![probes]).await;
    let metrics = site.metrics().await;
    let found = metrics.iter().find(|one| one.metric == "availability");
    assert_eq!(found.and_then(|one| one.amount), Some(999_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_began_and_never_ended_counts_as_failed_once_it_is_old_enough() {
    let site = Site::new().await;
    let request = pb::ApplyGatePlanRequest {
        rollout: crate::site::ROLLOUT.to_owned(),
        plan_source: plan(&[]).into_bytes(),
        generation: 1,
        phase_id: "P1".to_owned(),
        start_time: Some(service_kit::wire::wire_time(
            site.clock.now().minus(std::time::Duration::from_secs(86_400)),
        )),
        phase_generation: 1,
        ..Default::default()
    };
    site.gates.clone().apply_gate_plan(request).await.expect("the phase is applied");
    let hour_ago = site.clock.now().minus(std::time::Duration::from_secs(3_600));
    let begun = (0..100).map(|n| outcome(&format!("u-{n}"), hour_ago, Ending::Started));
    let ended = (0..90).map(|n| outcome(&format!("u-{n}"), hour_ago, Ending::Succeeded));
    for (batch, uploads) in [("begun", begun.collect()), ("ended", ended.collect::<Vec<_>>())] {
        let report = outcomes(batch, uploads);
        site.signals.clone().report_outcomes(report).await.expect("it is counted");
    }
    let rate = site.judged("gate-1", "gate-1-error-rate").await;
    assert_eq!((rate.verdict(), rate.value.as_str()), (pb::Verdict::Fail, "10% (10 of 100)"));
    site.uploads("young", 50, 0).await;
    let same = site.judged("gate-1", "gate-1-error-rate").await;
    assert_eq!(same.value, rate.value, "what just ended is not ripe");
}
