//! What no command may ever break.

use rollout_core::{
    Effect, Event, Rollout, Rollouts, State, SystemStep, next_effect, pending_application,
};

use crate::story::{Command, Story};

/// Checks one step: `command` made `events` of `before`, which became `after`.
#[track_caller]
pub(crate) fn hold(before: &Story, command: &Command, events: &[Event], after: &Story) {
    let (old, new) = (before.rollout(), after.rollout());
    exposure(old, new, command, events);
    phases(before, after, command);
    assert_eq!(new.generation, old.generation + told(events), "{command:?}");
    assert!(new.revision >= old.revision && new.applied_generation <= new.generation);
    let still = matches!(new.state, State::Paused | State::RollingBack);
    assert!(!still || new.approvals.is_empty(), "approvals survived a pause");
    assert!(!still || new.active_since.is_none(), "the clock runs during a pause");
    assert!(!still || new.proposed_step.is_none(), "a step asked for survived a pause");
    assert_eq!(new.pause.is_some() && new.state != State::Archived, still, "{command:?}");
    let application = pending_application(new);
    assert_eq!(application.is_none(), new.applied_generation >= new.generation);
    if let Some(application) = application {
        assert_eq!(application.generation, new.generation);
        let shown = application.flag.map(|flag| (flag.exposure, flag.paused));
        let expected = (new.exposure, still);
        assert_eq!(shown, new.phase_index.map(|_| expected));
    }
    stops_first(new);
}

/// Exposure rises only by a recorded approval or step, at most doubles, and never while stopped.
#[track_caller]
fn exposure(old: &Rollout, new: &Rollout, command: &Command, events: &[Event]) {
    let (from, to) = (old.exposure, new.exposure);
    assert!(from.may_become(to), "{from} became {to} by {command:?}");
    if to <= from {
        return;
    }
    let rises =
        |event: &Event| matches!(event, Event::PhaseEntered { .. } | Event::RampStepTaken { .. });
    let raising = matches!(
        command,
        Command::Start(_) | Command::Advance { .. } | Command::Ramp(..) | Command::Hold { .. }
    );
    assert!(raising && events.iter().any(rises), "it rose by {command:?}, {events:?}");
    assert_eq!(old.state, State::Running, "it rose by {command:?}");
    if let Command::Ramp(who, _) = command {
        let asked = old.proposed_step.as_ref().map(|asked| asked.actor.as_str());
        assert!(asked.is_some_and(|asked| asked != *who), "{who} alone raised it");
    }
}

/// Phases follow each other; only a rollback goes back, to where it said.
#[track_caller]
fn phases(before: &Story, after: &Story, command: &Command) {
    let (old, new) = (before.rollout(), after.rollout());
    if old.phase_generation == new.phase_generation {
        assert_eq!(old.phase_index, new.phase_index, "{command:?} changed the phase of a stay");
        return;
    }
    if old.state == State::RollingBack {
        let target = new.rollback.as_ref().map(|rollback| rollback.to_phase_id.as_str());
        assert_eq!(new.phase().map(|phase| phase.id.as_str()), target, "{command:?}");
        assert!(new.phase_index <= old.phase_index, "{command:?} went back to the front");
        return;
    }
    let next = old.phase_index.map_or(0, |index| index + 1);
    assert_eq!(new.phase_index, Some(next), "{command:?} skipped a phase");
    assert!(old.remaining_time(before.now).is_zero(), "{command:?} came too early");
    let goal = old.phase().map_or(old.exposure, |phase| phase.flag.percentage);
    assert_eq!(old.exposure, goal, "{command:?} left the ramp unfinished");
}

/// How many of the events change what others must be told of.
fn told(events: &[Event]) -> u64 {
    let changes = events.iter().filter(|event| {
        matches!(
            event,
            Event::PlanChanged { .. }
                | Event::PhaseEntered { .. }
                | Event::GateApproved { .. }
                | Event::RampStepTaken { .. }
                | Event::Paused { .. }
                | Event::Resumed { .. }
                | Event::RollbackStarted { .. }
                | Event::PhaseReentered { .. }
                | Event::GaDeclared { .. }
        )
    });
    changes.count() as u64
}

/// Whatever stops everything engages the kill switch before anything else is done.
#[track_caller]
fn stops_first(rollout: &Rollout) {
    let global = rollout.pause.as_ref().is_some_and(|pause| pause.global);
    if rollout.state == State::RollingBack && global {
        let kill = SystemStep::ActivateKillSwitch.id();
        let done = rollout.rollback.as_ref().is_some_and(|rollback| rollback.is_done(kill));
        let engages = matches!(next_effect(rollout), Some(Effect::EngageKillSwitch { .. }));
        assert_eq!(engages, !done, "{:?}", next_effect(rollout));
    }
}

/// Checks that the journal alone gives the same state.
#[track_caller]
pub(crate) fn replays(story: &Story) {
    let mut replayed = Rollouts::default();
    for (event, stamp) in &story.journal {
        replayed.apply(event, stamp);
    }
    assert_eq!(replayed, story.rollouts);
}
