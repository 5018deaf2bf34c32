//! Reports arrive, once each, whatever happens in between.

use std::time::Duration;

use client::{Client, Ending, Outcome, Path};
use contracts::gate::signal::Kind;
use test_kit::eventually;
use tonic::Status;
use vocab::Timestamp;

use crate::platform::{Platform, upload, workspace};

fn outcome(id: &str) -> Outcome {
    Outcome {
        upload: upload(id),
        workspace: workspace("ws-1"),
        ending: Ending::Succeeded,
        path: Path::New,
        latency: Duration::from_millis(1_500),
        platform: "meta".to_owned(),
    }
}

async fn report(worker: &Client, id: &str) {
    worker.reporter().outcome(outcome(id)).await.expect("the reporter takes it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_arrives_as_it_was_reported() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    report(&worker, "u-1").await;
    worker.reporter().flush().await.unwrap();
    let arrived = platform.gate.outcomes().remove(0);
    assert_eq!(arrived.pipeline, "ingestion_v2");
    assert!(!arrived.batch_id.is_empty());
    let first = &arrived.outcomes[0];
    assert_eq!((first.upload_id.as_str(), first.workspace_id.as_str()), ("u-1", "ws-1"));
    assert_eq!((first.result(), first.path()), (Ending::Succeeded, Path::New));
    assert_eq!(
        first.latency_duration.map(|wire| (wire.seconds, wire.nanos)),
        Some((1, 500_000_000))
    );
    let occurred = first.occur_time.map(|wire| (wire.seconds, wire.nanos));
    assert_eq!(occurred, Some((1_767_225_600, 250_000_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_again_with_its_id_until_it_is_counted() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    platform.gate.fail([
        Status::unavailable("not now"),
        Status::resource_exhausted("too much"),
        Status::internal("who knows"),
    ]);
    report(&worker, "u-1").await;
    worker.reporter().flush().await.unwrap();
    let attempts = platform.gate.outcomes();
    assert_eq!(attempts.len(), 4);
    assert!(attempts.iter().all(|attempt| attempt == &attempts[0]), "{attempts:?}");
    report(&worker, "u-2").await;
    worker.reporter().flush().await.unwrap();
    let next = platform.gate.outcomes().remove(4);
    assert_ne!(next.batch_id, attempts[0].batch_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_while_the_service_is_down_arrives_when_it_is_up() {
    let mut platform = Platform::start().await;
    platform.stop().await;
    let worker = platform.worker();
    for id in ["u-1", "u-2", "u-3"] {
        report(&worker, id).await;
    }
    worker.reporter().gauge("staging_backlog", "", 12).await.unwrap();
    platform.start_again().await;
    worker.reporter().flush().await.unwrap();
    let arrived = platform.gate.outcomes();
    let uploads =
        arrived.iter().flat_map(|batch| &batch.outcomes).map(|one| one.upload_id.as_str());
    assert_eq!(uploads.collect::<Vec<_>>(), ["u-1", "u-2", "u-3"]);
    assert_eq!(platform.gate.signals().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_the_callers_own_keeps_its_id_however_often_it_is_reported() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    platform.gate.fail([Status::unavailable("not now")]);
    for _ in 0..2 {
        worker.reporter().batch("file-1", vec![outcome("u-1"), outcome("u-2")]).await.unwrap();
    }
    let restarted = platform.worker();
    restarted.reporter().batch("file-1", vec![outcome("u-1"), outcome("u-2")]).await.unwrap();
    let attempts = platform.gate.outcomes();
    assert_eq!(attempts.len(), 4);
    assert!(attempts.iter().all(|one| one.batch_id == "file-1" && one.outcomes.len() == 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_for_good_is_not_sent_again_and_the_caller_is_told() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    for refusal in [
        Status::invalid_argument("outcomes: expected 1 to 1000"),
        Status::permission_denied("not for you"),
        Status::unauthenticated("who are you"),
        Status::already_exists("used before with other contents"),
        Status::failed_precondition("not in this state"),
        Status::out_of_range("beyond the end"),
        Status::unimplemented("no such method"),
    ] {
        let why = format!("not reported: {}", refusal.message());
        platform.gate.fail([refusal]);
        let refused = worker.reporter().batch("file-1", Vec::new()).await.unwrap_err();
        assert_eq!(refused.to_string(), why);
        assert_eq!(refused.is_counted_otherwise(), why.contains("used before"), "{why}");
    }
    assert_eq!(platform.gate.outcomes().len(), 7);
    worker.reporter().batch("file-2", vec![outcome("u-1")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_says_once_what_was_refused_since_the_last() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    platform.gate.fail([Status::invalid_argument("occur_time: in the future")]);
    report(&worker, "u-1").await;
    let refused = worker.reporter().flush().await.unwrap_err();
    assert_eq!(refused.to_string(), "not reported: occur_time: in the future");
    worker.reporter().flush().await.unwrap();
    report(&worker, "u-2").await;
    worker.reporter().flush().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_arrive_in_order_and_are_sent_again_too() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    let reporter = worker.reporter();
    platform.gate.fail([Status::unavailable("not now")]);
    let at = Timestamp::from_millis(1_000);
    reporter.transition("received", "validating", at).await.unwrap();
    reporter.breaker("database", "OPEN", at).await.unwrap();
    reporter.gauge("staging_backlog", "", u64::MAX).await.unwrap();
    reporter.flush().await.unwrap();
    let attempts = platform.gate.signals();
    assert_eq!(attempts.first(), attempts.get(1));
    let kinds: Vec<_> = attempts[1..]
        .iter()
        .flat_map(|batch| &batch.signals)
        .map(|signal| match signal.kind.as_ref().unwrap() {
            Kind::StateTransition(one) => format!("{}->{}", one.from, one.to),
            Kind::BreakerTransition(one) => format!("{} {}", one.breaker_id, one.state),
            Kind::Gauge(one) => format!("{} {}", one.metric, one.amount),
            Kind::ManualIntervention(one) => one.reason.clone(),
            other @ (Kind::ProbeResults(_) | Kind::Incident(_) | Kind::Occurrences(_)) => {
                format!("{other:?}")
            }
        })
        .collect();
    let expected = ["received->validating", "database 2", "staging_backlog 9223372036854775807"];
    assert_eq!(kinds, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_state_that_does_not_exist_is_refused_at_once() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    let refused = worker.reporter().breaker("database", "AJAR", Timestamp::EPOCH).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "not reported: `AJAR` is not CLOSED, OPEN or HALF_OPEN"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_away_has_sent_what_it_reported() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    report(&worker, "u-1").await;
    drop(worker);
    eventually("the outcome arrives", async || !platform.gate.outcomes().is_empty()).await;
}
