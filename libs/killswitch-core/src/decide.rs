//! What commands mean: events, nothing, or a refusal.

use std::time::Duration;

use crate::event::{Event, Rules};
use crate::scope::Scope;
use crate::switches::Switches;

/// What a worker may claim to hold at most, above what is known here: more is an error of its own,
/// and would use up the epochs.
pub const CLAIM_MAX: u64 = 1 << 32;

/// Why a command is refused. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The switch has changed since the caller looked.
    #[error(
        "the switch is at epoch {current}, not {seen}: look again, and release epoch {current} if \
         that is still right"
    )]
    EpochMismatch {
        /// The epoch the caller saw.
        seen: u64,
        /// The epoch it has.
        current: u64,
    },
    /// A release that is no end of a drill has no evidence.
    #[error("is required: an http or https address that shows the resume criterion to be met")]
    EvidenceMissing,
    /// The same person asked for the release before.
    #[error("{first} has asked for this release: it takes a second person to carry it out")]
    SecondPersonRequired {
        /// Who asked.
        first: String,
    },
    /// A worker claims an epoch that cannot be.
    #[error(
        "{held} cannot be: the newest epoch here is {current}, and no worker is more than {CLAIM_MAX} \
         ahead"
    )]
    ClaimTooHigh {
        /// What it claims.
        held: u64,
        /// What is known here.
        current: u64,
    },
}

/// How a release is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Who asks.
    pub actor: String,
    /// The epoch of the switch as it was seen.
    pub seen: u64,
    /// Why it is safe.
    pub reason: String,
    /// The evidence for the resume criterion, a link.
    pub evidence: String,
    /// Time until everybody goes on.
    pub ramp: Duration,
}

/// What a worker held when it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The worker.
    pub worker: String,
    /// The highest epoch it knows.
    pub epoch: u64,
    /// What it knows to be engaged at that epoch.
    pub engaged: Vec<Scope>,
}

/// Stops a scope. Never refused; nothing to do where it is stopped already. A real kill of a
/// scope under drill takes the drill over, and one of a scope whose release is asked for ends the
/// asking. The epoch is above `floor`, too.
#[must_use]
pub fn engage(
    switches: &Switches,
    floor: u64,
    scope: Scope,
    reason: String,
    drill: bool,
) -> Option<Event> {
    let already = switches
        .get(&scope)
        .is_some_and(|known| known.engaged && known.drill <= drill && known.pending.is_none());
    let epoch = switches.epoch.max(floor).saturating_add(1);
    (!already).then_some(Event::Engaged { scope, epoch, reason, drill })
}

/// Lets a scope go on, or has one person ask for it where it takes two. `None`: it does already.
///
/// # Errors
/// Refuses an epoch other than the switch's own, a release without evidence, and a second call of
/// the same person.
pub fn release(
    switches: &Switches,
    floor: u64,
    scope: Scope,
    resume: Resume,
) -> Result<Option<Event>, Refusal> {
    let Resume { actor, seen, reason, evidence, ramp } = resume;
    let known = switches.get(&scope);
    let current = known.map_or(0, |known| known.epoch);
    if seen != current {
        return Err(Refusal::EpochMismatch { seen, current });
    }
    let Some(known) = known.filter(|known| known.engaged) else {
        return Ok(None);
    };
    let epoch = switches.epoch.max(floor).saturating_add(1);
    if known.drill {
        let ramp = Duration::ZERO; // It stopped nobody.
        return Ok(Some(Event::Released { scope, epoch, reason, drill: true, evidence, ramp }));
    }
    if evidence.is_empty() {
        return Err(Refusal::EvidenceMissing);
    }
    if switches.takes_two(&scope) {
        match &known.pending {
            None => {
                let epoch = known.epoch;
                return Ok(Some(Event::ReleaseRequested { scope, epoch, reason, evidence }));
            }
            Some(first) if first.actor == actor => {
                return Err(Refusal::SecondPersonRequired { first: actor });
            }
            Some(_another) => {}
        }
    }
    Ok(Some(Event::Released { scope, epoch, reason, drill: false, evidence, ramp }))
}

/// Brings together what is known here and what a worker held: whatever either of the two stops
/// stays stopped unless its release is known, and epochs go on above both. Nothing where the worker
/// knows nothing more.
///
/// # Errors
/// Refuses a claim that cannot be.
pub fn merge(switches: &Switches, floor: u64, held: &Held) -> Result<Vec<Event>, Refusal> {
    let current = switches.epoch.max(floor);
    if held.epoch.saturating_sub(current) > CLAIM_MAX {
        return Err(Refusal::ClaimTooHigh { held: held.epoch, current });
    }
    let lost = |scope: &&Scope| match switches.get(scope) {
        // A release that the worker has not heard of yet.
        Some(known) => !known.engaged && known.epoch <= held.epoch,
        None => true,
    };
    let mut epoch = current.max(held.epoch);
    let mut events = Vec::new();
    for scope in held.engaged.iter().filter(lost) {
        epoch += 1;
        let reason = format!(
            "held engaged by worker {} at epoch {}, and not known here: kept engaged",
            held.worker, held.epoch
        );
        events.push(Event::Engaged { scope: scope.clone(), epoch, reason, drill: false });
    }
    if events.is_empty() && held.epoch > current {
        events.push(Event::EpochRaised { epoch: epoch + 1, worker: held.worker.clone() });
    }
    Ok(events)
}

/// Takes over what a plan says. `None`: as much or more is known already.
#[must_use]
pub fn take_rules(switches: &Switches, rules: Rules) -> Option<Event> {
    let known = switches.rules(rules.pipeline.as_str());
    let newer = known.is_none_or(|known| known.generation < rules.generation);
    newer.then_some(Event::RulesTaken(rules))
}

#[cfg(test)]
mod tests;
