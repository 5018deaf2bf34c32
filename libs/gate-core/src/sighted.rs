//! Rare things that are evidence: transitions, breakers, incidents, interventions, drills.
//!
//! **Invariant:** reports may come in any order and more than once; what they add up to is the
//! same.

use std::collections::{BTreeMap, BTreeSet};

use plan::IncidentKind;
use vocab::Timestamp;

const TRANSITIONS_MAX: usize = 1_000; // Of one breaker; the oldest go first.
const TIMES_MAX: usize = 1_000; // Of interventions; the oldest go first.

/// Rare things seen since the phase started.
#[derive(Debug, Clone, Default)]
pub struct Sighted {
    /// State transitions, as `from->to`.
    pub transitions: BTreeSet<String>,
    /// Breakers by id.
    pub breakers: BTreeMap<String, Breaker>,
    /// Manual interventions, with their times; several at one instant are told apart by number.
    pub interventions: BTreeSet<(Timestamp, u64)>,
    /// The newest drill that passed in this phase.
    pub drill: Option<Timestamp>,
    /// The newest drill that ever passed.
    pub last_drill: Option<Timestamp>,
    /// Incidents by id: those of this phase, and those that are open.
    pub incidents: BTreeMap<String, Incident>,
}

impl Sighted {
    /// Adds an intervention; `number` tells those of one instant apart.
    pub fn intervened(&mut self, at: Timestamp, number: u64) {
        self.interventions.insert((at, number));
        while self.interventions.len() > TIMES_MAX {
            self.interventions.pop_first();
        }
    }

    /// Adds a drill that passed.
    pub fn drilled(&mut self, at: Timestamp) {
        self.drill = self.drill.max(Some(at));
        self.last_drill = self.last_drill.max(Some(at));
    }

    /// What a new phase begins with: what is open stays open, the rest is over. The last drill
    /// still tells that the kill switch works.
    #[must_use]
    pub fn after_phase(self) -> Self {
        let open = |(id, breaker): (String, Breaker)| Some((id, breaker.still_open()?));
        Self {
            breakers: self.breakers.into_iter().filter_map(open).collect(),
            incidents: self.incidents.into_iter().filter(|(_, one)| one.is_open()).collect(),
            last_drill: self.last_drill,
            ..Self::default()
        }
    }
}

/// States of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets calls through.
    Closed,
    /// Lets a probe through.
    HalfOpen,
    /// Lets none through.
    Open,
}

/// The transitions of one breaker. It is open until it is said to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breaker {
    /// By time, and by the order of being told at one instant.
    transitions: BTreeMap<(Timestamp, u64), BreakerState>,
    carried: bool,
}

impl Breaker {
    /// Adds a transition; `number` tells those of one instant apart, and orders them.
    pub fn entered(&mut self, state: BreakerState, at: Timestamp, number: u64) {
        self.transitions.insert((at, number), state);
        while self.transitions.len() > TRANSITIONS_MAX {
            self.transitions.pop_first();
        }
    }

    /// Whether nothing is known of it before `at` but that: where a phase began with it open.
    fn still_open(&self) -> Option<Self> {
        let since = self.open_since()?;
        let transitions = BTreeMap::from([((since, 0), BreakerState::Open)]);
        Some(Self { transitions, carried: true })
    }

    /// When it opened, of each time it was open; not the time a phase began with.
    #[must_use]
    pub fn opened(&self) -> Vec<Timestamp> {
        let mut open = false;
        let mut opened = Vec::new();
        for ((at, _), state) in &self.transitions {
            match state {
                BreakerState::Open if !open => {
                    opened.push(*at);
                    open = true;
                }
                BreakerState::Closed => open = false,
                BreakerState::Open | BreakerState::HalfOpen => {}
            }
        }
        opened.split_off(usize::from(self.carried).min(opened.len()))
    }

    /// Since when it has been open without an explicit end.
    #[must_use]
    pub fn open_since(&self) -> Option<Timestamp> {
        let mut since = None;
        for ((at, _), state) in &self.transitions {
            match state {
                BreakerState::Open => {
                    since.get_or_insert(*at);
                }
                BreakerState::Closed => since = None,
                BreakerState::HalfOpen => {}
            }
        }
        since
    }

