//! What may be changed, and by whom: reducing is free, raising is bound (D7 §3.2, semantics §10).

use vocab::BasisPoints;

use crate::flag::{Definition, Flag, Limits};

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
/// Refuses a first percentage above the ramp rule.
pub fn check_new(definition: &Definition) -> Result<(), ChangeRefusal> {
    check_ramp(BasisPoints::ZERO, definition.share())
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
    check_ramp(flag.definition.share(), definition.share())
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
    check_ramp(flag.definition.share(), definition.share())?;
    Ok(generation > flag.generation)
}

fn check_ramp(from: BasisPoints, to: BasisPoints) -> Result<(), ChangeRefusal> {
    if from.may_become(to) {
        return Ok(());
    }
    Err(ChangeRefusal::RampRule { from, to, largest: from.largest_next() })
}

/// What in `new` would expose a workspace that `old` does not; `None` where nothing can.
#[must_use]
pub fn raises(old: &Definition, new: &Definition) -> Option<String> {
    if new.share() > old.share() {
        return Some(format!("a percentage of {} instead of {}", new.share(), old.share()));
    }
    if let Some(added) =
        new.allow.listed().iter().find(|pattern| !old.allow.listed().contains(pattern))
    {
        return Some(format!("`{added}` on the allowlist"));
    }
    if let Some(removed) =
        old.deny.listed().iter().find(|pattern| !new.deny.listed().contains(pattern))
    {
        return Some(format!("`{removed}` taken off the denylist"));
    }
    old.exclusions
        .iter()
        .find(|exclusion| !new.exclusions.contains(exclusion))
        .map(|removed| format!("the exclusion on `{}` dropped", removed.attribute))
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
    use vocab::{FlagKey, Pattern, PipelineId};

    use super::*;
    use crate::flag::Patterns;

    fn at(percent: i64) -> Definition {
        Definition {
            enabled: true,
            percentage: BasisPoints::from_percent(percent).unwrap(),
            ..Definition::default()
        }
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
        }
    }

    #[test]
    fn a_person_cannot_raise_a_flag_that_a_rollout_moves() {
        let flag = managed(at(10));
        let update = |definition: &Definition| check_update(&flag, definition, &flag.limits);
        assert!(matches!(update(&at(11)), Err(ChangeRefusal::Managed { .. })));
        let allowing = Definition {
            allow: Patterns::new(vec![Pattern::new("ws-1").unwrap()]).unwrap(),
            ..at(10)
        };
        assert!(matches!(update(&allowing), Err(ChangeRefusal::Managed { .. })));
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
