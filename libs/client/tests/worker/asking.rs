//! What a worker makes of the flag service's answers, and of none.

use std::time::Duration;

use client::{Admission, Client, Options};
use contracts::flag as pb;
use tonic::Status;

use crate::platform::{FLAG, Platform, upload, workspace};

async fn admitted(
    platform: &Platform,
    worker: &Client,
    answer: pb::AdmitUploadResponse,
) -> Admission {
    platform.flags.admit(Ok(answer));
    worker.admit(&workspace("ws-1"), &upload("u-1"), 1_024).await
}

fn answer(admission: pb::Admission) -> pb::AdmitUploadResponse {
    pb::AdmitUploadResponse { admission: admission.into(), ..Default::default() }
}

fn rejected(limit: pb::Limit, limit_value: i64, observed_value: i64) -> pb::AdmitUploadResponse {
    let limit = limit.into();
    pb::AdmitUploadResponse { limit, limit_value, observed_value, ..answer(pb::Admission::Reject) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_asked_for_with_everything_that_decides() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    assert_eq!(worker.admit(&workspace("ws-1"), &upload("u-1"), 1_024).await, Admission::Admit);
    let asked = platform.flags.asked().remove(0);
    assert_eq!(asked.name, format!("flags/{FLAG}"));
    assert_eq!((asked.workspace_id.as_str(), asked.upload_id.as_str()), ("ws-1", "u-1"));
    assert_eq!(asked.file_size_bytes, 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_admission_is_passed_on() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    let admit = async |answer| admitted(&platform, &worker, answer).await;
    assert_eq!(admit(answer(pb::Admission::Admit)).await, Admission::Admit);
    assert_eq!(admit(answer(pb::Admission::Legacy)).await, Admission::Legacy);
    let later = Some(prost_types::Duration { seconds: 42, nanos: 0 });
    let deferred =
        pb::AdmitUploadResponse { retry_after_duration: later, ..answer(pb::Admission::Defer) };
    let retry_after = Duration::from_secs(42);
    assert_eq!(admit(deferred).await, Admission::Defer { retry_after });
    for (answer, why) in [
        (
            rejected(pb::Limit::FileSize, 10_485_760, 10_485_761),
            "10485760 bytes is the largest file, and this would be 10485761",
        ),
        (
            rejected(pb::Limit::UploadsPerDay, 10, 11),
            "10 uploads a day is the quota, and this would be 11",
        ),
        (rejected(pb::Limit::Unspecified, 3, 4), "3 is the limit, and this would be 4"),
    ] {
        assert_eq!(admit(answer).await, Admission::Reject { why: why.to_owned() });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admission_that_is_not_said_or_not_known_is_a_deferral() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    let negative = Some(prost_types::Duration { seconds: -5, nanos: 0 });
    for odd in [
        answer(pb::Admission::Unspecified),
        pb::AdmitUploadResponse { admission: 77, ..Default::default() },
        pb::AdmitUploadResponse { retry_after_duration: negative, ..answer(pb::Admission::Defer) },
    ] {
        let read = admitted(&platform, &worker, odd).await;
        assert_eq!(read, Admission::Defer { retry_after: Duration::from_secs(5) });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_cannot_be_asked_for_is_deferred() {
    let mut platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    platform.flags.admit(Err(Status::not_found("there is no such flag")));
    let admission = worker.admit(&workspace("ws-1"), &upload("u-1"), 1_024).await;
    assert!(matches!(admission, Admission::Defer { .. }), "{admission:?}");
    platform.stop().await;
    platform.flags.admit(Ok(answer(pb::Admission::Admit)));
    let admission = worker.admit(&workspace("ws-1"), &upload("u-1"), 1_024).await;
    assert!(matches!(admission, Admission::Defer { .. }), "{admission:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_is_passed_on_with_its_reason() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    for (reason, enabled) in [(pb::Reason::Allowlisted, true), (pb::Reason::Denylisted, false)] {
        let reason_text = reason.as_str_name().trim_start_matches("REASON_");
        let reason = reason.into();
        let answer = pb::EvaluateFlagResponse { enabled, reason, ..Default::default() };
        platform.flags.evaluate(Ok(answer));
        let evaluated = worker.evaluate(&workspace("ws-1"), !enabled).await;
        assert_eq!((evaluated.enabled, evaluated.reason.as_str()), (enabled, reason_text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_that_is_not_said_or_not_known_is_read_as_off() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    for reason in [0, 77] {
        let answer = pb::EvaluateFlagResponse { enabled: true, reason, ..Default::default() };
        platform.flags.evaluate(Ok(answer));
        assert!(!worker.evaluate(&workspace("ws-1"), true).await.enabled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evaluation_that_fails_is_the_callers_default_and_says_so() {
    let mut platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    for default in [true, false] {
        platform.flags.evaluate(Err(Status::not_found("there is no flag of that name")));
        let unknown = worker.evaluate(&workspace("ws-1"), default).await;
        assert_eq!(unknown.enabled, default);
        assert!(unknown.reason.starts_with("ERROR: "), "{}", unknown.reason);
        assert!(unknown.reason.ends_with("there is no flag of that name"), "{}", unknown.reason);
    }
    platform.stop().await;
    let reason = pb::Reason::Allowlisted.into();
    for default in [true, false] {
        let unheard = pb::EvaluateFlagResponse { enabled: !default, reason, ..Default::default() };
        platform.flags.evaluate(Ok(unheard));
        let unreachable = worker.evaluate(&workspace("ws-1"), default).await;
        assert_eq!(unreachable.enabled, default);
        assert!(unreachable.reason.starts_with("ERROR: "), "{}", unreachable.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_malformed_options_is_not_started() {
    let fine = || Options::new("ingestion_v2", "flag");
    for (options, why) in [
        (Options { pipeline: "a b".to_owned(), ..fine() }, "`a b` is not a pipeline id"),
        (Options { flag: "a/b".to_owned(), ..fine() }, "`a/b` is not a flag key"),
        (Options { gate_address: "not here".to_owned(), ..fine() }, "`not here` is not an address"),
        (Options { flag_address: String::new(), ..fine() }, "`` is not an address"),
    ] {
        let refused = Client::start(options).expect_err(why).to_string();
        assert!(refused.starts_with(why), "{refused}");
    }
}
