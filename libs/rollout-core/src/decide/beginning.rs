//! From a plan file to the first phase.

use plan::Plan;
use vocab::{Actor, Role};

use crate::decide::{enter, missing_criteria, unknown_phase};
use crate::event::Event;
use crate::refusal::{Missing, Refusal};
use crate::report::Report;
use crate::rollout::{Rollout, Rollouts, State, StoredPlan};

/// Stores a plan file under the name its pipeline and version give it.
///
/// # Errors
/// Refuses other contents under a name that is taken.
pub fn store_plan(
    rollouts: &Rollouts,
    plan: &Plan,
    source: &[u8],
) -> Result<(String, Vec<Event>), Refusal> {
    let name = format!("plans/{}/versions/{}", plan.pipeline, plan.version);
    match rollouts.plans.get(&name) {
        Some(stored) if stored.source == source => Ok((name, Vec::new())),
        Some(_) => Err(Refusal::PlanExists(name)),
        None => {
            let event = Event::PlanStored { name: name.clone(), source: source.to_vec() };
            Ok((name, vec![event]))
        }
    }
}

/// Approves a plan version in one role (D7 §10). Nothing to do where this person has in this role.
///
/// # Errors
/// Refuses unknown plans, roles not held or not asked for, and the same person in two roles.
pub fn approve_plan(
    rollouts: &Rollouts,
    name: &str,
    actor: &Actor,
    role: &Role,
) -> Result<Vec<Event>, Refusal> {
    let stored = known_plan(rollouts, name)?;
    let approvers = &stored.plan.document.approvers;
    if !approvers.contains(role) {
        let (gate, role, roles) = (name.to_owned(), role.clone(), approvers.clone());
        return Err(Refusal::RoleNotAsked { gate, role, roles });
    }
    if !actor.holds(role) {
        return Err(Refusal::RoleMissing { actor: actor.subject.clone(), role: role.clone() });
    }
    match stored.approvals.iter().find(|earlier| earlier.actor == actor.subject) {
        Some(earlier) if &earlier.role == role => Ok(Vec::new()),
        Some(earlier) => Err(Refusal::SamePersonTwice {
            actor: actor.subject.clone(),
            gate: name.to_owned(),
            role: earlier.role.clone(),
        }),
        None => Ok(vec![Event::PlanApproved { name: name.to_owned(), role: role.clone() }]),
    }
}

/// Creates a rollout that exposes nobody.
///
/// # Errors
/// Refuses unknown plans, names that are taken, and flags that another rollout moves.
pub fn create(
    rollouts: &Rollouts,
    name: &str,
    plan_version: &str,
    demo: bool,
) -> Result<Vec<Event>, Refusal> {
    let stored = known_plan(rollouts, plan_version)?;
    if rollouts.by_name.contains_key(name) {
        return Err(Refusal::RolloutExists(name.to_owned()));
    }
    let flag = &stored.plan.flag;
    let moves = |other: &&Rollout| other.is_active() && &other.plan.plan.flag == flag;
    if let Some(owner) = rollouts.by_name.values().find(moves) {
        return Err(Refusal::FlagBusy { flag: flag.to_string(), owner: owner.name.clone() });
    }
    let (rollout, plan_version) = (name.to_owned(), plan_version.to_owned());
    Ok(vec![Event::Created { rollout, plan_version, demo }])
}

fn known_plan<'a>(rollouts: &'a Rollouts, name: &str) -> Result<&'a StoredPlan, Refusal> {
    let stored = rollouts.plans.get(name);
    Ok(stored.ok_or_else(|| Refusal::PlanNotFound(name.to_owned()))?.as_ref())
}

