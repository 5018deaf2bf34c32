//! Pausing takes one person and a reason; going on takes evidence.

use plan::{Plan, Trigger, TriggerCondition};
use vocab::{Actor, Role};

use crate::decide::check_evidence_link;
use crate::event::Event;
use crate::refusal::{Missing, Refusal};
use crate::rollout::{Rollout, State};
use crate::trigger::trigger_id;

/// The role of what reports and never decides.
const WORKER: &str = "worker";

/// Stops the clock; with `global`, everything: the kill switch is engaged as well. Nothing to do
/// where it stands at least as still.
///
/// # Errors
/// Refuses rollouts that have not started or are over: they expose nobody of their own.
pub fn pause(rollout: &Rollout, reason: &str, global: bool) -> Result<Vec<Event>, Refusal> {
    let wrong = |needed| Refusal::WrongState {
        state: rollout.state.name(),
        command: "PauseRollout",
        needed,
    };
    match rollout.state {
        State::Pending => Err(wrong("RUNNING: a pending rollout exposes nobody")),
        State::Archived => {
            Err(wrong("RUNNING: it is over, stop its pipeline with the kill switch"))
        }
        State::RollingBack => Ok(Vec::new()),
        State::Paused if !global || is_global(rollout) => Ok(Vec::new()),
        State::Paused | State::Running => Ok(vec![Event::Paused {
            rollout: rollout.name.clone(),
            reason: reason.to_owned(),
            global,
            trigger_id: String::new(),
        }]),
    }
}

pub(super) fn is_global(rollout: &Rollout) -> bool {
    rollout.pause.as_ref().is_some_and(|pause| pause.global)
}

/// The kill switch was engaged for a global pause. Nothing to do where that is known.
#[must_use]
pub fn kill_switch_engaged(rollout: &Rollout, epoch: u64) -> Vec<Event> {
    let waiting = rollout.pause.as_ref().is_some_and(|pause| pause.kill_epoch.is_none());
    if !waiting {
        return Vec::new();
    }
    vec![Event::KillSwitchEngaged { rollout: rollout.name.clone(), epoch }]
}

/// Lets the clock run again. Nothing to do where it runs. The kill switch is not released by it.
///
/// # Errors
/// Refuses workers; rollouts that are not paused; while a trigger fires that this person may not
/// override; without evidence where a trigger or a rollback asks for it; and after a rollback until
/// people have done their steps.
pub fn resume(
    rollout: &Rollout,
    actor: &Actor,
    reason: &str,
    evidence: &str,
) -> Result<Vec<Event>, Refusal> {
    let wrong = |needed| Refusal::WrongState {
        state: rollout.state.name(),
        command: "ResumeRollout",
        needed,
    };
    match rollout.state {
        State::Pending | State::Archived => return Err(wrong("PAUSED")),
        State::RollingBack => return Err(wrong("PAUSED: wait until it is rolled back")),
        State::Running => return Ok(Vec::new()),
        State::Paused => {}
    }
    if Role::new(WORKER).is_ok_and(|worker| actor.holds(&worker)) {
        return Err(Refusal::WorkerMayNot { actor: actor.subject.clone(), command: "resume" });
    }
    if !evidence.is_empty() {
        check_evidence_link(evidence)?;
    }
    let plan = &rollout.plan.plan;
    let seen = rollout.firing.iter().filter(|trigger| is_seen_to_end(plan, trigger)).cloned();
    let (overridden, firing): (Vec<_>, Vec<_>) =
        seen.partition(|trigger| may_override(plan, trigger, actor));
    let mut missing: Vec<_> =
        firing.into_iter().map(|trigger| still_firing(plan, trigger)).collect();
    missing.extend(missing_steps(rollout));
    if evidence.is_empty() {
        missing.extend(missing_resume_criterion(rollout));
    }
    if !missing.is_empty() {
        return Err(Refusal::NotResumable { missing });
    }
    Ok(vec![Event::Resumed {
        rollout: rollout.name.clone(),
        reason: reason.to_owned(),
        evidence: evidence.to_owned(),
        overridden,
    }])
}

/// Whether the system sees when it is over: an incident is resolved, a breaker recovers. Of a number
/// that went wrong it does not: while everything waits there are no numbers, and a person must show
/// that the cause is gone. Going on arms such a trigger anew.
pub(crate) fn is_seen_to_end(plan: &Plan, firing: &str) -> bool {
    let found = find(plan, firing);
    found.is_none_or(|trigger| {
        trigger.resume_observed || matches!(trigger.condition, TriggerCondition::Incident { .. })
    })
}

/// The trigger of what fires.
fn find<'p>(plan: &'p Plan, firing: &str) -> Option<&'p Trigger> {
    plan.triggers.iter().find(|one| one.id.as_str() == trigger_id(firing))
}

fn may_override(plan: &Plan, firing: &str, actor: &Actor) -> bool {
    let found = find(plan, firing);
    found.is_some_and(|trigger| trigger.override_roles.iter().any(|role| actor.holds(role)))
}

fn still_firing(plan: &Plan, trigger_id: String) -> Missing {
    let found = find(plan, &trigger_id);
    let roles = found.map(|trigger| trigger.override_roles.clone()).unwrap_or_default();
    Missing::StillFiring { trigger_id, roles }
}

fn missing_steps(rollout: &Rollout) -> Option<Missing> {
    let open = rollout.rollback_in_force()?.open_before_resume(&rollout.plan.plan);
    let steps: Vec<_> = open.iter().map(|step| step.id.to_string()).collect();
    (!steps.is_empty()).then_some(Missing::RollbackSteps(steps))
}

/// What must be shown before anything goes on. That the breaker recovered is seen by the system.
fn missing_resume_criterion(rollout: &Rollout) -> Option<Missing> {
    let pause = rollout.pause.as_ref()?;
    if rollout.rollback_in_force().is_some() {
        return Some(Missing::ResumeCriterion("what was rolled back is fixed".to_owned()));
    }
    let triggers = &rollout.plan.plan.triggers;
    let trigger = triggers.iter().find(|one| one.id.as_str() == pause.trigger_id)?;
    (!trigger.resume_observed).then(|| Missing::ResumeCriterion(trigger.resume_criterion.clone()))
}
