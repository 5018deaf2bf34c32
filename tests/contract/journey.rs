//! The main way: from a plan through P0 and its gate into P1, on a clock on which days are seconds.

use contracts::flag::Reason;
use contracts::gate::Verdict;
use contracts::rollout as pb;
use contracts::rollout::rollout::State;
use contracts::rollout::rollout_event::Kind;
use softlaunch_tests::{House, ask};
use test_kit::eventually;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::story::{
    ADA, GATE_0, ROLLOUT, advance_to, answers, approval, entry_of_p1_attested, evidence_for_gate_0,
    gate_0_approved, judged, rollout, started, uploads_counted,
};

/// P0's three days pass in three seconds.
const HURRY: u32 = 86_400;

#[tokio::test(flavor = "multi_thread")]
async fn gate_0_passes_with_the_right_evidence_and_not_before() {
    let house = House::start().await;
    started(&house).await;
    let before = judged(&house, GATE_0, true).await;
    assert_ne!(before.verdict(), Verdict::Pass);
    assert_eq!(before.criteria.len(), 6);
    evidence_for_gate_0(&house).await;
    let report = judged(&house, GATE_0, false).await;
    assert_eq!(report.verdict(), Verdict::Pass);
    assert!(report.criteria.iter().all(|one| one.verdict() == Verdict::Pass), "{report:?}");
    assert_eq!(report.approver_roles, ["engineering_lead", "product_manager"]);
    let get = contracts::gate::GetGateReportRequest {
        name: ROLLOUT.to_owned(),
        digest: report.digest.clone(),
    };
    let kept = house.gates().get_gate_report(get).await.unwrap().into_inner();
    assert_eq!(kept, report, "a report is kept as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_gate_leads_to_the_canary_phase_and_nothing_less_does() {
    let house = House::hurried(HURRY).await;
    started(&house).await;
    answers(&house, "internal-test-workspace", Reason::Allowlisted).await;
    answers(&house, "canary-ws-1", Reason::Disabled).await;
    evidence_for_gate_0(&house).await;
    gate_0_approved(&house).await;
    entry_of_p1_attested(&house).await;
    // The clock of the phase is the only thing missing: it is asked again until it has run.
    let entered = eventually("P0 has lasted its three days", async || {
        match house.rollouts().advance_rollout(ask(ADA, advance_to("P1"))).await {
            Ok(entered) => Some(entered.into_inner()),
            Err(status) => {
                assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
                assert!(status.message().contains("active time left"), "{}", status.message());
                None
            }
        }
    })
    .await;
    assert_eq!((entered.phase_id.as_str(), entered.state()), ("P1", State::Running));
    assert!(entered.approvals.is_empty(), "gate 1 has yet to be approved");
    assert!(!entered.reconciling, "flag and gate were told");
    answers(&house, "canary-ws-1", Reason::Allowlisted).await;
    answers(&house, "internal-test-workspace", Reason::Disabled).await;
    assert_eq!(uploads_counted(&house).await, 100, "the rolling windows still know P0's uploads");

    let before = house.journals().await;
    let again = house.rollouts().advance_rollout(ask(ADA, advance_to("P1"))).await.unwrap();
    assert_eq!(again.into_inner().phase_id, "P1", "a retried advance changes nothing");
    assert_eq!(house.journals().await, before);
    let list =
        contracts::gate::ListGateReportsRequest { parent: GATE_0.to_owned(), ..Default::default() };
    let old = house.gates().list_gate_reports(list).await.unwrap().into_inner();
    let digest = old.gate_reports.into_iter().next().expect("one was kept").digest;
    let late = ask(ADA, approval("engineering_lead", &digest));
    let status = house.rollouts().approve_gate(late).await.unwrap_err();
    assert!(status.message().contains("approve a report of gate-1"), "{status:?}");
    assert_eq!(rollout(&house).await.approvals.len(), 0);
    assert_eq!(told(&house).await, EXPECTED);
}

const EXPECTED: [&str; 6] = [
    "PlanStored",
    "RolloutCreated",
    "PhaseEntered P0",
    "GateApproved engineering_lead",
    "GateApproved product_manager",
    "PhaseEntered P1",
];

/// What the stream of events tells others, without the bookkeeping.
async fn told(house: &House) -> Vec<String> {
    let watch = pb::WatchRolloutEventsRequest { after_revision: 0 };
    let events = house.rollouts().watch_rollout_events(watch).await.expect("events are streamed");
    let mut events = events.into_inner();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "PhaseEntered P1") {
        let event = events.next().await.expect("P1 is on the stream").expect("the stream holds");
        #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else there is")]
        match event.event.and_then(|event| event.kind).expect("an event has a kind") {
            Kind::PlanStored(_) => told.push("PlanStored".to_owned()),
            Kind::RolloutCreated(_) => told.push("RolloutCreated".to_owned()),
            Kind::PhaseEntered(entered) => told.push(format!("PhaseEntered {}", entered.phase_id)),
            Kind::GateApproved(approved) => told.push(format!("GateApproved {}", approved.role)),
            // The breaker that the evidence opened is above a threshold: told, and nothing more.
            Kind::PlanApproved(_)
            | Kind::GenerationApplied(_)
            | Kind::TriggerSeen(_)
            | Kind::HoldBroken(_)
            | Kind::HoldMended(_)
            | Kind::MetricsSampled(_) => {}
            other => panic!("nobody did that: {other:?}"),
        }
    }
    told
}
