//! Triggers and rollbacks: whatever lowers exposure, at once and without asking.

use plan::{Plan, Trigger, TriggerAction, TriggerCondition};
use vocab::{Actor, Role};

use crate::advice::{Situation, advise};
use crate::decide::check_evidence_link;
use crate::decide::pausing::is_global;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::rollback::SystemStep;
use crate::rollout::{Rollout, State};
use crate::trigger::{Firing, Outcome, Watched};

/// What is to be done about something that the gate service has seen. Each firing is answered once;
/// the most severe action wins, and one that is in force is not taken again.
#[must_use]
pub fn react(rollout: &Rollout, firing: &Firing) -> Vec<Event> {
    let current = firing.phase_generation >= rollout.phase_generation;
    match firing.kind {
        Watched::Trigger => react_to_trigger(rollout, firing, current),
        Watched::Threshold if current && moves(rollout) => hold(rollout, firing),
        Watched::Threshold | Watched::Advisory => {
            let outcome = if current { Outcome::Told } else { Outcome::Stale };
            vec![seen(rollout, firing, outcome)]
        }
    }
}

fn seen(rollout: &Rollout, firing: &Firing, outcome: Outcome) -> Event {
    Event::TriggerSeen { rollout: rollout.name.clone(), firing: firing.clone(), outcome }
}

/// Whether it is in a phase and not over.
const fn moves(rollout: &Rollout) -> bool {
    !matches!(rollout.state, State::Pending | State::Archived)
}

fn hold(rollout: &Rollout, firing: &Firing) -> Vec<Event> {
    let (name, threshold_id, cursor) = (rollout.name.clone(), firing.id.clone(), firing.cursor);
    let broken = rollout.broken_thresholds.contains(&threshold_id);
    let held = match (firing.firing, broken) {
        (true, false) => Event::HoldBroken { rollout: name, threshold_id, cursor },
        (false, true) => Event::HoldMended { rollout: name, threshold_id, cursor },
        (true, true) | (false, false) => return vec![seen(rollout, firing, Outcome::Told)],
    };
    vec![seen(rollout, firing, Outcome::Told), held]
}

fn react_to_trigger(rollout: &Rollout, firing: &Firing, current: bool) -> Vec<Event> {
    let plan = &rollout.plan.plan;
    let trigger = plan.triggers.iter().find(|trigger| trigger.id.as_str() == firing.id);
    let (Some(trigger), true, true, true) = (trigger, firing.firing, current, moves(rollout))
    else {
        let outcome = if current { Outcome::Told } else { Outcome::Stale };
        return vec![seen(rollout, firing, outcome)];
    };
    if rollout.in_force().is_some_and(|in_force| in_force >= trigger.action) {
        return vec![seen(rollout, firing, Outcome::InForce)];
    }
    let mut events = vec![seen(rollout, firing, Outcome::Acted)];
    events.extend(advised(rollout, trigger));
    events.push(match trigger.action {
        TriggerAction::PausePhase | TriggerAction::GlobalPause => Event::Paused {
            rollout: rollout.name.clone(),
            reason: reason(trigger, firing),
            // A pause that becomes another one keeps what it has stopped.
            global: trigger.action == TriggerAction::GlobalPause || is_global(rollout),
            trigger_id: firing.id.clone(),
        },
        TriggerAction::RollbackToPrevious | TriggerAction::RollbackToFirst => {
            started(rollout, trigger.action, reason(trigger, firing), &firing.id)
        }
    });
    events
}

/// On an incident the timeline names the row of the decision matrix (D7 §5.4).
fn advised(rollout: &Rollout, trigger: &Trigger) -> Option<Event> {
    let TriggerCondition::Incident { kind } = trigger.condition else { return None };
    let situation = Situation { incident: Some(kind), ..Situation::default() };
    let row = advise(&rollout.plan.plan, situation)?.row;
    let word = if row.rollback { "roll back" } else { "pause" };
    let text = format!("the decision matrix advises: {word}, {} ({})", row.condition, row.id);
    Some(Event::Noted { rollout: rollout.name.clone(), text })
}

fn reason(trigger: &Trigger, firing: &Firing) -> String {
    if firing.evidence.is_empty() {
        return trigger.title.clone();
    }
    format!("{}: {}", trigger.title, firing.evidence)
}

/// Rolls back to the previous phase or to the first one. Nothing to do where that, or more, is under
/// way. From the first phase it goes back to its beginning.
///
/// # Errors
/// Refuses rollouts that have not started or are over.
pub fn roll_back(rollout: &Rollout, to_first: bool, reason: &str) -> Result<Vec<Event>, Refusal> {
    let wrong = |needed| Refusal::WrongState {
        state: rollout.state.name(),
        command: "RollBackRollout",
        needed,
    };
    match rollout.state {
        State::Pending => Err(wrong("a phase: a pending rollout exposes nobody")),
        State::Archived => {
            Err(wrong("a phase: it is over, stop its pipeline with the kill switch"))
        }
        State::Running | State::Paused | State::RollingBack => {
            let action = if to_first {
                TriggerAction::RollbackToFirst
            } else {
                TriggerAction::RollbackToPrevious
            };
            if rollout.in_force().is_some_and(|in_force| in_force >= action) {
                return Ok(Vec::new());
            }
            Ok(vec![started(rollout, action, reason.to_owned(), "")])
        }
    }
}

