//! The end of a rollout: announced, delivered, declared.

use capture::MailAnswer;
use contracts::gate as gate_pb;
use contracts::rollout as pb;
use softlaunch_tests::{House, ask};
use test_kit::eventually;
use tonic::Code;

use crate::story::{ADA, PIA};

const SHORT: &str = include_str!("plans/short.yaml");
const NAME: &str = "rollouts/short";
const GA: &str = "rollouts/short/gates/ga";

async fn found(house: &House) -> pb::Rollout {
    let request = pb::GetRolloutRequest { name: NAME.to_owned() };
    house.rollouts().get_rollout(request).await.expect("the rollout is there").into_inner()
}

/// A rollout in its last phase, with everybody on.
async fn at_full(house: &House) {
    let source = SHORT.as_bytes().to_vec();
    let plan = pb::CreatePlanVersionRequest { source, ..Default::default() };
    let plan = house.rollouts().create_plan_version(ask(ADA, plan)).await.expect("a valid plan");
    let create = pb::CreateRolloutRequest {
        rollout_id: "short".to_owned(),
        plan_version: plan.into_inner().name,
        demo: true,
        ..Default::default()
    };
    house.rollouts().create_rollout(ask(ADA, create)).await.expect("a rollout is created");
    let ready = gate_pb::AttestCriterionRequest {
        name: format!("{NAME}/criteria/ready"),
        role: ADA.roles[0].to_owned(),
        evidence: "https://wiki.example.com/ready".to_owned(),
        statement: "seen".to_owned(),
        request_id: String::new(),
    };
    eventually("the gate has heard of the rollout", async || {
        house.gates().attest_criterion(ask(ADA, ready.clone())).await.is_ok()
    })
    .await;
    let start = pb::StartRolloutRequest { name: NAME.to_owned(), ..Default::default() };
    house.rollouts().start_rollout(ask(ADA, start)).await.expect("it is started");
    eventually("everybody is on", async || found(house).await.exposure_basis_points == 10_000)
        .await;
}

async fn judged(house: &House) -> gate_pb::GateReport {
    let request = gate_pb::EvaluateGateRequest { name: GA.to_owned(), validate_only: false };
    house.gates().evaluate_gate(ask(ADA, request)).await.expect("a gate is judged").into_inner()
}

async fn approved(house: &House, digest: &str) {
    for person in [ADA, PIA] {
        let approval = pb::ApproveGateRequest {
            name: NAME.to_owned(),
            report_digest: digest.to_owned(),
            role: person.roles[0].to_owned(),
            reason: "it is announced".to_owned(),
            ..Default::default()
        };
        house.rollouts().approve_gate(ask(person, approval)).await.expect("it is approved");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn general_availability_is_declared_once_everybody_was_told_and_not_before() {
    // Given everybody on, and a mail server that puts everything off
    let house = House::hurried(60).await;
    let mail = &house.outlets.as_ref().expect("the house has a mail server").mail;
    mail.answer_always(MailAnswer::Greylist);
    at_full(&house).await;

    // When it is announced
    let announce = || pb::AnnounceGaRequest { name: NAME.to_owned(), ..Default::default() };
    eventually("the announcement goes out", async || {
        house.rollouts().announce_ga(ask(PIA, announce())).await.is_ok()
    })
    .await;
    mail.wait_for_attempts(1).await;

    // Then it cannot be declared while the clients have not been told
    let declare = || pb::DeclareGaRequest { name: NAME.to_owned(), ..Default::default() };
    let early = house.rollouts().declare_ga(ask(PIA, declare())).await;
    let early = early.expect_err("the announcement was not delivered");
    assert_eq!(early.code(), Code::FailedPrecondition);
    assert!(early.message().contains("announced"), "{}", early.message());

    // And can, approved, when they have
    mail.answer_always(MailAnswer::Accept);
    eventually("the gate knows that everybody was told", async || {
        judged(&house).await.verdict() == gate_pb::Verdict::Pass
    })
    .await;
    assert!(mail.messages().iter().any(|one| one.to == ["clients@example.com"]));
    approved(&house, &judged(&house).await.digest).await;
    house.rollouts().declare_ga(ask(PIA, declare())).await.expect("it is declared");
    assert!(found(&house).await.ga_declare_time.is_some());
}
