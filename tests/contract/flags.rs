//! Flags: who is on, and who may say so.

use contracts::flag as pb;
use contracts::flag::{Admission, Limit, Reason};
use prost_types::FieldMask;
use softlaunch_tests::{House, ask};
use test_kit::eventually;
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{ADA, BOB, FLAG, ROLLOUT, answers, new_flag, question, started, upload};

const MISSING: (Code, &str) = (Code::NotFound, "FLAG_NOT_FOUND");
const RAMP: (Code, &str) = (Code::FailedPrecondition, "RAMP_RULE");

async fn create(house: &House, id: &str, share: i32) -> pb::Flag {
    let created = house.flags().create_flag(ask(ADA, new_flag(id, share))).await;
    created.expect("a small flag may be created").into_inner()
}

fn update(mut flag: pb::Flag, share: i32) -> pb::UpdateFlagRequest {
    flag.definition.as_mut().expect("a flag has a definition").percentage_basis_points = share;
    pb::UpdateFlagRequest {
        flag: Some(flag),
        reason: "for a test".to_owned(),
        ..pb::UpdateFlagRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_flag_is_refused_by_every_question() {
    let house = House::start().await;
    let says = ["no flag `nothing`", "ListFlags"];
    let name = "flags/nothing".to_owned();
    refused(&house, house.flags().get_flag(pb::GetFlagRequest { name }), MISSING, &says).await;
    let asked = question("flags/nothing", "ws-1");
    refused(&house, house.evaluation().evaluate_flag(asked.clone()), MISSING, &says).await;
    let batch = pb::BatchEvaluateFlagsRequest { requests: vec![asked] };
    refused(&house, house.evaluation().batch_evaluate_flags(batch), MISSING, &says).await;
    let admit = upload("flags/nothing", "ws-1", "u-1");
    refused(&house, house.admission().admit_upload(admit), MISSING, &says).await;
    let flag = pb::Flag { name: "flags/nothing".to_owned(), ..create(&house, "some", 0).await };
    let changed = ask(ADA, update(pb::Flag { etag: String::new(), ..flag }, 1_000));
    refused(&house, house.flags().update_flag(changed), MISSING, &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_flag_above_ten_percent_is_refused_with_the_largest_allowed() {
    let house = House::start().await;
    let call = new_flag("eager", 5_000);
    refused(
        &house,
        house.flags().create_flag(ask(ADA, call)),
        RAMP,
        &["at most 10%", "not to 50%"],
    )
    .await;
    let call = pb::CreateFlagRequest { validate_only: true, ..new_flag("eager", 5_000) };
    refused(&house, house.flags().create_flag(ask(ADA, call)), RAMP, &["at most 10%"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_nobody_moves_may_double_and_not_triple() {
    let house = House::start().await;
    let flag = create(&house, "steady", 1_000).await;
    let triple = ask(ADA, update(flag.clone(), 3_000));
    refused(&house, house.flags().update_flag(triple), RAMP, &["at most 20%", "not to 30%"]).await;
    let double = house.flags().update_flag(ask(ADA, update(flag, 2_000))).await;
    let definition = double.expect("twice is allowed").into_inner().definition;
    assert_eq!(definition.expect("a flag has one").percentage_basis_points, 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_a_rollout_moves_is_raised_by_nobody_else() {
    let house = House::start().await;
    started(&house).await;
    let get = pb::GetFlagRequest { name: FLAG.to_owned() };
    let flag = house.flags().get_flag(get).await.unwrap().into_inner();
    let rule = (Code::FailedPrecondition, "RAISE_NEEDS_ROLLOUT");
    let mut raised = update(flag.clone(), 500);
    raised.flag.as_mut().and_then(|flag| flag.definition.as_mut()).unwrap().enabled = true;
    let raised = ask(ADA, raised);
    refused(&house, house.flags().update_flag(raised), rule, &["5%", ROLLOUT, "ramp step"]).await;
    let mut wider = update(flag.clone(), 0);
    let definition = wider.flag.as_mut().and_then(|flag| flag.definition.as_mut());
    definition.unwrap().allowlist.push("everybody-*".to_owned());
    let wider = ask(ADA, wider);
    refused(&house, house.flags().update_flag(wider), rule, &["`everybody-*` on the allowlist"])
        .await;
    let mut narrower = update(flag, 0);
    let definition = narrower.flag.as_mut().and_then(|flag| flag.definition.as_mut());
    definition.unwrap().denylist.push("internal-*".to_owned());
    house.flags().update_flag(ask(ADA, narrower)).await.expect("narrowing is free");
    answers(&house, "internal-test-workspace", Reason::Denylisted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_pattern_is_refused_with_the_forms_that_are_right() {
    let house = House::start().await;
    for (bad, says) in [("a*b*c", "too many stars"), ("a b", "expected 1 to 128"), ("", "expected")]
    {
        let mut call = new_flag("patterned", 0);
        let definition = call.flag.as_mut().and_then(|flag| flag.definition.as_mut());
        definition.unwrap().allowlist = vec!["fine-*".to_owned(), bad.to_owned()];
        let path = "flag.definition.allowlist[1]";
        refused_field(&house, house.flags().create_flag(ask(ADA, call)), &[path, says]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_malformed_field_of_a_flag_is_named() {
    let house = House::start().await;
    let good = || new_flag("fields", 0);
    let no_flag = pb::CreateFlagRequest { flag: None, ..good() };
    let no_id = pb::CreateFlagRequest { flag_id: String::new(), ..good() };
    let no_reason = pb::CreateFlagRequest { reason: " ".to_owned(), ..good() };
    let long = pb::CreateFlagRequest { reason: "x".repeat(1_001), ..good() };
    let no_uuid = pb::CreateFlagRequest { request_id: "again".to_owned(), ..good() };
    let mut no_pipeline = good();
    no_pipeline.flag.as_mut().unwrap().pipeline.clear();
    let mut no_definition = good();
    no_definition.flag.as_mut().unwrap().definition = None;
    for (call, says) in [
        (no_flag, ["flag", "is required"]),
        (no_id, ["flag_id", "expected 1 to 128"]),
        (no_reason, ["reason", "is required"]),
        (long, ["reason", "at most 1000"]),
        (no_uuid, ["request_id", "not a UUID"]),
        (no_pipeline, ["flag.pipeline", "expected 1 to 63"]),
        (no_definition, ["flag.definition", "is required"]),
        (new_flag("fields", 10_001), ["flag.definition.percentage_basis_points", "10000"]),
        (new_flag("fields", -1), ["flag.definition.percentage_basis_points", "10000"]),
    ] {
        refused_field(&house, house.flags().create_flag(ask(ADA, call)), &says).await;
    }
    let flag = create(&house, "fields", 0).await;
    for (paths, says) in [
        (vec!["revision"], ["update_mask", "`revision` cannot be changed: definition"]),
        (vec![], ["flag.definition", "is required"]),
        (vec!["definition.enabled"], ["flag.definition", "is required"]),
        (vec!["limits"], ["flag.limits", "is required"]),
    ] {
        let paths = paths.into_iter().map(str::to_owned).collect();
        let bare = pb::Flag { definition: None, limits: None, ..flag.clone() };
        let call = pb::UpdateFlagRequest {
            update_mask: Some(FieldMask { paths }),
            flag: Some(bare),
            reason: "for a test".to_owned(),
            ..pb::UpdateFlagRequest::default()
        };
        refused_field(&house, house.flags().update_flag(ask(ADA, call)), &says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_question_is_refused_before_it_is_answered() {
    let house = House::start().await;
    create(&house, "asked", 0).await;
    let nobody = question("flags/asked", "");
    refused_field(&house, house.evaluation().evaluate_flag(nobody), &["workspace_id", "expected"])
        .await;
    let elsewhere = question("rollouts/asked", "ws-1");
    refused_field(&house, house.evaluation().evaluate_flag(elsewhere), &["name", "flags/"]).await;
    let requests = vec![question("flags/asked", "ws-1"); 1_001];
    let many =
        house.evaluation().batch_evaluate_flags(pb::BatchEvaluateFlagsRequest { requests }).await;
    assert_eq!(many.unwrap_err().code(), Code::InvalidArgument);
    let no_id = upload("flags/asked", "ws-1", "");
    refused_field(&house, house.admission().admit_upload(no_id), &["upload_id", "expected"]).await;
    let negative =
        pb::AdmitUploadRequest { file_size_bytes: -1, ..upload("flags/asked", "ws-1", "u") };
    refused_field(
        &house,
        house.admission().admit_upload(negative),
        &["file_size_bytes", "negative"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_etag_is_refused_with_the_one_that_holds() {
    let house = House::start().await;
    let seen = create(&house, "watched", 100).await;
    house.flags().update_flag(ask(ADA, update(seen.clone(), 200))).await.expect("the etag holds");
    let rule = (Code::Aborted, "ETAG_MISMATCH");
    let late = ask(BOB, update(seen, 150));
    refused(&house, house.flags().update_flag(late), rule, &["read it again", "\"2\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_exists_is_not_created_again() {
    let house = House::start().await;
    create(&house, "taken", 0).await;
    let rule = (Code::AlreadyExists, "FLAG_EXISTS");
    let again = ask(ADA, new_flag("taken", 100));
    refused(&house, house.flags().create_flag(again), rule, &["`taken` exists", "never reused"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_an_older_generation_or_another_rollout_is_refused() {
    let house = House::start().await;
    let rollout = started(&house).await;
    let step = |rollout: &str, generation| {
        let request = pb::ApplyRolloutStepRequest {
            name: FLAG.to_owned(),
            rollout: rollout.to_owned(),
            generation,
            phase_id: "P0".to_owned(),
            definition: Some(pb::FlagDefinition::default()),
            limits: Some(pb::UploadLimits::default()),
            paused: false,
            pipeline: "ingestion_v2".to_owned(),
        };
        ask(BOB, request)
    };
    assert!(rollout.generation > 1);
    let old = house.flags().apply_rollout_step(step(ROLLOUT, 1)).await;
    assert!(old.is_err());
    let old = step(ROLLOUT, rollout.generation - 1);
    let rule = (Code::Aborted, "STALE_GENERATION");
    refused(&house, house.flags().apply_rollout_step(old), rule, &["older than generation"]).await;
    let rule = (Code::FailedPrecondition, "OTHER_ROLLOUT");
    let other = step("rollouts/other", rollout.generation + 1);
    refused(&house, house.flags().apply_rollout_step(other), rule, &[ROLLOUT]).await;
    let none = step(ROLLOUT, 0);
    refused_field(&house, house.flags().apply_rollout_step(none), &["generation", "1 or more"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_bounded_and_tokens_stay_with_their_list() {
    let house = House::start().await;
    for id in ["a", "b", "c"] {
        create(&house, id, 0).await;
    }
    let page = |page_size, page_token: &str| {
        ask(
            BOB,
            pb::ListFlagsRequest {
                page_size,
                page_token: page_token.to_owned(),
                show_deleted: false,
            },
        )
    };
    refused_field(&house, house.flags().list_flags(page(-1, "")), &["page_size", "negative"]).await;
    let foreign = page(1, "e3b0c442~a");
    refused_field(&house, house.flags().list_flags(foreign), &["page_token", "same arguments"])
        .await;
    let first = house.flags().list_flags(page(2, "")).await.unwrap().into_inner();
    let rest =
        house.flags().list_flags(page(2, &first.next_page_token)).await.unwrap().into_inner();
    let names = first.flags.iter().chain(&rest.flags).map(|flag| flag.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["flags/a", "flags/b", "flags/c"]);
    assert_eq!(rest.next_page_token, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_s_limits_refuse_an_upload_and_say_which() {
    let house = House::start().await;
    started(&house).await;
    answers(&house, "internal-test-workspace", Reason::Allowlisted).await;
    let admit = async |request| house.admission().admit_upload(request).await.unwrap().into_inner();
    let small = admit(upload(FLAG, "internal-test-workspace", "small")).await;
    assert_eq!(small.admission(), Admission::Admit);
    let outside = admit(upload(FLAG, "somebody", "u-1")).await;
    assert_eq!((outside.admission(), outside.reason()), (Admission::Legacy, Reason::Disabled));
    let large = upload(FLAG, "internal-test-workspace", "large");
    let large = admit(pb::AdmitUploadRequest { file_size_bytes: 52_428_801, ..large }).await;
    assert_eq!((large.admission(), large.limit()), (Admission::Reject, Limit::FileSize));
    assert_eq!((large.limit_value, large.observed_value), (52_428_800, 52_428_801));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daily_quota_is_taken_once_per_upload() {
    let house = House::start().await;
    let mut call = new_flag("counted", 0);
    let flag = call.flag.as_mut().unwrap();
    flag.definition.as_mut().unwrap().allowlist.push("ws-1".to_owned());
    flag.limits = Some(pb::UploadLimits { uploads_per_day_count: 2, file_size_max_bytes: 0 });
    house.flags().create_flag(ask(ADA, call)).await.unwrap();
    let admit = async |id: &str| {
        let answer = house.admission().admit_upload(upload("flags/counted", "ws-1", id)).await;
        answer.unwrap().into_inner()
    };
    eventually("the flag service knows the kill switches", async || {
        admit("u-1").await.admission() == Admission::Admit
    })
    .await;
    assert_eq!(admit("u-1").await.admission(), Admission::Admit, "asked again, it is the same one");
    assert_eq!(admit("u-2").await.admission(), Admission::Admit);
    let third = admit("u-3").await;
    assert_eq!((third.admission(), third.limit()), (Admission::Reject, Limit::UploadsPerDay));
    assert_eq!((third.limit_value, third.observed_value), (2, 3));
}
