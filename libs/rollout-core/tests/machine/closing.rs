//! The declaration of general availability, and what comes after it.

use rollout_core::{Refusal, Standing, State, create};

use crate::commands::{announced, declared, paused, resumed, to, trigger};
use crate::story::{Command, PLAN, Story, days, entered, hours, shipped, started};

/// Everybody is on.
fn at_full() -> Story {
    let mut story = entered("P4");
    while story.rollout().next_step().is_some() {
        story = story.after(hours(12)).and(crate::commands::held);
    }
    story
}

fn general() -> Story {
    at_full().after(days(7)).and(announced).approved().and(declared)
}

#[test]
fn general_availability_is_declared_when_all_of_it_is_met_and_approved() {
    let story = at_full().after(days(7)).and(announced);
    story.clone().when(declared).refused(
        "phase GA cannot be entered yet: ga waits for approval by engineering_lead, \
         product_manager, sre_lead",
    );
    let story = story.approved().when(declared).then();
    assert_eq!(story.rollout().ga_declared_at, Some(story.now));
    story.clone().when(declared).changes_nothing();
    story.when(announced).changes_nothing();
}

#[test]
fn a_declaration_names_everything_that_is_missing() {
    let open = |story: &Story| {
        Command::Declare(story.gate_report(&[("ga-announced", Standing::Inconclusive)]))
    };
    entered("P4").when(open).refused(
        "phase GA cannot be entered yet: ga is not met: ga-announced (as measured); ga waits for \
         approval by engineering_lead, product_manager, sre_lead; the ramp is at 60% and ends at \
         100%",
    );
    entered("P3")
        .when(declared)
        .refused("DeclareGa belongs to the end of the last phase: P3 is followed by P4");
}

#[test]
fn the_announcement_waits_until_everybody_is_on() {
    entered("P4")
        .when(announced)
        .refused("phase GA cannot be entered yet: the ramp is at 60% and ends at 100%");
    at_full()
        .and(paused)
        .when(announced)
        .refused("the rollout is PAUSED, and AnnounceGa needs RUNNING: resume it first");
}

#[test]
fn tasks_after_the_declaration_are_ticked_off_on_evidence_and_then_it_is_archived() {
    let first = shipped().post_ga[0].id.to_string();
    let task = |id: String| move |_: &Story| Command::Task(id);
    at_full().when(task(first.clone())).refused(
        "the rollout is RUNNING, and CompletePostGaTask needs general availability to have been \
         declared",
    );
    let mut story = general().and(task(first.clone()));
    story.clone().when(task(first)).changes_nothing();
    let refusal = story.decide(&Command::Archive).unwrap_err();
    assert!(matches!(refusal, Refusal::NotArchivable { .. }), "{refusal}");
    for one in shipped().post_ga.iter().skip(1) {
        story = story.and(task(one.id.to_string()));
    }
    let story = story.when(|_| Command::Archive).then();
    assert_eq!(story.rollout().state, State::Archived);
    story.clone().when(|_| Command::Archive).changes_nothing();
    // Its flag can be moved by another, its name is not given again.
    assert!(create(&story.rollouts, "rollouts/r2", PLAN, false).is_ok());
    assert!(create(&story.rollouts, "rollouts/r1", PLAN, false).is_err());
}

#[test]
fn a_rollout_that_exposes_nobody_by_percentage_can_be_given_up() {
    started().when(|_| Command::Archive).then();
    entered("P2").when(|_| Command::Archive).refused(
        "the rollout is not over yet: 10% are on: roll it back, or declare general availability",
    );
}

#[test]
fn what_is_over_is_moved_by_nobody() {
    let over = started().and(|_| Command::Archive);
    over.clone()
        .when(to("P1"))
        .refused("the rollout is ARCHIVED, and AdvanceRollout needs RUNNING: it is over");
    over.clone().when(resumed).refused("the rollout is ARCHIVED, and ResumeRollout needs PAUSED");
    let told = over.and(trigger("data-corruption", true));
    assert_eq!(told.rollout().state, State::Archived);
}

#[test]
fn a_rollback_takes_the_declaration_back() {
    let story = general().and(trigger("error-rate-over-20", true)).settled();
    assert_eq!(story.rollout().ga_declared_at, None);
    assert_eq!(story.rollout().phase().unwrap().id.as_str(), "P3");
}