/// Enters the first phase. Nothing to do where it has been entered.
///
/// # Errors
/// Refuses while an entry criterion is open, or an approval of the plan: but for a rollout on a demo
/// clock, an unapproved plan does not start.
pub fn start(rollout: &Rollout, entry: &Report) -> Result<Vec<Event>, Refusal> {
    match rollout.state {
        State::Pending => {}
        State::Running | State::Paused | State::RollingBack => return Ok(Vec::new()),
        State::Archived => {
            let (state, command) = (rollout.state.name(), "StartRollout");
            return Err(Refusal::WrongState { state, command, needed: "PENDING" });
        }
    }
    let first = rollout.next_phase().ok_or_else(|| unknown_phase(rollout, "first"))?;
    let mut missing: Vec<_> = missing_criteria(entry).into_iter().collect();
    missing.extend(missing_plan_approvals(rollout));
    if !missing.is_empty() {
        return Err(Refusal::NotReady { phase: first.id.to_string(), missing });
    }
    enter(rollout, first, String::new(), vec![entry.digest.clone()])
}

fn missing_plan_approvals(rollout: &Rollout) -> Option<Missing> {
    let roles = rollout.plan.open_approvals();
    let needed = !rollout.demo && !roles.is_empty();
    needed.then(|| Missing::Approvals { gate: rollout.plan_version.clone(), roles })
}

/// Goes on by another version of the plan.
///
/// # Errors
/// Refuses plans that are unknown or not approved, of another pipeline or flag, and those that
/// would change what has been decided: the phases up to the current one, but for how long they last.
pub fn change_plan(
    rollouts: &Rollouts,
    rollout: &Rollout,
    plan_version: &str,
) -> Result<Vec<Event>, Refusal> {
    if rollout.plan_version == plan_version {
        return Ok(Vec::new());
    }
    let stored = known_plan(rollouts, plan_version)?;
    let wrong = |needed| Refusal::WrongState {
        state: rollout.state.name(),
        command: "ChangeRolloutPlan",
        needed,
    };
    match rollout.state {
        State::Pending | State::Running | State::Paused => {}
        State::RollingBack => return Err(wrong("a state other than ROLLING_BACK: wait for it")),
        State::Archived => return Err(wrong("a rollout that is not over")),
    }
    let changed = decided_otherwise(rollout, &stored.plan);
    if !changed.is_empty() {
        let plan = plan_version.to_owned();
        return Err(Refusal::PlanRewritesHistory { plan, changed });
    }
    let roles = stored.open_approvals();
    if !rollout.demo && !roles.is_empty() {
        let missing = vec![Missing::Approvals { gate: plan_version.to_owned(), roles }];
        return Err(Refusal::NotReady { phase: plan_version.to_owned(), missing });
    }
    let (rollout, plan_version) = (rollout.name.clone(), plan_version.to_owned());
    Ok(vec![Event::PlanChanged { rollout, plan_version }])
}

/// What a plan says otherwise of what has been decided already.
fn decided_otherwise(rollout: &Rollout, new: &Plan) -> Vec<String> {
    let old = &rollout.plan.plan;
    let mut changed = Vec::new();
    for (what, same) in [
        ("pipeline", old.pipeline == new.pipeline),
        ("flag", old.flag == new.flag),
        ("kill_switch.name", old.kill_switch.name == new.kill_switch.name),
    ] {
        if !same {
            changed.push(what.to_owned());
        }
    }
    let Some(current) = rollout.phase_index else { return changed };
    for (index, phase) in old.phases.iter().enumerate().take(current + 1) {
        let Some(other) = new.phases.get(index).filter(|other| other.id == phase.id) else {
            changed.push(format!("phases[{index}].id"));
            continue;
        };
        for (what, same) in [
            ("flag", phase.flag == other.flag),
            ("ramp", phase.ramp == other.ramp || index == current && ramp_ahead(rollout, other)),
            ("entry", phase.entry == other.entry),
            ("gate", phase.gate == other.gate || index == current),
        ] {
            if !same {
                changed.push(format!("phases[{index}].{what}"));
            }
        }
    }
    changed
}

/// Whether the steps up to the current one are the same: those ahead may change.
fn ramp_ahead(rollout: &Rollout, other: &plan::Phase) -> bool {
    let taken = |phase: &plan::Phase| {
        let steps = phase.ramp.iter().filter(|step| step.percentage <= rollout.exposure);
        steps.map(|step| step.percentage).collect::<Vec<_>>()
    };
    rollout.phase().is_some_and(|phase| taken(phase) == taken(other))
}