    /// Whether it has gone from open to closed.
    #[must_use]
    pub fn recovered(&self) -> bool {
        let mut open = false;
        let mut recovered = false;
        for state in self.transitions.values() {
            recovered |= open && *state == BreakerState::Closed;
            open = match state {
                BreakerState::Open => true,
                BreakerState::Closed => false,
                BreakerState::HalfOpen => open,
            };
        }
        // An outage that a phase began with is not one that it tested.
        recovered && !(self.carried && self.opened().is_empty())
    }
}

/// What is known of one incident.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Incident {
    /// Its kind, by the name that plans and labels use, e.g. `p1`; empty where only its end is
    /// known.
    pub kind: String,
    /// When it was last declared.
    pub declared: Option<Timestamp>,
    /// When it was last resolved.
    pub resolved: Option<Timestamp>,
    /// What happened.
    pub title: String,
    /// Whether clients feel it.
    pub client_facing: bool,
}

impl Incident {
    /// Whether it is of a kind that a plan reacts to.
    #[must_use]
    pub fn is(&self, kind: IncidentKind) -> bool {
        self.kind == kind.name()
    }

    /// Whether it was declared and has not been resolved since.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.declared.is_some_and(|declared| self.resolved.is_none_or(|at| at < declared))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn breaker(transitions: &[(i64, BreakerState)]) -> Breaker {
        let mut breaker = Breaker::default();
        transitions.iter().for_each(|(seconds, state)| breaker.entered(*state, at(*seconds), 0));
        breaker
    }

    #[test]
    fn a_breaker_is_open_until_it_is_said_to_be_closed() {
        use BreakerState::{Closed, HalfOpen, Open};
        let flapping = breaker(&[(1, Open), (2, HalfOpen), (3, Open)]);
        assert_eq!((flapping.open_since(), flapping.opened().len()), (Some(at(1)), 1));
        assert!(!flapping.recovered());
        let closed = breaker(&[(1, Open), (2, HalfOpen), (3, Closed), (4, Open), (5, Closed)]);
        assert_eq!((closed.open_since(), closed.opened()), (None, vec![at(1), at(4)]));
        assert!(closed.recovered());
    }

    #[test]
    fn transitions_of_one_instant_count_in_the_order_they_were_told() {
        let mut breaker = Breaker::default();
        breaker.entered(BreakerState::Open, at(1), 7);
        breaker.entered(BreakerState::Closed, at(1), 8);
        assert_eq!((breaker.open_since(), breaker.recovered()), (None, true));
    }

    #[test]
    fn a_phase_that_begins_with_a_breaker_open_neither_opened_nor_tested_it() {
        use BreakerState::{Closed, Open};
        let mut sighted = Sighted::default();
        sighted.breakers.insert("db".to_owned(), breaker(&[(1, Open)]));
        sighted.breakers.insert("ok".to_owned(), breaker(&[(1, Open), (2, Closed)]));
        let mut next = sighted.after_phase();
        assert_eq!(next.breakers.len(), 1);
        let carried = next.breakers.get_mut("db").unwrap();
        assert_eq!((carried.open_since(), carried.opened()), (Some(at(1)), vec![]));
        carried.entered(Closed, at(9), 0);
        assert_eq!((carried.open_since(), carried.recovered()), (None, false));
        carried.entered(Open, at(10), 0);
        carried.entered(Closed, at(11), 0);
        assert_eq!((carried.opened(), carried.recovered()), (vec![at(10)], true));
    }

    proptest! {
        #[test]
        fn the_order_in_which_transitions_are_told_does_not_matter(
            told in proptest::collection::vec((0_i64..20, 0_u8..3), 0..30), repeated in 0_usize..30,
        ) {
            let states = [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open];
            let mut told: Vec<_> = (0..)
                .zip(told)
                .map(|(number, (t, state))| (number, t, states[usize::from(state)]))
                .collect();
            let breaker = |told: &[(u64, i64, BreakerState)]| {
                let mut breaker = Breaker::default();
                told.iter().for_each(|(number, t, state)| breaker.entered(*state, at(*t), *number));
                breaker
            };
            let before = breaker(&told);
            told.reverse();
            told.extend(told.clone().into_iter().take(repeated));
            prop_assert_eq!(before, breaker(&told));
        }
    }
}
