//! What may be changed, and by whom: reducing is free, raising is bound (D7 §3.2, semantics §10).

use std::collections::HashSet;

use vocab::{BasisPoints, Pattern};

use crate::audience::Audience;
use crate::flag::{Definition, Flag, Limits};
use crate::patterns::Patterns;

/// Why a change is refused. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// The percentage would rise by more than the ramp rule allows.
    #[error(
        "from {from} the percentage may rise to at most {largest} in one step, not to {to} \
         (D7 §3.2: at most 2x, the first step at most 10%)"
    )]
    RampRule {
        /// The share now.
        from: BasisPoints,
        /// The share asked for.
        to: BasisPoints,
        /// The largest share allowed.
        largest: BasisPoints,
    },
    /// The flag is moved by a rollout, and the change would expose more workspaces.
    #[error(
        "{what} would raise exposure, and {rollout} moves this flag: exposure rises only by an \
         approved advance or ramp step of that rollout (narrowing it here is allowed)"
    )]
    Managed {
        /// The rollout.
        rollout: String,
        /// What would raise exposure.
        what: String,
    },
    /// The flag is moved by a rollout, and would be gone.
    #[error("{rollout} moves this flag: it cannot be deleted before that rollout has ended")]
    MovedByRollout {
        /// The rollout.
        rollout: String,
    },
    /// A newer step of the rollout has been applied.
    #[error("generation {offered} is older than generation {applied}, which has been applied")]
    Stale {
        /// The generation offered.
        offered: u64,
        /// The generation applied.
        applied: u64,
    },
    /// Another rollout moves the flag.
    #[error("the flag is moved by {owner}: one flag has one active rollout")]
    OtherRollout {
        /// The rollout that moves the flag.
        owner: String,
    },
}

/// Checks a flag that does not exist yet.
///
/// # Errors
/// Refuses a first share above the ramp rule.
pub fn check_new(definition: &Definition) -> Result<(), ChangeRefusal> {
    check_ramp(&Definition::default(), definition)
}

/// Checks a change asked for by a person.
///
/// # Errors
/// Refuses raising a flag that a rollout moves, and rises above the ramp rule.
pub fn check_update(
    flag: &Flag,
    definition: &Definition,
    limits: &Limits,
) -> Result<(), ChangeRefusal> {
    if !flag.rollout.is_empty()
        && let Some(what) =
            raises(&flag.definition, definition).or_else(|| raises_limits(&flag.limits, limits))
    {
        return Err(ChangeRefusal::Managed { rollout: flag.rollout.clone(), what });
    }
    check_ramp(&flag.definition, definition)
}

/// Checks a deletion asked for by a person.
///
/// # Errors
/// Refuses it of a flag that a rollout moves.
pub fn check_delete(flag: &Flag) -> Result<(), ChangeRefusal> {
    if flag.rollout.is_empty() {
        return Ok(());
    }
    Err(ChangeRefusal::MovedByRollout { rollout: flag.rollout.clone() })
}

/// Checks a step decided by a rollout. `Ok(false)`: it has been applied already.
///
/// # Errors
/// Refuses older generations, other rollouts, and rises above the ramp rule.
pub fn check_step(
    flag: Option<&Flag>,
    rollout: &str,
    generation: u64,
    definition: &Definition,
) -> Result<bool, ChangeRefusal> {
    let Some(flag) = flag else {
        return check_new(definition).map(|()| true);
    };
    if !flag.rollout.is_empty() && flag.rollout != rollout {
        return Err(ChangeRefusal::OtherRollout { owner: flag.rollout.clone() });
    }
    if generation < flag.generation {
        return Err(ChangeRefusal::Stale { offered: generation, applied: flag.generation });
    }
    check_ramp(&flag.definition, definition)?;
    Ok(generation > flag.generation)
}

/// Of an imported definition nobody knows the share: it has no ramp.
fn check_ramp(old: &Definition, new: &Definition) -> Result<(), ChangeRefusal> {
    if new.audience().is_none() {
        return Ok(());
    }
    let (from, to) = (old.share(), new.share());
    if from.may_become(to) {
        return Ok(());
    }
    Err(ChangeRefusal::RampRule { from, to, largest: from.largest_next() })
}

/// What in `new` would expose a workspace that `old` does not; `None` where nothing can.
#[must_use]
pub fn raises(old: &Definition, new: &Definition) -> Option<String> {
    match (old, new) {
        (old, new) if old == new => None,
        (Definition::Audience(old), Definition::Audience(new)) => raises_audience(old, new),
        (_, Definition::Imported(new)) if new.exposes_nobody() => None,
        (_, Definition::Imported(_)) => {
            Some("an imported definition, of which nobody knows whom it exposes,".to_owned())
        }
        (Definition::Imported(_), Definition::Audience(new)) => {
            let exposes = !new.allow.is_empty() || new.share() > BasisPoints::ZERO;
            let rules = new.enabled && !new.rules.is_empty();
            (exposes || rules).then(|| "a definition instead of an imported one".to_owned())
        }
    }
}

