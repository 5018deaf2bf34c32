//! Triggers and rollbacks: the right action, once, by severity.

use plan::TriggerAction;
use rollout_core::{Event, Outcome, State, Watched, next_effect, pending_application};
use vocab::BasisPoints;

use crate::commands::{approval, incident, resumed, resumed_on_evidence, ticked, to, trigger};
use crate::story::{Command, Story, created, days, entered, hours, percent, started};

const PAUSES: &str = "error-rate-over-10";
const PAUSES_ALL: &str = "breaker-open-over-5m";
const GOES_BACK: &str = "error-rate-over-20";
const GOES_BACK_TO_P0: &str = "data-corruption";

fn outcome(story: &Story) -> Outcome {
    let seen = story.journal.iter().rev().find_map(|(event, _)| {
        if let Event::TriggerSeen { outcome, .. } = event { Some(*outcome) } else { None }
    });
    seen.expect("something was seen")
}

fn phase(story: &Story) -> &str {
    story.rollout().phase().expect("it has started").id.as_str()
}

/// People have done what they must before anything goes on.
fn investigated(story: Story) -> Story {
    story.and(ticked("investigate-root-cause")).and(ticked("fix-and-verify"))
}

#[test]
fn a_trigger_takes_its_action_once_and_adds_to_the_timeline_afterwards() {
    let story = entered("P2").when(trigger(PAUSES, true)).then();
    assert_eq!((story.rollout().state, outcome(&story)), (State::Paused, Outcome::Acted));
    assert_eq!(story.rollout().pause.as_ref().unwrap().trigger_id, PAUSES);
    let generation = story.rollout().generation;
    let story = story.and(trigger(PAUSES, false)).and(trigger(PAUSES, true));
    assert_eq!((story.rollout().generation, outcome(&story)), (generation, Outcome::InForce));
}

#[test]
fn what_was_seen_moves_the_cursor_with_its_action() {
    let story = entered("P2").when(trigger(PAUSES, true)).then();
    let cursor = story.rollouts.trigger_cursor;
    assert!(cursor > 0);
    assert!(story.when(trigger(PAUSES, false)).then().rollouts.trigger_cursor > cursor);
}

#[test]
fn of_several_the_most_severe_action_wins() {
    let story = entered("P3").and(trigger(PAUSES, true)).and(trigger(PAUSES_ALL, true));
    let pause = story.rollout().pause.as_ref().unwrap();
    assert!(pause.global && pause.trigger_id == PAUSES_ALL);
    let story = story.and(trigger(GOES_BACK, true));
    assert_eq!(story.rollout().state, State::RollingBack);
    let further = story.and(trigger(GOES_BACK_TO_P0, true));
    assert_eq!(further.rollout().in_force(), Some(TriggerAction::RollbackToFirst));
    let milder = further.and(trigger(PAUSES, true)).and(trigger(GOES_BACK, true));
    assert_eq!(outcome(&milder), Outcome::InForce);
    assert_eq!(phase(&milder.settled()), "P0");
}

#[test]
fn what_belongs_to_a_phase_that_was_left_does_nothing() {
    let story = entered("P2");
    let late = |story: &Story| {
        let Command::React(mut firing) = trigger(GOES_BACK_TO_P0, true)(story) else {
            unreachable!("a trigger is reacted to");
        };
        firing.phase_generation -= 1;
        Command::React(firing)
    };
    let story = story.when(late).then();
    assert_eq!((story.rollout().state, outcome(&story)), (State::Running, Outcome::Stale));
}

#[test]
fn an_advisory_and_an_unknown_trigger_only_tell() {
    let advisory = |story: &Story| {
        let Command::React(mut firing) = trigger("db-cpu-spike", true)(story) else {
            unreachable!("a trigger is reacted to");
        };
        firing.kind = Watched::Advisory;
        Command::React(firing)
    };
    let story = entered("P2").and(advisory).and(trigger("no-such-trigger", true));
    assert_eq!((story.rollout().state, outcome(&story)), (State::Running, Outcome::Told));
}

