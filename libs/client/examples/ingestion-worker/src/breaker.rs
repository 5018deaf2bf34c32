//! A circuit breaker: after enough failures in a row nothing is tried for a while, then one
//! probe decides. A state machine; time is handed in.

use std::time::Duration;

use vocab::Timestamp;

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Position {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// One probe passes.
    HalfOpen,
}

impl Position {
    /// The name reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Open => "OPEN",
            Self::HalfOpen => "HALF_OPEN",
        }
    }
}

/// A change of a breaker's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From where.
    pub from: Position,
    /// To where.
    pub to: Position,
    /// When.
    pub at: Timestamp,
}

/// When a breaker opens and how long it stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row that open it; at least 1.
    pub failures_to_open: u32,
    /// How long nothing is tried.
    pub open_for: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { failures_to_open: 3, open_for: Duration::from_secs(30) }
    }
}

/// The circuit breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: Settings,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Timestamp },
    HalfOpen { probing: bool },
}

/// Whether a try may be made, and what changed in asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// `Ok`, or how long to wait before asking again.
    pub answer: Result<(), Duration>,
    /// The change of position that asking brought about.
    pub transition: Option<Transition>,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self { settings, state: State::Closed { failures: 0 } }
    }

    /// Where it stands.
    #[must_use]
    pub const fn position(&self) -> Position {
        match self.state {
            State::Closed { .. } => Position::Closed,
            State::Open { .. } => Position::Open,
            State::HalfOpen { .. } => Position::HalfOpen,
        }
    }

    /// Asks whether a try may be made at `now`; every `Ok` is answered by [`Breaker::record`].
    pub fn ask(&mut self, now: Timestamp) -> Admission {
        match self.state {
            State::Closed { .. } => Admission { answer: Ok(()), transition: None },
            State::Open { until } if now < until => {
                Admission { answer: Err(until.since(now)), transition: None }
            }
            State::Open { .. } => {
                let transition = self.become_state(State::HalfOpen { probing: true }, now);
                Admission { answer: Ok(()), transition }
            }
            State::HalfOpen { probing: true } => {
                Admission { answer: Err(self.settings.open_for), transition: None }
            }
            State::HalfOpen { probing: false } => {
                self.state = State::HalfOpen { probing: true };
                Admission { answer: Ok(()), transition: None }
            }
        }
    }

    /// Records how a try went.
    pub fn record(&mut self, succeeded: bool, now: Timestamp) -> Option<Transition> {
        let next = match (self.state, succeeded) {
            (State::Closed { .. } | State::HalfOpen { .. }, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false)
                if failures + 1 < self.settings.failures_to_open =>
            {
                State::Closed { failures: failures + 1 }
            }
            (State::Closed { .. } | State::HalfOpen { .. }, false) => {
                State::Open { until: now.plus(self.settings.open_for) }
            }
            (State::Open { .. }, _) => return None, // Begun before it opened: says nothing new.
        };
        self.become_state(next, now)
    }

    /// Takes back an `Ok` whose try was never made, or failed for a reason that is not the
    /// database's.
    pub const fn forget(&mut self) {
        if let State::HalfOpen { .. } = self.state {
            self.state = State::HalfOpen { probing: false };
        }
    }

    fn become_state(&mut self, next: State, at: Timestamp) -> Option<Transition> {
        let from = self.position();
        self.state = next;
        let to = self.position();
        (from != to).then_some(Transition { from, to, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(30);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn breaker() -> Breaker {
        Breaker::new(Settings { failures_to_open: 3, open_for: OPEN_FOR })
    }

    fn opened() -> Breaker {
        let mut breaker = breaker();
        for second in 0..3 {
            assert!(breaker.ask(at(second)).answer.is_ok());
            let transition = breaker.record(false, at(second));
            assert_eq!(transition.is_some(), second == 2);
        }
        breaker
    }

    #[test]
    fn it_opens_after_enough_failures_in_a_row_and_not_otherwise() {
        let mut breaker = breaker();
        for succeeded in [false, false, true, false, false] {
            assert_eq!(breaker.record(succeeded, at(0)), None);
        }
        let opened = Transition { from: Position::Closed, to: Position::Open, at: at(1) };
        assert_eq!(breaker.record(false, at(1)), Some(opened));
    }

    #[test]
    fn while_open_it_refuses_and_says_how_long() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(at(12)).answer, Err(Duration::from_secs(20)));
        assert_eq!(breaker.record(true, at(12)), None, "a late answer changes nothing");
        assert_eq!(breaker.position(), Position::Open);
    }

    #[test]
    fn one_probe_passes_and_its_success_closes_it() {
        let mut breaker = opened();
        let admission = breaker.ask(at(32));
        assert_eq!(admission.answer, Ok(()));
        assert_eq!(admission.transition.unwrap().to, Position::HalfOpen);
        assert_eq!(breaker.ask(at(32)).answer, Err(OPEN_FOR), "a second must wait");
        assert_eq!(breaker.record(true, at(33)).unwrap().to, Position::Closed);
        assert_eq!(breaker.ask(at(33)).answer, Ok(()));
    }

    #[test]
    fn a_failed_probe_opens_it_for_as_long_again() {
        let mut breaker = opened();
        breaker.ask(at(40));
        assert_eq!(breaker.record(false, at(41)).unwrap().to, Position::Open);
        assert_eq!(breaker.ask(at(70)).answer, Err(Duration::from_secs(1)));
        assert_eq!(breaker.ask(at(71)).answer, Ok(()));
    }

    #[test]
    fn a_probe_that_was_never_made_leaves_room_for_another() {
        let mut breaker = opened();
        assert_eq!(breaker.ask(at(40)).answer, Ok(()));
        breaker.forget();
        assert_eq!(breaker.ask(at(40)).answer, Ok(()));
    }
}
