//! Approvals: by whom, in which role, of which evidence.

use contracts::gate as pb;
use contracts::rollout as rollout_pb;
use softlaunch_tests::{House, Person, ask};
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{
    ADA, BOB, EVE, GATE_0, PIA, PIPELINE, PLAN, ROLLOUT, SAM, approval, evidence_for_gate_0, gauge,
    judged, rollout, signal, signals, started, wire_time,
};

const LEAD: &str = "engineering_lead";

const fn held(reason: &str) -> (Code, &str) {
    (Code::FailedPrecondition, reason)
}

async fn refused_approval(
    house: &House,
    person: Person,
    approval: rollout_pb::ApproveGateRequest,
    rule: (Code, &str),
    says: &[&str],
) {
    refused(house, house.rollouts().approve_gate(ask(person, approval)), rule, says).await;
    assert!(rollout(house).await.approvals.is_empty(), "no approval is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_needs_a_role_that_is_asked_for_and_held() {
    let house = House::start().await;
    started(&house).await;
    evidence_for_gate_0(&house).await;
    let digest = judged(&house, GATE_0, false).await.digest;
    let fields = (Code::InvalidArgument, "FIELD_INVALID");
    let says = ["role", "name the role in which you approve"];
    refused_approval(&house, ADA, approval("", &digest), fields, &says).await;
    refused_approval(&house, ADA, approval("Lead!", &digest), fields, &["role", "a-z"]).await;
    let rule = (Code::PermissionDenied, "ROLE_MISSING");
    let says = ["bob does not hold the role engineering_lead", "act as somebody who does"];
    refused_approval(&house, BOB, approval(LEAD, &digest), rule, &says).await;
    let says = ["gate-0 is not approved by sre_lead", "engineering_lead, product_manager"];
    refused_approval(&house, SAM, approval("sre_lead", &digest), held("ROLE_NOT_ASKED"), &says)
        .await;
    let says = ["reason", "at most 1000"];
    let long =
        rollout_pb::ApproveGateRequest { reason: "x".repeat(1_001), ..approval(LEAD, &digest) };
    refused_approval(&house, ADA, long, fields, &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_names_a_report_that_was_kept() {
    let house = House::start().await;
    started(&house).await;
    let fields = (Code::InvalidArgument, "FIELD_INVALID");
    let says = ["report_digest", "the gate report you saw"];
    refused_approval(&house, ADA, approval(LEAD, ""), fields, &says).await;
    let rule = (Code::NotFound, "REPORT_NOT_FOUND");
    let says = ["no report", "evaluate the gate for a new one"];
    refused_approval(&house, ADA, approval(LEAD, &"0".repeat(64)), rule, &says).await;
    let not_kept = judged(&house, GATE_0, true).await.digest;
    refused_approval(&house, ADA, approval(LEAD, &not_kept), rule, &says).await;
    let elsewhere = rollout_pb::ApproveGateRequest {
        name: "rollouts/other".to_owned(),
        ..approval(LEAD, &not_kept)
    };
    let rule = (Code::NotFound, "ROLLOUT_NOT_FOUND");
    refused_approval(&house, ADA, elsewhere, rule, &["no rollouts/other", "ListRollouts"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_is_not_met_cannot_be_approved() {
    let house = House::start().await;
    started(&house).await;
    let digest = judged(&house, GATE_0, false).await.digest;
    let says = ["gate-0 is not met", "gate-0-uploads", "gate-0-kill-switch-tested"];
    refused_approval(&house, ADA, approval(LEAD, &digest), held("GATE_NOT_MET"), &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_another_gate_or_another_stay_in_the_phase_is_stale() {
    let house = House::start().await;
    let now = started(&house).await;
    let entry = judged(&house, "rollouts/ingestion-v2/gates/p1-entry", false).await.digest;
    let says = ["the report is of p1-entry", "approve a report of gate-0"];
    refused_approval(&house, ADA, approval(LEAD, &entry), held("WRONG_GATE"), &says).await;
    // The gate is told of a later stay in P0, as it is after a rollback, and judges that.
    let later = pb::ApplyGatePlanRequest {
        rollout: ROLLOUT.to_owned(),
        plan_source: PLAN.as_bytes().to_vec(),
        generation: now.generation + 7,
        phase_id: "P0".to_owned(),
        start_time: Some(wire_time(house.clock.now())),
        passed_gates: Vec::new(),
        phase_generation: now.generation + 7,
        percentage_basis_points: 0,
        ..Default::default()
    };
    house.gates().apply_gate_plan(ask(BOB, later)).await.expect("a newer generation is applied");
    let other = judged(&house, GATE_0, false).await.digest;
    let says = [&format!("generation {}", now.generation + 7), "evaluate gate-0 again"];
    refused_approval(&house, ADA, approval(LEAD, &other), held("STALE_REPORT"), &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_stale_where_the_evidence_has_become_worse() {
    let house = House::start().await;
    started(&house).await;
    evidence_for_gate_0(&house).await;
    let digest = judged(&house, GATE_0, false).await.digest;
    let bug = signals("bug", vec![signal(&house, gauge("open_bugs", "P1", 1))]);
    house.signals().report_signals(ask(BOB, bug)).await.expect("a bug is taken in");
    let says = ["evidence has become worse", "gate-0-no-p1-bugs", "evaluate gate-0 again"];
    refused_approval(&house, ADA, approval(LEAD, &digest), held("EVIDENCE_WORSENED"), &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_cannot_approve_in_two_roles() {
    let house = House::start().await;
    started(&house).await;
    evidence_for_gate_0(&house).await;
    let digest = judged(&house, GATE_0, false).await.digest;
    let first = house.rollouts().approve_gate(ask(EVE, approval(LEAD, &digest))).await.unwrap();
    assert_eq!(first.into_inner().approvals.len(), 1);
    let again = ask(EVE, approval("product_manager", &digest));
    let says = ["eve has approved gate-0 as engineering_lead", "every role needs another person"];
    let rule = held("SAME_PERSON_TWICE");
    refused(&house, house.rollouts().approve_gate(again), rule, &says).await;
    let before = house.journals().await;
    let repeated = house.rollouts().approve_gate(ask(EVE, approval(LEAD, &digest))).await.unwrap();
    assert_eq!(repeated.into_inner().approvals.len(), 1, "a retried approval is the same one");
    assert_eq!(house.journals().await, before);
    let second = ask(PIA, approval("product_manager", &digest));
    assert_eq!(
        house.rollouts().approve_gate(second).await.unwrap().into_inner().approvals.len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validated_approval_is_not_given() {
    let house = House::start().await;
    started(&house).await;
    evidence_for_gate_0(&house).await;
    let digest = judged(&house, GATE_0, false).await.digest;
    let before = house.journals().await;
    let trial = rollout_pb::ApproveGateRequest { validate_only: true, ..approval(LEAD, &digest) };
    let shown = house.rollouts().approve_gate(ask(ADA, trial)).await.unwrap().into_inner();
    assert_eq!(shown.approvals.len(), 1, "it shows what would be");
    assert_eq!(rollout(&house).await.approvals.len(), 0);
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_claim_to_be_a_part_of_softlaunch() {
    let house = House::start().await;
    started(&house).await;
    let impostor = Person { name: "system:rollout", roles: &[LEAD] };
    refused_field(
        &house,
        house.rollouts().approve_gate(ask(impostor, approval(LEAD, "x"))),
        &["softlaunch-actor", "Softlaunch's own"],
    )
    .await;
    let list = pb::ListMetricsRequest { parent: "rollouts/other".to_owned(), ..Default::default() };
    let rule = (Code::NotFound, "ROLLOUT_NOT_FOUND");
    refused(&house, house.gates().list_metrics(list), rule, &["create the rollout first"]).await;
    assert_eq!(PIPELINE, rollout(&house).await.pipeline);
}