#[test]
fn a_rollback_ends_in_the_phase_before_which_starts_afresh() {
    for (from, back) in [("P0", "P0"), ("P1", "P0"), ("P2", "P1"), ("P3", "P2"), ("P4", "P3")] {
        let story = entered(from).after(days(2)).and(trigger(GOES_BACK, true));
        let generation = story.rollout().phase_generation;
        let story = story.settled();
        let rollout = story.rollout();
        assert_eq!((phase(&story), rollout.state), (back, State::Paused), "from {from}");
        assert!(rollout.phase_generation > generation, "evidence counts afresh");
        assert_eq!(rollout.active_time(story.now), hours(0));
        assert_eq!((rollout.approvals.len(), rollout.firing.len()), (0, 0));
        assert_eq!(rollout.ga_declared_at, None);
        let gates = rollout.phase_index.unwrap();
        assert_eq!(rollout.passed_gates.len(), gates, "gates from the phase on are open again");
    }
}

#[test]
fn a_rollback_to_the_first_phase_leaves_nobody_on_but_its_own() {
    let story = entered("P4").and(trigger(GOES_BACK_TO_P0, true)).settled();
    assert_eq!((phase(&story), story.rollout().exposure), ("P0", BasisPoints::ZERO));
    assert_eq!(story.rollout().passed_gates, Vec::<String>::new());
}

#[test]
fn the_system_does_its_steps_in_order_each_once() {
    let story = entered("P3").and(trigger(GOES_BACK, true)).settled();
    let done: Vec<_> = story
        .rollout()
        .rollback
        .as_ref()
        .unwrap()
        .done
        .iter()
        .map(|step| step.id.clone())
        .collect();
    let wanted = [
        "activate-kill-switch",
        "notify-affected-clients",
        "capture-state",
        "incident-timeline",
        "roll-back-flag",
    ];
    assert_eq!(done, wanted);
    assert_eq!(next_effect(story.rollout()), None);
    assert_eq!(pending_application(story.rollout()), None);
}

#[test]
fn a_rollback_goes_on_where_a_crash_has_cut_it_at_any_step() {
    let whole = entered("P3").and(trigger(GOES_BACK, true)).settled();
    let begun = entered("P3").and(trigger(GOES_BACK, true));
    let mut cut = begun;
    while next_effect(cut.rollout()).is_some() {
        // The effect was carried out and not recorded: it is carried out again, recorded once.
        let again = cut.clone().settled();
        assert_eq!(again.rollout().rollback, whole.rollout().rollback);
        assert_eq!(again.rollout().exposure, whole.rollout().exposure);
        cut = cut.and(|_| Command::Effect);
    }
    assert_eq!(cut.rollout().rollback, whole.rollout().rollback);
}

#[test]
fn while_rolling_back_new_uploads_wait_and_nothing_else_is_possible() {
    let story = entered("P3").and(trigger(GOES_BACK, true));
    assert!(pending_application(story.rollout()).unwrap().flag.unwrap().paused);
    story.clone().when(resumed_on_evidence).refused(
        "the rollout is ROLLING_BACK, and ResumeRollout needs PAUSED: wait until it is rolled back",
    );
    story.clone().when(approval("ada", "engineering_lead")).refused(
        "the rollout is ROLLING_BACK, and ApproveGate needs RUNNING: wait until it is rolled back, \
         then resume it",
    );
    story.clone().when(ticked("investigate-root-cause")).refused(
        "the rollout is ROLLING_BACK, and CompleteRollbackStep needs the system to have done its \
         own steps first",
    );
    story.when(|_| Command::Pause { global: true }).changes_nothing();
}

#[test]
fn after_a_rollback_people_tick_off_their_steps_before_anything_goes_on() {
    let story = entered("P3").and(trigger(GOES_BACK, true)).settled();
    story.clone().when(resumed).refused(
        "the rollout cannot be resumed yet: the rollback checklist has open steps: \
         investigate-root-cause, fix-and-verify; evidence, a link, that the resume criterion is \
         met: what was rolled back is fixed",
    );
    let story = investigated(story).when(resumed_on_evidence).then();
    assert_eq!((phase(&story), story.rollout().state), ("P2", State::Running));
    // Going on is their last step; it can be ticked off then.
    let story = story.and(ticked("re-ramp"));
    story.clone().when(ticked("re-ramp")).changes_nothing();
    story.when(ticked("activate-kill-switch")).refused(
        "`activate-kill-switch` is no step that people do: they do investigate-root-cause, \
         fix-and-verify, re-ramp",
    );
}

