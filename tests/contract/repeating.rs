//! Requests sent twice: the same answer, and nothing done twice.

use contracts::flag as flag_pb;
use contracts::gate as gate_pb;
use contracts::rollout as pb;
use softlaunch_tests::{House, ask};
use tonic::Code;

use crate::refusal::refused;
use crate::story::{
    ADA, BOB, PLAN, PLAN_VERSION, ROLLOUT, attestation, created, new_flag, outcome, outcomes,
    started,
};

const REUSED: (Code, &str) = (Code::AlreadyExists, "REQUEST_ID_REUSED");

fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_returns_its_first_answer_even_after_a_change() {
    let house = House::start().await;
    let create = flag_pb::CreateFlagRequest { request_id: id(), ..new_flag("once", 100) };
    let first = house.flags().create_flag(ask(ADA, create.clone())).await.unwrap().into_inner();
    let update = |share, request_id: &str| {
        let mut flag = flag_pb::Flag { etag: String::new(), ..first.clone() };
        flag.definition.as_mut().unwrap().percentage_basis_points = share;
        let (flag, reason) = (Some(flag), "for a test".to_owned());
        let request_id = request_id.to_owned();
        let update_mask = None;
        let call = flag_pb::UpdateFlagRequest {
            flag,
            update_mask,
            reason,
            request_id,
            validate_only: false,
        };
        ask(ADA, call)
    };
    let one = id();
    let changed = house.flags().update_flag(update(200, &one)).await.unwrap().into_inner();
    house.flags().update_flag(update(50, "")).await.unwrap();
    let before = house.journals().await;
    let created_again = house.flags().create_flag(ask(ADA, create)).await.unwrap().into_inner();
    assert_eq!(created_again, first);
    let changed_again = house.flags().update_flag(update(200, &one)).await.unwrap().into_inner();
    assert_eq!(changed_again, changed);
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_with_another_body_is_refused() {
    let house = House::start().await;
    created(&house).await;
    let says = ["used before with other contents", "choose a new one"];
    let request_id = id();
    let create = |flag: &str| {
        ask(ADA, flag_pb::CreateFlagRequest { request_id: request_id.clone(), ..new_flag(flag, 0) })
    };
    house.flags().create_flag(create("one")).await.unwrap();
    refused(&house, house.flags().create_flag(create("two")), REUSED, &says).await;

    let attest = |criterion: &str| {
        let mut request = attestation("engineering_lead", criterion);
        request.request_id.clone_from(&request_id);
        ask(ADA, request)
    };
    house.gates().attest_criterion(attest("p0-dashboard-live")).await.unwrap();
    refused(&house, house.gates().attest_criterion(attest("p0-alerts-active")), REUSED, &says)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_returns_the_rollout_as_it_was_created() {
    let house = House::start().await;
    let plan = pb::CreatePlanVersionRequest {
        source: PLAN.as_bytes().to_vec(),
        request_id: id(),
        validate_only: false,
    };
    let first = house.rollouts().create_plan_version(ask(ADA, plan.clone())).await.unwrap();
    let second = house.rollouts().create_plan_version(ask(ADA, plan.clone())).await.unwrap();
    assert_eq!(first.into_inner(), second.into_inner());
    let create = pb::CreateRolloutRequest {
        rollout_id: ROLLOUT.trim_start_matches("rollouts/").to_owned(),
        plan_version: PLAN_VERSION.to_owned(),
        demo: false,
        request_id: id(),
        validate_only: false,
    };
    let first = house.rollouts().create_rollout(ask(ADA, create.clone())).await.unwrap();
    let first = first.into_inner();
    house.approve_plan(PLAN_VERSION).await;
    let criteria = ["p0-workers-deployed", "p0-guardrails-configured", "p0-dashboard-live"];
    for criterion in criteria.into_iter().chain(["p0-alerts-active"]) {
        crate::story::attest(&house, ADA, criterion).await;
    }
    let start = pb::StartRolloutRequest {
        name: first.name.clone(),
        etag: first.etag.clone(),
        validate_only: false,
    };
    let started = house.rollouts().start_rollout(ask(ADA, start)).await.unwrap().into_inner();
    assert_ne!(started.state, first.state);
    let before = house.journals().await;
    let second = house.rollouts().create_rollout(ask(ADA, create.clone())).await.unwrap();
    assert_eq!(second.into_inner(), first);
    assert_eq!(house.journals().await, before);
    let other = pb::CreateRolloutRequest { rollout_id: "s".to_owned(), ..create };
    refused(
        &house,
        house.rollouts().create_rollout(ask(BOB, other)),
        REUSED,
        &["choose a new one"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_repeated_after_its_withdrawal_is_answered_and_not_given_again() {
    let house = House::start().await;
    created(&house).await;
    let mut attest = attestation("engineering_lead", "p0-dashboard-live");
    attest.request_id = id();
    let first = house.gates().attest_criterion(ask(ADA, attest.clone())).await.unwrap();
    let withdraw = gate_pb::WithdrawAttestationRequest {
        name: attest.name.clone(),
        reason: "for a test".to_owned(),
    };
    house.gates().withdraw_attestation(ask(ADA, withdraw)).await.unwrap();
    let before = house.journals().await;
    let second = house.gates().attest_criterion(ask(ADA, attest)).await.unwrap();
    assert_eq!(second.into_inner(), first.into_inner());
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_id_with_another_body_is_refused_and_nothing_of_it_is_counted() {
    let house = House::start().await;
    started(&house).await;
    let report = |upload: &str| {
        let outcome = outcome(&house, upload);
        ask(BOB, outcomes("batch", vec![outcome]))
    };
    house.signals().report_outcomes(report("u-1")).await.unwrap();
    let mut signals = house.signals();
    let again = signals.report_outcomes(report("u-2"));
    let rule = (Code::AlreadyExists, "BATCH_ID_REUSED");
    refused(&house, again, rule, &["batch id batch", "choose a new one"]).await;
    assert_eq!(crate::story::uploads_counted(&house).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validated_request_changes_nothing() {
    let house = House::start().await;
    let before = house.journals().await;
    let flag = flag_pb::CreateFlagRequest { validate_only: true, ..new_flag("trial", 100) };
    house.flags().create_flag(ask(ADA, flag)).await.expect("it would be allowed");
    let plan = pb::CreatePlanVersionRequest {
        source: PLAN.as_bytes().to_vec(),
        request_id: String::new(),
        validate_only: true,
    };
    let shown = house.rollouts().create_plan_version(ask(ADA, plan)).await.unwrap().into_inner();
    assert_eq!(shown.name, PLAN_VERSION);
    assert_eq!(house.journals().await, before);
}
