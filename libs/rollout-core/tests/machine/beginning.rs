//! Plans, and how a rollout begins.

use plan::{Plan, SHIPPED};
use rollout_core::{Refusal, Standing, State, create, pending_application, store_plan};
use vocab::BasisPoints;

use crate::commands::{begin, paused, resumed, step, to};
use crate::story::{Command, PLAN, ROLLOUT, created, empty, shipped, started};

#[test]
fn a_plan_is_immutable() {
    let story = created();
    let changed = SHIPPED.replacen("hold: 24h", "hold: 23h", 1);
    let (plan, _) = Plan::parse(&changed).unwrap();
    let refusal = store_plan(&story.rollouts, &plan, changed.as_bytes()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "plans/ingestion_v2/versions/1.0 exists with other contents: a plan is immutable, give \
         the changed file a new version"
    );
}

#[test]
fn a_plan_stored_again_changes_nothing() {
    let story = created();
    let again = store_plan(&story.rollouts, shipped(), SHIPPED.as_bytes()).unwrap();
    assert_eq!(again, (PLAN.to_owned(), Vec::new()));
}

#[test]
fn a_new_version_of_a_plan_leaves_the_old_one_as_it_was() {
    let mut story = created();
    let text = SHIPPED.replacen("version: \"1.0\"", "version: \"1.1\"", 1);
    let (plan, _) = Plan::parse(&text).unwrap();
    let (name, events) = store_plan(&story.rollouts, &plan, text.as_bytes()).unwrap();
    story.record(&events, "olga");
    assert_eq!(name, "plans/ingestion_v2/versions/1.1");
    assert_eq!(story.rollouts.plans[PLAN].source, SHIPPED.as_bytes());
    assert_eq!(story.rollout().plan_version, PLAN);
}

#[test]
fn a_rollout_needs_a_plan() {
    let refusal = create(&empty().rollouts, ROLLOUT, PLAN, false).unwrap_err();
    assert_eq!(refusal, Refusal::PlanNotFound(PLAN.to_owned()));
    assert!(refusal.to_string().ends_with("store it first with CreatePlanVersion"));
}

#[test]
fn a_name_is_never_reused() {
    let refusal = create(&created().rollouts, ROLLOUT, PLAN, false).unwrap_err();
    assert_eq!(refusal.to_string(), "rollouts/r1 exists: rollout names are never reused");
}

#[test]
fn a_flag_has_one_rollout() {
    let refusal = create(&created().rollouts, "rollouts/r2", PLAN, false).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "flag ingestion_v2_enabled is moved by rollouts/r1: one flag has one active rollout"
    );
}

#[test]
fn a_created_rollout_exposes_nobody_and_tells_the_gate_alone() {
    let story = created();
    assert_eq!(story.rollout().state, State::Pending);
    assert_eq!(story.rollout().exposure, BasisPoints::ZERO);
    let told = pending_application(story.rollout()).unwrap();
    assert_eq!(told.flag, None);
    assert_eq!(told.plan_source, SHIPPED.as_bytes());
}

#[test]
fn a_start_waits_for_the_entry_criteria() {
    let open =
        [("p0-dashboard-live", Standing::Inconclusive), ("p0-alerts-active", Standing::Failed)];
    created().when(|story| Command::Start(story.entry_report(&open))).refused(
        "phase P0 cannot be entered yet: p0-entry is not met: p0-dashboard-live (as measured), \
         p0-alerts-active (as measured)",
    );
}

#[test]
fn a_start_does_not_believe_a_report_whose_whole_is_not_met() {
    let undecided = |story: &crate::story::Story| {
        let mut entry = story.entry_report(&[]);
        entry.standing = Standing::Inconclusive;
        Command::Start(entry)
    };
    created().when(undecided).refused("phase P0 cannot be entered yet: p0-entry is not met: ");
}

#[test]
fn a_start_enters_the_first_phase_once() {
    let story = created().when(begin).then();
    assert_eq!(story.rollout().phase().unwrap().id.as_str(), "P0");
    assert_eq!(story.rollout().state, State::Running);
    story.when(begin).changes_nothing();
}

#[test]
fn before_the_start_nothing_else_is_possible() {
    let wrong = |command: &str, needed: &str| {
        format!("the rollout is PENDING, and {command} needs {needed}")
    };
    created().when(step(10)).refused(&wrong("RampRollout", "RUNNING: start it first"));
    created().when(resumed).refused(&wrong("ResumeRollout", "PAUSED"));
    created()
        .when(paused)
        .refused(&wrong("PauseRollout", "RUNNING: a pending rollout exposes nobody"));
    let early = |story: &crate::story::Story| {
        let nothing = started().gate_report(&[]);
        let entry = story.entry_report(&[]);
        Command::Advance { to: "P0".to_owned(), fresh: nothing, entry }
    };
    created().when(early).refused(&wrong("AdvanceRollout", "RUNNING: start it first"));
    started().when(to("P0")).changes_nothing();
}
