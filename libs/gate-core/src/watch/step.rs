//! Where a trigger stands, and where an observation moves it.

use std::time::Duration;

use plan::Timing;
use vocab::Timestamp;

use super::observe::{Level, Observed};

/// Where a trigger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// The condition does not hold.
    #[default]
    Clear,
    /// The bare rule holds and is not proven, or what was pending can no longer be told.
    Warned,
    /// The condition holds, and fires at this instant if it goes on holding.
    Pending(Timestamp),
    /// It has fired, and has not cleared since.
    Fired,
}

/// A trigger's state, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Since when it has been over, while it is fired: it clears after the plan's time. Not kept
    /// across a restart, which only makes it clear later.
    pub over_since: Option<Timestamp>,
}

/// A change of state, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
}

/// Where an observation at `now` moves a trigger. `previous`: when it was last evaluated, by any
/// replica; a longer time than `gap_max` is a gap, over which nothing is known to have held.
#[must_use]
pub fn step(
    standing: Standing,
    timing: &Timing,
    observed: &Observed,
    (previous, gap_max): (Option<Timestamp>, Duration),
    now: Timestamp,
) -> Standing {
    if standing.state == State::Fired {
        return fired(standing, timing, observed, now);
    }
    let gap = previous.is_none_or(|previous| {
        now.since(previous) > gap_max || previous.since(now) > gap_max // A clock that was set back.
    });
    let state = match (observed.level, standing.state) {
        (Level::Clear, _) => State::Clear,
        (Level::Suspected, _) => State::Warned,
        // Nothing is known: neither way. What was pending has not held at every evaluation.
        (Level::Unknown, State::Pending(_) | State::Warned) => State::Warned,
        (Level::Unknown, other) => other,
        (Level::Proven, _) if timing.sustained_for.is_zero() => State::Fired,
        (Level::Proven, State::Pending(deadline)) if !gap && now >= deadline => State::Fired,
        (Level::Proven, State::Pending(deadline)) if !gap => State::Pending(deadline),
        (Level::Proven, _) => State::Pending(now.plus(timing.sustained_for)),
    };
    Standing { state, over_since: None }
}

fn fired(standing: Standing, timing: &Timing, observed: &Observed, now: Timestamp) -> Standing {
    if !observed.over {
        return Standing { over_since: None, ..standing };
    }
    let since = standing.over_since.unwrap_or(now);
    if now.since(since) >= timing.clears_after {
        return Standing::default();
    }
    Standing { over_since: Some(since), ..standing }
}