fn raises_audience(old: &Audience, new: &Audience) -> Option<String> {
    if new.share() > old.share() {
        return Some(format!("a share of {} instead of {}", new.share(), old.share()));
    }
    if let Some(added) = extra(&new.allow, &old.allow) {
        return Some(format!("`{added}` on the allowlist"));
    }
    if let Some(removed) = extra(&old.deny, &new.deny) {
        return Some(format!("`{removed}` taken off the denylist"));
    }
    let dropped = old.exclusions.iter().find(|exclusion| !new.exclusions.contains(exclusion));
    if let Some(dropped) = dropped {
        return Some(format!("the exclusion on `{}` dropped", dropped.attribute));
    }
    if old.variants != new.variants {
        return Some("other variants".to_owned());
    }
    let live = |audience: &Audience| audience.enabled && !audience.rules.is_empty();
    if (old.rules != new.rules || !old.enabled) && live(new) {
        return Some("other rules".to_owned());
    }
    // A rule that is gone leaves its workspaces to the share.
    if live(old) && !live(new) && new.share() > BasisPoints::ZERO {
        return Some("rules dropped, which leaves more to the share,".to_owned());
    }
    let narrower = new.split.shares().iter().zip(old.split.shares());
    let narrower =
        narrower.filter(|(new, old)| new.variant == old.variant && new.weight <= old.weight);
    (new.enabled && narrower.count() < new.split.shares().len()).then(|| "other shares".to_owned())
}

/// A pattern of the one list that the other has not.
fn extra<'a>(one: &'a Patterns, other: &Patterns) -> Option<&'a Pattern> {
    let known: HashSet<_> = other.listed().iter().collect();
    one.listed().iter().find(|pattern| !known.contains(pattern))
}

fn raises_limits(old: &Limits, new: &Limits) -> Option<String> {
    let looser = |old: Option<u64>, new: Option<u64>| match (old, new) {
        (Some(old), Some(new)) => new > old,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let per_day = |limits: &Limits| limits.uploads_per_day.map(u64::from);
    if looser(per_day(old), per_day(new)) {
        return Some("a larger daily quota".to_owned());
    }
    looser(old.file_size_max_bytes, new.file_size_max_bytes)
        .then(|| "a larger file size".to_owned())
}

#[cfg(test)]
mod tests {
    use vocab::{FlagKey, PipelineId};

    use super::*;
    use crate::flag::About;

    fn audience(percent: i64) -> Audience {
        Audience {
            enabled: true,
            percentage: BasisPoints::from_percent(percent).unwrap(),
            ..Audience::default()
        }
    }

    fn at(percent: i64) -> Definition {
        audience(percent).into()
    }

    fn managed(definition: Definition) -> Flag {
        Flag {
            key: FlagKey::new("f").unwrap(),
            pipeline: PipelineId::new("p").unwrap(),
            definition,
            limits: Limits::default(),
            rollout: "rollouts/r".to_owned(),
            phase: None,
            generation: 3,
            paused: false,
            about: About::default(),
        }
    }

    #[test]
    fn a_person_cannot_raise_a_flag_that_a_rollout_moves() {
        let flag = managed(at(10));
        let update = |definition: &Definition| check_update(&flag, definition, &flag.limits);
        assert!(matches!(update(&at(11)), Err(ChangeRefusal::Managed { .. })));
        let allow = Patterns::new(vec![Pattern::new("ws-1").unwrap()]).unwrap();
        let allowing = Audience { allow, ..audience(10) };
        assert!(matches!(update(&allowing.into()), Err(ChangeRefusal::Managed { .. })));
        assert_eq!(update(&at(5)), Ok(()));
    }

    #[test]
    fn a_step_of_an_older_generation_is_refused_and_the_same_is_success() {
        let flag = managed(at(10));
        let step = |generation| check_step(Some(&flag), "rollouts/r", generation, &at(20));
        assert!(matches!(step(2), Err(ChangeRefusal::Stale { .. })));
        assert_eq!(step(3), Ok(false));
        assert_eq!(step(4), Ok(true));
        let other = check_step(Some(&flag), "rollouts/other", 9, &at(10));
        assert!(matches!(other, Err(ChangeRefusal::OtherRollout { .. })));
    }

    #[test]
    fn no_single_change_more_than_doubles_the_share() {
        assert!(matches!(check_new(&at(50)), Err(ChangeRefusal::RampRule { .. })));
        assert_eq!(check_new(&at(10)), Ok(()));
        let step = check_step(Some(&managed(at(10))), "rollouts/r", 4, &at(50));
        assert!(matches!(step, Err(ChangeRefusal::RampRule { .. })));
    }
}
