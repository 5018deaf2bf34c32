//! Whether a history is linearizable, by search: the algorithm of Wing, Gong and Lowe.
//!
//! For short histories of anything that has a sequential model. Exponential in the number of calls
//! that overlap, so that a long one is cut where nothing was in flight.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;

const CALLS_MAX: usize = 128; // One bit each.

/// What a thing would do if calls came one by one.
pub trait Model {
    /// A call with its answer.
    type Call;
    /// What is remembered between calls.
    type State: Clone + Eq + Hash + Ord;

    /// The state after `call`; `None` where its answer is not what this state gives.
    fn step(state: &Self::State, call: &Self::Call) -> Option<Self::State>;
}

/// A call and when it was on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timed<C> {
    /// The call with its answer.
    pub call: C,
    /// When it was made.
    pub invoked: u64,
    /// When it was answered; `None`: never, it may take effect at any time after.
    pub returned: Option<u64>,
}

/// Every state that `history` may leave behind where it began in one of `states`; none where no
/// order of its calls explains their answers.
///
/// # Panics
/// For more than 128 calls that nothing separates: cut the history, or check it by revisions.
#[must_use]
pub fn explain<M: Model>(
    states: &BTreeSet<M::State>,
    history: &[Timed<M::Call>],
) -> BTreeSet<M::State> {
    let mut sorted: Vec<_> = history.iter().collect();
    sorted.sort_by_key(|one| one.invoked);
    let mut states = states.clone();
    let mut rest = sorted.as_slice();
    while !rest.is_empty() {
        let (window, after) = rest.split_at(quiet(rest));
        states = states.iter().flat_map(|state| search::<M>(state, window)).collect();
        rest = after;
    }
    states
}

/// How many calls there are before the first moment at which none is in flight.
fn quiet<C>(calls: &[&Timed<C>]) -> usize {
    let mut until = Some(0);
    for (at, call) in calls.iter().enumerate() {
        if at > 0 && until.is_some_and(|until| until < call.invoked) {
            return at;
        }
        until = until.zip(call.returned).map(|(until, returned)| until.max(returned));
    }
    calls.len()
}

fn search<M: Model>(start: &M::State, calls: &[&Timed<M::Call>]) -> BTreeSet<M::State> {
    assert!(calls.len() <= CALLS_MAX, "{} calls overlap without a gap", calls.len());
    let must = calls.iter().enumerate().filter(|(_, call)| call.returned.is_some());
    let must = must.fold(0_u128, |bits, (at, _)| bits | 1 << at);
    let mut ends = BTreeSet::new();
    let mut tried = HashSet::new();
    let mut open = vec![(0_u128, start.clone())];
    while let Some((done, state)) = open.pop() {
        if !tried.insert((done, state.clone())) {
            continue;
        }
        if done & must == must {
            ends.insert(state.clone());
        }
        let left = || calls.iter().enumerate().filter(|(at, _)| done & 1 << at == 0);
        // Whatever was answered before another began comes before it.
        let first = left().filter_map(|(_, call)| call.returned).min();
        for (at, call) in left() {
            if first.is_none_or(|first| call.invoked <= first)
                && let Some(next) = M::step(&state, &call.call)
            {
                open.push((done | 1 << at, next));
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A register of small numbers with compare-and-set.
    struct Register;

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Asked {
        Write(u8),
        Read(u8),
        Swap { from: u8, to: u8, done: bool },
    }

    impl Model for Register {
        type Call = Asked;
        type State = u8;

        fn step(state: &u8, call: &Asked) -> Option<u8> {
            match call {
                Asked::Write(value) => Some(*value),
                Asked::Read(value) => (value == state).then_some(*state),
                Asked::Swap { from, to, done: true } => (from == state).then_some(*to),
                Asked::Swap { from, done: false, .. } => (from != state).then_some(*state),
            }
        }
    }

    fn is_linearizable(history: &[Timed<Asked>]) -> bool {
        !explain::<Register>(&BTreeSet::from([0]), history).is_empty()
    }

    /// Tries every order of every subset that holds all answered calls.
    fn by_force(state: u8, left: &[Timed<Asked>]) -> bool {
        if left.iter().all(|call| call.returned.is_none()) {
            return true;
        }
        left.iter().enumerate().any(|(at, call)| {
            let overtakes =
                left.iter().any(|other| other.returned.is_some_and(|end| end < call.invoked));
            let next = Register::step(&state, &call.call).filter(|_| !overtakes);
            next.is_some_and(|next| {
                let mut rest = left.to_vec();
                rest.remove(at);
                by_force(next, &rest)
            })
        })
    }

    fn asked() -> impl Strategy<Value = Asked> {
        prop_oneof![
            (0..4_u8).prop_map(Asked::Write),
            (0..4_u8).prop_map(Asked::Read),
            (0..4_u8, 0..4_u8, any::<bool>()).prop_map(|(from, to, done)| Asked::Swap {
                from,
                to,
                done
            }),
        ]
    }

    fn timed() -> impl Strategy<Value = Timed<Asked>> {
        (asked(), 0..40_u64, 0..15_u64, 0..10_u8).prop_map(|(call, invoked, length, chance)| {
            // A read without an answer says nothing; a write without one may yet take effect.
            let lost = chance == 0 && matches!(call, Asked::Write(_));
            Timed { call, invoked, returned: (!lost).then_some(invoked + length) }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]
        #[test]
        fn the_search_agrees_with_brute_force(history in proptest::collection::vec(timed(), 0..8)) {
            prop_assert_eq!(is_linearizable(&history), by_force(0, &history));
        }
    }

    fn at(call: Asked, invoked: u64, returned: u64) -> Timed<Asked> {
        Timed { call, invoked, returned: Some(returned) }
    }

    #[test]
    fn two_swaps_from_the_same_value_cannot_both_be_done() {
        let both = [
            at(Asked::Swap { from: 0, to: 1, done: true }, 0, 10),
            at(Asked::Swap { from: 0, to: 2, done: true }, 5, 15),
        ];
        assert!(!is_linearizable(&both));
        let one = [
            at(Asked::Swap { from: 0, to: 1, done: true }, 0, 10),
            at(Asked::Swap { from: 0, to: 2, done: false }, 5, 15),
        ];
        assert!(is_linearizable(&one));
    }

    #[test]
    fn a_long_history_is_cut_where_nothing_is_in_flight() {
        let history: Vec<_> = (0..5_000_u64)
            .flat_map(|turn| {
                let value = u8::try_from(turn % 200).unwrap();
                [
                    at(Asked::Write(value), turn * 10, turn * 10 + 4),
                    at(Asked::Read(value), turn * 10 + 5, turn * 10 + 6),
                ]
            })
            .collect();
        assert!(is_linearizable(&history));
    }
}
