//! The ramp within a phase.

use rollout_core::Event;

use crate::commands::{asked, held, paused, resumed, step, threshold, trigger};
use crate::story::{Command, days, entered, hours, percent};

#[test]
fn a_step_is_taken_after_the_hold_of_the_one_before() {
    entered("P3")
        .after(hours(23))
        .when(step(30))
        .refused("20% is held for another 1h, of active time, before the next step");
    let story = entered("P3").after(hours(24)).when(held).then();
    assert_eq!(story.rollout().exposure, percent(30));
}

#[test]
fn paused_time_does_not_count_towards_a_hold() {
    let story = entered("P3").after(hours(1)).and(paused).after(days(30)).and(resumed);
    let early = story.clone().after(hours(22));
    assert_eq!(early.rollout().remaining_hold(early.now), hours(1));
    assert!(early.decide(&step(30)(&early)).is_err());
    story.after(hours(23)).when(held).then();
}

#[test]
fn a_step_that_is_not_the_next_is_refused_with_the_next() {
    let story = entered("P3").after(days(1));
    story
        .clone()
        .when(step(40))
        .refused("40% is not the next step of the ramp: from 20% it is 30%");
    story
        .clone()
        .when(step(25))
        .refused("25% is not the next step of the ramp: from 20% it is 30%");
    story.when(step(10)).refused("10% is not the next step of the ramp: from 20% it is 30%");
    entered("P2")
        .after(days(1))
        .when(step(20))
        .refused("20% is not the next step of the ramp: from 10% it is none in this phase");
}

#[test]
fn a_step_above_twice_the_share_is_refused_with_the_largest() {
    entered("P3").after(days(1)).when(step(50)).refused(
        "from 20% the percentage may rise to at most 40% in one step, not to 50% (D7 §3.2: at \
         most 2x, the first step at most 10%)",
    );
}

#[test]
fn a_retried_step_changes_nothing() {
    let taken = entered("P3").after(days(1)).and(asked(30)).and(step(30));
    taken.clone().when(step(30)).changes_nothing();
    taken.when(asked(30)).changes_nothing();
}

#[test]
fn a_step_by_hand_is_asked_for_by_one_and_taken_by_another() {
    let waiting = entered("P3").after(days(1)).when(asked(30)).then();
    assert_eq!(waiting.rollout().exposure, percent(20));
    waiting.clone().when(asked(30)).changes_nothing();
    let taken = waiting.clone().when(step(30)).then();
    assert_eq!(taken.rollout().exposure, percent(30));
    assert_eq!(taken.rollout().proposed_step, None);
    // What was asked for before a pause is not waited for after it.
    assert_eq!(waiting.and(paused).and(resumed).rollout().proposed_step, None);
}

#[test]
fn a_step_is_not_taken_while_thresholds_are_not_met_or_a_trigger_fires() {
    let due = entered("P3").after(days(1));
    due.clone().when(|_| Command::Hold { thresholds_met: false }).changes_nothing();
    entered("P3").after(hours(23)).when(held).changes_nothing();
    let firing = due.and(trigger("error-rate-over-10", true)).and(paused_by_nobody);
    firing.when(held).changes_nothing();
}

/// A pause that is in force already.
fn paused_by_nobody(_: &crate::story::Story) -> Command {
    Command::Pause { global: false }
}

#[test]
fn a_broken_threshold_begins_the_hold_anew() {
    let broken = entered("P3").after(hours(20)).and(threshold("error_rate", true)).after(days(3));
    broken.clone().when(held).changes_nothing();
    broken.clone().when(step(30)).refused(
        "20% is held for another 1d, of active time, before the next step; no time counts while \
         error_rate is not met",
    );
    let mended = broken.and(threshold("error_rate", false));
    mended.clone().after(hours(23)).when(held).changes_nothing();
    let taken = mended.after(hours(24)).when(held).then();
    let (last, _) = taken.journal.last().unwrap();
    assert!(matches!(last, Event::RampStepTaken { automatic: true, .. }), "{last:?}");
}