#[test]
fn after_a_rollback_the_way_up_is_the_same_again() {
    let story = entered("P3").after(days(5)).and(trigger(GOES_BACK, true)).settled();
    let story = investigated(story).and(resumed_on_evidence);
    assert_eq!(story.rollout().exposure, percent(10));
    story.clone().when(to("P3")).refused(
        "phase P3 cannot be entered yet: gate-2 waits for approval by engineering_lead, \
         product_manager; the minimum duration has 7d of active time left",
    );
    assert_eq!(phase(&story.ready().and(to("P3"))), "P3");
}

#[test]
fn a_person_rolls_back_as_triggers_do_and_repeating_it_changes_nothing() {
    let back = |_: &Story| Command::RollBack { to_first: false };
    let further = |_: &Story| Command::RollBack { to_first: true };
    let story = entered("P4").when(back).then();
    story.clone().when(back).changes_nothing();
    let story = story.and(further);
    story.clone().when(back).changes_nothing();
    assert_eq!(phase(&story.settled()), "P0");
    created().when(back).refused(
        "the rollout is PENDING, and RollBackRollout needs a phase: a pending rollout exposes nobody",
    );
    started()
        .when(ticked("fix-and-verify"))
        .refused("rollouts/r1 was never rolled back: there is no checklist");
}

#[test]
fn a_trigger_that_fires_on_keeps_the_rollout_paused_unless_the_plan_lets_somebody_override_it() {
    entered("P2").and(trigger(PAUSES_ALL, true)).when(resumed_on_evidence).refused(
        "the rollout cannot be resumed yet: breaker-open-over-5m fires on, and nobody may override it",
    );
    entered("P2").and(trigger("p1-incident", true)).when(resumed_on_evidence).refused(
        "the rollout cannot be resumed yet: p1-incident fires on: only sre_lead may override it",
    );
}

#[test]
fn going_on_after_a_trigger_takes_evidence_but_where_the_system_sees_the_recovery() {
    // While everything waits there are no numbers: that it is over is for a person to show.
    let calm = entered("P2").and(trigger(PAUSES, true));
    calm.clone().when(resumed).refused(
        "the rollout cannot be resumed yet: evidence, a link, that the resume criterion is met: \
         Root cause fixed",
    );
    calm.clone().when(|_| Command::Resume { evidence: "trust me" }).refused(
        "`trust me` is no evidence: expected an http or https address of at most 2,000 characters",
    );
    let on = calm.when(resumed_on_evidence).then();
    assert!(on.rollout().firing.is_empty() && on.rollout().rearm_generation > 0);
    let again = on.when(trigger(PAUSES, true)).then();
    assert_eq!(again.rollout().state, State::Paused, "it is armed anew");
    let closed = entered("P2").and(trigger(PAUSES_ALL, true)).and(trigger(PAUSES_ALL, false));
    closed.when(resumed).then();
}

#[test]
fn a_global_pause_engages_the_kill_switch_once() {
    let story = entered("P2").and(|_| Command::Pause { global: true });
    let story = story.and(|_| Command::Effect);
    assert_eq!(story.rollout().pause.as_ref().unwrap().kill_epoch, Some(7));
    let story = story.settled();
    let engaged =
        story.journal.iter().filter(|(event, _)| matches!(event, Event::KillSwitchEngaged { .. }));
    assert_eq!(engaged.count(), 1);
}

#[test]
fn of_two_incidents_the_second_still_blocks_when_the_first_is_resolved() {
    let both = entered("P2").and(incident("p1-incident", "INC-1", true)).and(incident(
        "p1-incident",
        "INC-2",
        true,
    ));
    both.and(incident("p1-incident", "INC-1", false)).when(resumed_on_evidence).refused(
        "the rollout cannot be resumed yet: p1-incident/incidents/INC-2 fires on: only sre_lead \
         may override it",
    );
}
