//! Outcomes of uploads: checked whole, counted once.

use contracts::gate as pb;
use contracts::gate::upload_outcome::{Path, Result as Outcome};
use softlaunch_tests::{House, ask};
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{BOB, outcome, outcomes, started, uploads_counted, wire_time};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_outcome_is_named_and_its_whole_batch_is_refused() {
    let house = House::start().await;
    started(&house).await;
    let now = house.clock.now();
    let good = || outcome(&house, "u-1");
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let at = |time| Some(wire_time(time));
    let cases = [
        (pb::UploadOutcome { upload_id: String::new(), ..good() }, ["upload_id", "expected"]),
        (pb::UploadOutcome { workspace_id: "a b".to_owned(), ..good() }, ["workspace_id", "`a b`"]),
        (pb::UploadOutcome { result: 0, ..good() }, ["result", "SUCCEEDED, FAILED or INVALID"]),
        (pb::UploadOutcome { result: 77, ..good() }, ["result", "SUCCEEDED, FAILED or INVALID"]),
        (pb::UploadOutcome { path: 0, ..good() }, ["path", "NEW or LEGACY"]),
        (pb::UploadOutcome { occur_time: None, ..good() }, ["occur_time", "is required"]),
        (
            pb::UploadOutcome { occur_time: at(now.plus(120 * SECOND)), ..good() },
            ["occur_time", "in the future"],
        ),
        (
            pb::UploadOutcome { occur_time: at(now.minus(8 * 86_400 * SECOND)), ..good() },
            ["occur_time", "too late"],
        ),
        (pb::UploadOutcome { latency_duration: None, ..good() }, ["latency_duration", "required"]),
        (
            pb::UploadOutcome { latency_duration: seconds(-1), ..good() },
            ["latency_duration", "0 s to 24 h"],
        ),
        (
            pb::UploadOutcome { latency_duration: seconds(86_401), ..good() },
            ["latency_duration", "0 s to 24 h"],
        ),
        (pb::UploadOutcome { platform: "x".repeat(33), ..good() }, ["platform", "32"]),
    ];
    for (bad, [field, says]) in cases {
        let batch = outcomes("batch", vec![good(), bad]);
        let path = format!("outcomes[1].{field}");
        refused_field(&house, house.signals().report_outcomes(ask(BOB, batch)), &[&path, says])
            .await;
    }
    assert_eq!(uploads_counted(&house).await, 0, "nothing of a refused batch is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_one_to_a_thousand_outcomes() {
    let house = House::start().await;
    started(&house).await;
    let empty = ask(BOB, outcomes("batch", Vec::new()));
    let says = ["outcomes", "expected 1 to 1000"];
    refused_field(&house, house.signals().report_outcomes(empty), &says).await;
    let many: Vec<_> = (0..1_001).map(|n| outcome(&house, &format!("u-{n}"))).collect();
    let too_many = ask(BOB, outcomes("batch", many.clone()));
    refused_field(&house, house.signals().report_outcomes(too_many), &says).await;
    let nameless = ask(BOB, outcomes("", many[..1].to_vec()));
    refused_field(&house, house.signals().report_outcomes(nameless), &["batch_id", "expected"])
        .await;
    assert_eq!(uploads_counted(&house).await, 0);
    let most =
        house.signals().report_outcomes(ask(BOB, outcomes("batch", many[1..].to_vec()))).await;
    most.expect("a thousand is allowed");
    assert_eq!(uploads_counted(&house).await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_a_pipeline_nobody_rolls_out_are_refused() {
    let house = House::start().await;
    started(&house).await;
    let strange = pb::ReportOutcomesRequest {
        pipeline: "other".to_owned(),
        ..outcomes("batch", vec![outcome(&house, "u-1")])
    };
    let rule = (Code::NotFound, "PIPELINE_NOT_FOUND");
    let says = ["pipeline other", "start one first"];
    refused(&house, house.signals().report_outcomes(ask(BOB, strange.clone())), rule, &says).await;
    let nameless = pb::ReportOutcomesRequest { pipeline: String::new(), ..strange };
    let call = ask(BOB, nameless);
    refused_field(&house, house.signals().report_outcomes(call), &["pipeline"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_sent_twice_counts_once() {
    let house = House::start().await;
    started(&house).await;
    let batch = outcomes("batch", (0..7).map(|n| outcome(&house, &format!("u-{n}"))).collect());
    for (nth, duplicate) in [(1, false), (2, true), (3, true)] {
        let answer = house.signals().report_outcomes(ask(BOB, batch.clone())).await.unwrap();
        assert_eq!(answer.into_inner().duplicate, duplicate, "sending {nth}");
        assert_eq!(uploads_counted(&house).await, 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_pipeline_and_invalid_files_are_no_errors_of_the_new_one() {
    let house = House::start().await;
    started(&house).await;
    let legacy = pb::UploadOutcome {
        path: Path::Legacy.into(),
        result: Outcome::Failed.into(),
        ..outcome(&house, "old")
    };
    let invalid = pb::UploadOutcome { result: Outcome::Invalid.into(), ..outcome(&house, "bad") };
    let failed = pb::UploadOutcome { result: Outcome::Failed.into(), ..outcome(&house, "failed") };
    let batch = vec![legacy, invalid, failed, outcome(&house, "good")];
    house.signals().report_outcomes(ask(BOB, outcomes("batch", batch))).await.unwrap();
    let list =
        pb::ListMetricsRequest { parent: crate::story::ROLLOUT.to_owned(), ..Default::default() };
    let metrics = house.gates().list_metrics(list).await.unwrap().into_inner().metrics;
    let since = metrics.iter().filter(|one| one.window == "since phase start");
    let rate = since.clone().find(|one| one.metric == "error_rate").expect("it is measured");
    assert_eq!((rate.amount, rate.sample_count), (Some(500_000), 2), "one of two valid uploads");
    let legacy = since.clone().find(|one| one.label == "legacy").expect("it is counted apart");
    assert_eq!(legacy.amount, Some(1));
}
