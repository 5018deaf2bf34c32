//! What no command may ever break.

use rollout_core::{Event, Rollouts, State, pending_application};

use crate::story::{Command, Story};

/// Checks one step: `command` made `events` of `before`, which became `after`.
#[track_caller]
pub(crate) fn hold(before: &Story, command: &Command, events: &[Event], after: &Story) {
    let (old, new) = (before.rollout(), after.rollout());
    assert!(
        old.exposure.may_become(new.exposure),
        "{} became {} by {command:?}",
        old.exposure,
        new.exposure
    );
    if new.exposure > old.exposure {
        let rises = |event: &Event| {
            matches!(event, Event::PhaseEntered { .. } | Event::RampStepTaken { .. })
        };
        let raising =
            matches!(command, Command::Start(_) | Command::Advance { .. } | Command::Ramp(_));
        assert!(raising && events.iter().any(rises), "it rose by {command:?}, {events:?}");
        assert_eq!(old.state, State::Running, "it rose by {command:?}");
    }
    if old.state == State::Paused {
        assert_eq!(old.phase_index, new.phase_index, "{command:?} moved a paused rollout");
    }
    if old.phase_index != new.phase_index {
        let next = old.phase_index.map_or(0, |index| index + 1);
        assert_eq!(new.phase_index, Some(next), "{command:?} skipped a phase");
        assert!(old.remaining_time(before.now).is_zero(), "{command:?} came too early");
        let goal = old.phase().map_or(old.exposure, |phase| phase.flag.percentage);
        assert_eq!(old.exposure, goal, "{command:?} left the ramp unfinished");
    }
    let public = events.iter().filter(|event| !matches!(event, Event::GenerationApplied { .. }));
    assert_eq!(new.generation, old.generation + public.count() as u64, "{command:?}");
    assert!(new.revision >= old.revision && new.applied_generation <= new.generation);
    assert!(new.state != State::Paused || new.approvals.is_empty(), "approvals survived a pause");
    let told = pending_application(new);
    assert_eq!(told.is_none(), new.applied_generation >= new.generation);
    if let Some(told) = told {
        assert_eq!(told.generation, new.generation);
        let shown = told.flag.map(|flag| (flag.exposure, flag.paused));
        let expected = (new.exposure, new.state == State::Paused);
        assert_eq!(shown, new.phase_index.map(|_| expected));
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
