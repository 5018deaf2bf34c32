//! Pausing takes nothing but a reason; nothing rises meanwhile.

use rollout_core::{State, pending_application};

use crate::commands::{approval, paused, resumed, step, to};
use crate::story::{days, entered, hours, started};

#[test]
fn a_pause_stops_everything_that_raises_exposure() {
    let why =
        |command| format!("the rollout is PAUSED, and {command} needs RUNNING: resume it first");
    let story = entered("P3").after(days(1)).and(paused);
    story.clone().when(step(30)).refused(&why("RampRollout"));
    story.clone().when(approval("ada", "engineering_lead")).refused(&why("ApproveGate"));
    story.when(to("P4")).refused(&why("AdvanceRollout"));
}

#[test]
fn a_paused_rollout_defers_the_cohort_and_keeps_its_share() {
    let story = entered("P3").when(paused).then();
    let told = pending_application(story.rollout()).unwrap().flag.unwrap();
    assert!(told.paused);
    assert_eq!(told.exposure, story.rollout().exposure);
    assert_eq!(story.rollout().pause.as_ref().unwrap().reason, "errors rise");
}

#[test]
fn a_second_pause_and_a_second_resume_change_nothing() {
    let story = started().and(paused);
    story.clone().when(paused).changes_nothing();
    story.and(resumed).when(resumed).changes_nothing();
}

#[test]
fn the_clock_stands_while_paused_and_goes_on_where_it_stood() {
    let story = started().after(hours(5)).and(paused).after(days(9));
    assert_eq!(story.rollout().active_time(story.now), hours(5));
    let story = story.and(resumed).after(hours(2));
    assert_eq!(story.rollout().active_time(story.now), hours(7));
    assert_eq!(story.rollout().state, State::Running);
    assert_eq!(story.rollout().pause, None);
}

#[test]
fn a_clock_set_back_never_gives_time() {
    let mut story = started().after(hours(5));
    story.now = story.now.minus(days(400));
    let story = story.and(paused).after(days(500)).and(resumed);
    assert_eq!(story.rollout().active_time(story.now), hours(0));
}

#[test]
fn a_retried_advance_of_a_paused_rollout_changes_nothing() {
    entered("P1").and(paused).when(to("P1")).changes_nothing();
}
