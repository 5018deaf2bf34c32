//! Bad input: refused or bounded with a clear error, and nothing else disturbed.

use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::incident::{Kind as Incident, State};
use contracts::gate::occurrences::Kind as Occurred;
use contracts::gate::signal::Kind;
use contracts::gate::upload_outcome::Result as Ending;
use service_kit::wire::wire_time;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::site::{Site, gauge, incident, outcome, outcomes, plan, signals};

const DAY: Duration = Duration::from_secs(86_400);

async fn refused(site: &Site, kind: Kind) -> Status {
    let report = signals("bad", site.clock.now(), vec![gauge("db_cpu", 1), kind]);
    site.signals.clone().report_signals(report).await.expect_err("it is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_signal_is_named_with_what_would_be_right() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let probes =
        |good_count, bad_count| Kind::ProbeResults(pb::ProbeResults { good_count, bad_count });
    let occurred =
        |kind: Occurred, count| Kind::Occurrences(pb::Occurrences { kind: kind.into(), count });
    for (kind, field, says) in [
        (gauge("happiness", 1), "gauge.metric", "is not a metric"),
        (gauge("db_cpu", -1), "gauge.amount", "is negative"),
        (gauge("db_cpu", i64::MAX), "gauge.amount", "enormous"),
        (probes(-1, 0), "probe_results.good_count", "out of range"),
        (probes(0, i64::MAX), "probe_results.bad_count", "out of range"),
        (probes(0, 0), "probe_results", "no probe"),
        (occurred(Occurred::Unspecified, 1), "occurrences.kind", "SUPPORT_TICKET"),
        (occurred(Occurred::Complaint, -1), "occurrences.count", "out of range"),
        (incident("", Incident::P1, State::Declared), "incident.incident_id", "expected"),
        (incident("INC 1", Incident::P1, State::Declared), "incident.incident_id", "expected"),
        (incident("I", Incident::Unspecified, State::Declared), "incident.kind", "CORRUPTION"),
        (incident("I", Incident::P1, State::Unspecified), "incident.state", "RESOLVED"),
    ] {
        let status = refused(&site, kind).await;
        let path = format!("signals[1].{field}");
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(&path) && status.message().contains(says), "{status:?}");
        let details = status.get_error_details();
        let fields = details.bad_request().map(|bad| &bad.field_violations);
        assert_eq!(fields.map(|fields| fields[0].field.as_str()), Some(path.as_str()));
        let reason = details.error_info().map(|info| info.reason.as_str());
        assert_eq!(reason, Some("FIELD_INVALID"));
    }
    let measured = site.metrics().await;
    assert!(!measured.iter().any(|one| one.metric == "db_cpu"), "nothing of any batch was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_future_is_refused_and_the_past_counts_where_it_belongs() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let now = site.clock.now();
    let at = |batch: &str, at| outcomes(batch, vec![outcome("u", at, Ending::Failed)]);
    for (report, says) in [
        (at("future", now.plus(Duration::from_secs(90))), "in the future"),
        (at("ancient", now.minus(8 * DAY)), "too late"),
    ] {
        let status = site.signals.clone().report_outcomes(report).await.expect_err("refused");
        assert!(status.message().contains(says), "{status:?}");
    }
    let late = outcomes("late", vec![outcome("u", now.minus(2 * DAY), Ending::Failed)]);
    site.signals.clone().report_outcomes(late).await.expect("late is not refused");
    let counted = |metrics: &[pb::MetricValue], window: &str| {
        let own = metrics.iter().find(|one| {
            one.metric == "uploads_processed" && one.label.is_empty() && one.window == window
        });
        own.and_then(|one| one.amount)
    };
    let metrics = site.metrics().await;
    for (window, count) in
        [("since phase start", 0), ("last 15m", 0), ("last 1d", 0), ("last 7d", 1)]
    {
        assert_eq!(counted(&metrics, window), Some(count), "{window}");
    }
    // What happened before the phase is evidence of nothing in it.
    let trigger = site.triggers().await.into_iter().find(|one| one.name.contains("error_rate"));
    let evidence = trigger.and_then(|trigger| trigger.evidence).expect("it was measured");
    assert_eq!(evidence.sample_count, 0, "{evidence:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_report_counts_in_the_window_of_its_time() {
    let site = Site::new().await;
    let request = pb::ApplyGatePlanRequest {
        rollout: crate::site::ROLLOUT.to_owned(),
        plan_source: plan(&[]).into_bytes(),
        generation: 1,
        phase_id: "P1".to_owned(),
        start_time: Some(wire_time(site.clock.now().minus(30 * DAY))),
        phase_generation: 1,
        ..Default::default()
    };
    site.gates.clone().apply_gate_plan(request).await.expect("the phase is applied");
    let now = site.clock.now();
    let ages = [("now", Duration::ZERO), ("hours", DAY / 2), ("days", 3 * DAY)];
    for (batch, age) in ages.into_iter().rev() {
        let report = outcomes(batch, vec![outcome("u", now.minus(age), Ending::Succeeded)]);
        site.signals.clone().report_outcomes(report).await.expect("it is counted");
    }
    let metrics = site.metrics().await;
    for (window, expected) in
        [("last 15m", 1), ("last 1d", 2), ("last 7d", 3), ("since phase start", 3)]
    {
        let own = metrics.iter().find(|one| {
            one.metric == "uploads_processed" && one.label.is_empty() && one.window == window
        });
        assert_eq!(own.and_then(|one| one.amount), Some(expected), "{window}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_workspaces_and_platforms_are_counted_and_few_kept_apart() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let at = site.clock.now();
    for batch in 0..100 {
        let uploads = (0..1_000).map(|n| pb::UploadOutcome {
            workspace_id: format!("ws-{batch}-{n}"),
            platform: format!("p-{batch}-{n}"),
            ..outcome(&format!("u-{batch}-{n}"), at, Ending::Succeeded)
        });
        let report = outcomes(&format!("batch-{batch}"), uploads.collect());
        site.signals.clone().report_outcomes(report).await.expect("they are counted");
    }
    let metrics = site.metrics().await;
    let since = |one: &&pb::MetricValue| {
        one.metric == "uploads_processed" && one.window == "since phase start"
    };
    let all = metrics.iter().filter(since);
    let total = all
        .clone()
        .find(|one| one.label.is_empty() && one.platform.is_empty() && one.workspace_id.is_empty());
    assert_eq!(total.and_then(|one| one.amount), Some(100_000));
    let platforms: Vec<_> = all.clone().filter(|one| !one.platform.is_empty()).collect();
    assert_eq!(platforms.len(), 17, "sixteen and the others");
    let sum: i64 = platforms.iter().filter_map(|one| one.amount).sum();
    assert_eq!(sum, 100_000, "none is lost");
    let workspaces = all.filter(|one| !one.workspace_id.is_empty()).count();
    assert_eq!(workspaces, 100, "as many as were asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_that_is_none_is_refused_and_a_batch_id_is_used_once() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let at = site.clock.now();
    for platform in ["a/b", "a\nb", "mété", &"x".repeat(33)] {
        let upload = pb::UploadOutcome {
            platform: platform.to_owned(),
            ..outcome("u", at, Ending::Succeeded)
        };
        let report = site.signals.clone().report_outcomes(outcomes("bad", vec![upload])).await;
        let status = report.expect_err("refused");
        assert!(status.message().contains("outcomes[0].platform"), "{status:?}");
    }
    let one = outcomes("same", vec![outcome("u", at, Ending::Succeeded)]);
    site.signals.clone().report_outcomes(one.clone()).await.expect("it is counted");
    let again = site.signals.clone().report_outcomes(one).await.expect("it is known");
    assert!(again.into_inner().duplicate);
    let other = outcomes("same", vec![outcome("v", at, Ending::Failed)]);
    let status = site.signals.clone().report_outcomes(other).await.expect_err("refused");
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_neither_loses_nor_doubles_anything() {
    let site = Site::hurried(3_600).await; // Its reports are soon from the future of a system clock.
    site.enter("P1", 1, 0, &plan(&[])).await;
    let ahead = site.clock.now().plus(Duration::from_secs(50));
    let reports = [
        outcomes("ahead", vec![outcome("u", ahead, Ending::Succeeded)]),
        outcomes("back", vec![outcome("v", site.clock.now(), Ending::Succeeded)]),
    ];
    for report in reports {
        site.signals.clone().report_outcomes(report).await.expect("within the skew");
    }
    let metrics = site.metrics().await;
    let own = metrics.iter().find(|one| {
        one.metric == "uploads_processed" && one.label.is_empty() && one.window.starts_with("since")
    });
    assert_eq!(own.and_then(|one| one.amount), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_report_is_seen_by_a_replica_that_has_added_up_its_hour_already() {
    let site = Site::new().await;
    let request = pb::ApplyGatePlanRequest {
        rollout: crate::site::ROLLOUT.to_owned(),
        plan_source: plan(&[]).into_bytes(),
        generation: 1,
        phase_id: "P1".to_owned(),
        start_time: Some(wire_time(site.clock.now().minus(30 * DAY))),
        phase_generation: 1,
        ..Default::default()
    };
    site.gates.clone().apply_gate_plan(request).await.expect("the phase is applied");
    let other = site.another().await;
    for late in 1..=5 {
        let at = site.clock.now().minus(2 * DAY);
        let report = outcomes(&format!("late-{late}"), vec![outcome("u", at, Ending::Failed)]);
        other.signals.clone().report_outcomes(report).await.expect("it is counted");
        let metrics = site.metrics().await;
        let week = metrics.iter().find(|one| {
            one.metric == "uploads_processed" && one.label.is_empty() && one.window == "last 7d"
        });
        assert_eq!(week.and_then(|one| one.amount), Some(late));
    }
}
