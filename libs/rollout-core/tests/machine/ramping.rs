//! The ramp within a phase.

use crate::story::{days, entered, hours, paused, percent, resumed, step};

#[test]
fn a_step_is_taken_after_the_hold_of_the_one_before() {
    entered("P3")
        .after(hours(23))
        .when(step(30))
        .refused("20% is held for another 1h, of active time, before the next step");
    let story = entered("P3").after(hours(24)).when(step(30)).then();
    assert_eq!(story.rollout().exposure, percent(30));
}

#[test]
fn paused_time_does_not_count_towards_a_hold() {
    let story = entered("P3").after(hours(1)).and(paused).after(days(30)).and(resumed);
    let early = story.clone().after(hours(22));
    assert_eq!(early.rollout().remaining_hold(early.now), hours(1));
    assert!(early.decide(&step(30)(&early)).is_err());
    story.after(hours(23)).when(step(30)).then();
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
    entered("P3").after(days(1)).and(step(30)).when(step(30)).changes_nothing();
}