fn started(rollout: &Rollout, action: TriggerAction, reason: String, trigger_id: &str) -> Event {
    let index = rollout.phase_index.unwrap_or(0);
    let to = if action == TriggerAction::RollbackToFirst { 0 } else { index.saturating_sub(1) };
    let id = |index: usize| {
        let phase = rollout.plan.plan.phases.get(index);
        phase.map_or_else(String::new, |phase| phase.id.to_string())
    };
    Event::RollbackStarted {
        rollout: rollout.name.clone(),
        // The generation it begins in: no other rollback of this rollout can have it.
        rollback_id: format!("rollback-{}", rollout.generation + 1),
        action,
        from_phase_id: id(index),
        to_phase_id: id(to),
        reason,
        trigger_id: trigger_id.to_owned(),
    }
}

/// Takes the flag back to the phase a rollback goes to. Nothing to do where it was, or where another
/// rollback is under way. Exposure never rises by it.
#[must_use]
pub fn reenter(rollout: &Rollout, rollback_id: &str) -> Vec<Event> {
    let Some(rollback) = rollout.rollback.as_ref() else { return Vec::new() };
    if rollback.id != rollback_id || rollback.reentered || rollout.state != State::RollingBack {
        return Vec::new();
    }
    let target = target(&rollout.plan.plan, &rollback.to_phase_id);
    let first_step = target.map(|phase| {
        let first = phase.ramp.iter().map(|step| step.percentage).min();
        first.unwrap_or(phase.flag.percentage)
    });
    vec![Event::PhaseReentered {
        rollout: rollout.name.clone(),
        rollback_id: rollback_id.to_owned(),
        phase_id: rollback.to_phase_id.clone(),
        exposure: first_step.unwrap_or_default().min(rollout.exposure),
    }]
}

fn target<'a>(plan: &'a Plan, id: &str) -> Option<&'a plan::Phase> {
    plan.phases.iter().find(|phase| phase.id.as_str() == id)
}

/// The system has done a step. Nothing to do where that is known, or another step comes first.
#[must_use]
pub fn step_done(
    rollout: &Rollout,
    rollback_id: &str,
    step: SystemStep,
    detail: &str,
    artifact: &[u8],
) -> Vec<Event> {
    let Some(rollback) = rollout.rollback.as_ref() else { return Vec::new() };
    let next = rollback.next_system_step(&rollout.plan.plan);
    if rollback.id != rollback_id || next != Some(step) || rollout.state != State::RollingBack {
        return Vec::new();
    }
    vec![Event::RollbackStepDone {
        rollout: rollout.name.clone(),
        rollback_id: rollback_id.to_owned(),
        step_id: step.id().to_owned(),
        detail: detail.to_owned(),
        evidence: String::new(),
        artifact: artifact.to_vec(),
    }]
}

/// Ticks off a step that people do. Nothing to do where it is done.
///
/// # Errors
/// Refuses rollouts that were never rolled back, steps of the system, unknown steps, steps before
/// the system has done its own, and missing evidence.
pub fn tick_off(
    rollout: &Rollout,
    actor: &Actor,
    step_id: &str,
    detail: &str,
    evidence: &str,
) -> Result<Vec<Event>, Refusal> {
    let none = || Refusal::NoRollback(rollout.name.clone());
    let rollback = rollout.rollback.as_ref().ok_or_else(none)?;
    let steps = &rollout.plan.plan.rollback_steps;
    let step = steps.iter().find(|step| step.id.as_str() == step_id);
    let of_people = |step: &&plan::RollbackStep| !step.by_system;
    let Some(step) = step.filter(of_people) else {
        let known = steps.iter().filter(of_people).map(|step| step.id.to_string()).collect();
        return Err(Refusal::UnknownStep { step: vocab::excerpt(step_id), known });
    };
    if rollback.is_done(step_id) {
        return Ok(Vec::new());
    }
    if rollout.state == State::RollingBack {
        let (state, command) = (rollout.state.name(), "CompleteRollbackStep");
        let needed = "the system to have done its own steps first";
        return Err(Refusal::WrongState { state, command, needed });
    }
    if Role::new("worker").is_ok_and(|worker| actor.holds(&worker)) {
        let actor = actor.subject.clone();
        return Err(Refusal::WorkerMayNot { actor, command: "tick off a step" });
    }
    check_evidence_link(evidence)?;
    Ok(vec![Event::RollbackStepDone {
        rollout: rollout.name.clone(),
        rollback_id: rollback.id.clone(),
        step_id: step.id.to_string(),
        detail: detail.to_owned(),
        evidence: evidence.to_owned(),
        artifact: Vec::new(),
    }])
}
