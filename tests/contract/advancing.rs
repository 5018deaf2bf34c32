//! Advancing, ramping, pausing: one safe step at a time.

use contracts::flag::{Admission, Reason};
use contracts::rollout as pb;
use contracts::rollout::rollout::State;
use softlaunch_tests::{House, ask};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::refusal::{refused, refused_field};
use crate::story::{
    ADA, BOB, FLAG, PIA, ROLLOUT, SAM, advance_to, answers, created, entry_of_p1_attested,
    evidence_for_gate_0, gate_0_approved, rollout, started, upload,
};

const fn held(reason: &str) -> (Code, &str) {
    (Code::FailedPrecondition, reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_unknown_out_of_order_or_not_named_is_refused() {
    let house = House::start().await;
    created(&house).await;
    let advance = |phase: &str| ask(ADA, advance_to(phase));
    let says = ["the rollout is PENDING", "start it first"];
    refused(&house, house.rollouts().advance_rollout(advance("P0")), held("WRONG_STATE"), &says)
        .await;
    let entry = pb::StartRolloutRequest { name: ROLLOUT.to_owned(), ..Default::default() };
    let says = ["p0-entry is not met", "p0-dashboard-live", "p0-alerts-active"];
    refused(&house, house.rollouts().start_rollout(ask(ADA, entry)), held("GATE_NOT_MET"), &says)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phase_that_does_not_follow_is_refused_with_the_one_that_does() {
    let house = House::start().await;
    started(&house).await;
    let advance = |phase: &str| ask(ADA, advance_to(phase));
    let rule = (Code::NotFound, "PHASE_NOT_FOUND");
    let says = ["no phase P9", "P0, P1, P2, P3, P4"];
    refused(&house, house.rollouts().advance_rollout(advance("P9")), rule, &says).await;
    for phase in ["P2", "P3", "P4"] {
        let says = [&format!("phase {phase} does not follow P0"), "next is P1"];
        refused(
            &house,
            house.rollouts().advance_rollout(advance(phase)),
            held("NOT_NEXT_PHASE"),
            &says,
        )
        .await;
    }
    refused_field(
        &house,
        house.rollouts().advance_rollout(advance("")),
        &["phase_id", "name the phase to enter"],
    )
    .await;
    let nameless = ask(ADA, pb::AdvanceRolloutRequest { name: String::new(), ..advance_to("P1") });
    refused_field(&house, house.rollouts().advance_rollout(nameless), &["name", "rollouts/"]).await;
    let stale = pb::AdvanceRolloutRequest { etag: "\"1\"".to_owned(), ..advance_to("P1") };
    let says = ["not \"1\"", "look again"];
    let rule = (Code::Aborted, "ETAG_MISMATCH");
    refused(&house, house.rollouts().advance_rollout(ask(ADA, stale)), rule, &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_without_evidence_or_approval_names_everything_that_is_missing() {
    let house = House::start().await;
    started(&house).await;
    let advance = || ask(ADA, advance_to("P1"));
    let says = ["gate-0 is not met", "gate-0-uploads", "waits for approval by", "minimum duration"];
    refused(&house, house.rollouts().advance_rollout(advance()), held("GATE_NOT_MET"), &says).await;
    evidence_for_gate_0(&house).await;
    let says = ["waits for approval by engineering_lead, product_manager", "p1-canaries-notified"];
    let status = refused(
        &house,
        house.rollouts().advance_rollout(advance()),
        held("APPROVAL_MISSING"),
        &says,
    )
    .await;
    let details = status.get_error_details();
    let violations = &details.precondition_failure().expect("what must hold first").violations;
    let kinds: Vec<_> = violations.iter().map(|one| one.r#type.as_str()).collect();
    assert_eq!(kinds, ["APPROVAL_MISSING", "STILL_BAKING", "GATE_NOT_MET"]);
    assert_eq!(rollout(&house).await.phase_id, "P0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_before_the_minimum_duration_says_when_to_come_back() {
    let house = House::start().await;
    started(&house).await;
    evidence_for_gate_0(&house).await;
    gate_0_approved(&house).await;
    entry_of_p1_attested(&house).await;
    let says = ["minimum duration", "active time left"];
    let status = refused(
        &house,
        house.rollouts().advance_rollout(ask(ADA, advance_to("P1"))),
        held("STILL_BAKING"),
        &says,
    )
    .await;
    let details = status.get_error_details();
    let delay = details.retry_info().and_then(|info| info.retry_delay).expect("when to come back");
    let three_days = std::time::Duration::from_secs(3 * 86_400);
    assert!(delay <= three_days && delay > three_days / 2, "{delay:?}");
    assert_eq!(rollout(&house).await.phase_id, "P0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_above_the_ramp_rule_or_the_plan_is_refused() {
    let house = House::start().await;
    started(&house).await;
    let ramp = |exposure_basis_points| {
        let name = ROLLOUT.to_owned();
        ask(ADA, pb::RampRolloutRequest { name, exposure_basis_points, ..Default::default() })
    };
    let says = ["at most 10%", "not to 50%", "D7"];
    refused(&house, house.rollouts().ramp_rollout(ramp(5_000)), held("RAMP_RULE"), &says).await;
    let says = ["not the next step", "none in this phase"];
    refused(&house, house.rollouts().ramp_rollout(ramp(500)), held("NOT_NEXT_STEP"), &says).await;
    for nonsense in [0, -1, 10_001] {
        refused_field(
            &house,
            house.rollouts().ramp_rollout(ramp(nonsense)),
            &["exposure_basis_points", "expected 1 to 10000"],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_defers_the_cohort_and_resuming_is_considered() {
    let house = House::start().await;
    let seen = started(&house).await;
    answers(&house, "internal-test-workspace", Reason::Allowlisted).await;
    let pause = |reason: &str| {
        let (name, reason) = (ROLLOUT.to_owned(), reason.to_owned());
        ask(SAM, pb::PauseRolloutRequest { name, reason, global: false })
    };
    refused_field(&house, house.rollouts().pause_rollout(pause("")), &["reason", "say why"]).await;
    let paused = house.rollouts().pause_rollout(pause("latency")).await.unwrap().into_inner();
    assert_eq!((paused.state(), paused.pause_reason.as_str()), (State::Paused, "latency"));
    answers(&house, "internal-test-workspace", Reason::Paused).await;
    let admit = upload(FLAG, "internal-test-workspace", "u-1");
    let deferred = house.admission().admit_upload(admit).await.unwrap().into_inner();
    assert_eq!(deferred.admission(), Admission::Defer);
    assert!(deferred.retry_after_duration.is_some(), "it says when to ask again");
    let outside = house.admission().admit_upload(upload(FLAG, "somebody", "u-2")).await.unwrap();
    assert_eq!(outside.into_inner().admission(), Admission::Legacy, "others go on as before");

    let says = ["the rollout is PAUSED", "resume it first"];
    refused(
        &house,
        house.rollouts().advance_rollout(ask(ADA, advance_to("P1"))),
        held("WRONG_STATE"),
        &says,
    )
    .await;
    let resume = |etag: &str| {
        let (name, reason) = (ROLLOUT.to_owned(), "latency is fine".to_owned());
        let etag = etag.to_owned();
        ask(PIA, pb::ResumeRolloutRequest { name, reason, etag, ..Default::default() })
    };
    refused_field(
        &house,
        house.rollouts().resume_rollout(resume("")),
        &["etag", "resuming is considered"],
    )
    .await;
    let rule = (Code::Aborted, "ETAG_MISMATCH");
    refused(
        &house,
        house.rollouts().resume_rollout(resume(&seen.etag)),
        rule,
        &["look again and decide again"],
    )
    .await;
    let etag = rollout(&house).await.etag;
    let resumed = house.rollouts().resume_rollout(resume(&etag)).await.unwrap().into_inner();
    assert_eq!(resumed.state(), State::Running);
    answers(&house, "internal-test-workspace", Reason::Allowlisted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_nobody_created_is_unknown_to_every_command() {
    let house = House::start().await;
    let name = || "rollouts/nothing".to_owned();
    let rule = (Code::NotFound, "ROLLOUT_NOT_FOUND");
    let says = ["no rollouts/nothing", "ListRollouts"];
    let mut rollouts = house.rollouts();
    let get = pb::GetRolloutRequest { name: name() };
    refused(&house, rollouts.get_rollout(get), rule, &says).await;
    let start = pb::StartRolloutRequest { name: name(), ..Default::default() };
    refused(&house, rollouts.start_rollout(ask(BOB, start)), rule, &says).await;
    let pause = pb::PauseRolloutRequest { name: name(), reason: "why".to_owned(), global: false };
    refused(&house, rollouts.pause_rollout(ask(BOB, pause)), rule, &says).await;
    let advance = pb::AdvanceRolloutRequest { name: name(), ..advance_to("P1") };
    refused(&house, rollouts.advance_rollout(ask(BOB, advance)), rule, &says).await;
    let ramp =
        pb::RampRolloutRequest { name: name(), exposure_basis_points: 100, ..Default::default() };
    refused(&house, rollouts.ramp_rollout(ask(BOB, ramp)), rule, &says).await;
    let watch = pb::WatchRolloutRequest { name: name() };
    refused(&house, rollouts.watch_rollout(watch), rule, &says).await;
}
