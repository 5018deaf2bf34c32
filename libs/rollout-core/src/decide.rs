//! Decisions: what a command means for a rollout, or why not.

use plan::{Gate, Phase, Plan};
use vocab::{Actor, BasisPoints, Role, Timestamp};

use crate::refusal::{Missing, Refusal};
use crate::report::Report;
use crate::rollout::{Event, Rollout, Rollouts, State};

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
    let plan = rollouts
        .plans
        .get(plan_version)
        .ok_or_else(|| Refusal::PlanNotFound(plan_version.to_owned()))?;
    if rollouts.by_name.contains_key(name) {
        return Err(Refusal::RolloutExists(name.to_owned()));
    }
    let flag = &plan.plan.flag;
    if let Some(owner) = rollouts.by_name.values().find(|other| &other.plan.plan.flag == flag) {
        return Err(Refusal::FlagBusy { flag: flag.to_string(), owner: owner.name.clone() });
    }
    let (rollout, plan_version) = (name.to_owned(), plan_version.to_owned());
    Ok(vec![Event::Created { rollout, plan_version, demo }])
}

/// Enters the first phase. Nothing to do where it has been entered.
///
/// # Errors
/// Refuses while an entry criterion is open.
pub fn start(rollout: &Rollout, entry: &Report) -> Result<Vec<Event>, Refusal> {
    if rollout.state != State::Pending {
        return Ok(Vec::new());
    }
    let first = rollout.next_phase().ok_or_else(|| unknown_phase(rollout, "first"))?;
    let missing: Vec<_> = missing_criteria(entry).into_iter().collect();
    if !missing.is_empty() {
        return Err(Refusal::NotReady { phase: first.id.to_string(), missing });
    }
    enter(rollout, first, String::new(), vec![entry.digest.clone()])
}

/// Approves the gate of the current phase in one role. Nothing to do where this person has
/// approved this report in this role.
///
/// # Errors
/// Refuses roles not held or not asked for, the same person in two roles, reports of other gates
/// or earlier stays, gates that are not met, and evidence that has become worse.
pub fn approve(
    rollout: &Rollout,
    actor: &Actor,
    role: &Role,
    seen: &Report,
    fresh: &Report,
) -> Result<Vec<Event>, Refusal> {
    let phase = require_running(rollout, "ApproveGate")?;
    let gate = phase.gate.as_ref().ok_or_else(|| Refusal::NoGate(phase.id.to_string()))?;
    check_role(gate, actor, role)?;
    check_report(rollout, gate, seen)?;
    check_report(rollout, gate, fresh)?;
    check_evidence(gate, seen, fresh)?;
    let gate_id = gate.id.to_string();
    for earlier in rollout.approvals.iter().filter(|earlier| earlier.actor == actor.subject) {
        if &earlier.role != role {
            return Err(Refusal::SamePersonTwice {
                actor: actor.subject.clone(),
                gate: gate_id,
                role: earlier.role.clone(),
            });
        }
        if earlier.report_digest == seen.digest {
            return Ok(Vec::new());
        }
    }
    Ok(vec![Event::GateApproved {
        rollout: rollout.name.clone(),
        gate_id,
        role: role.clone(),
        report_digest: seen.digest.clone(),
    }])
}

/// Enters the named phase. Nothing to do where the rollout is in it.
///
/// # Errors
/// Refuses phases out of order, and names everything that is missing.
pub fn advance(
    rollout: &Rollout,
    target: &str,
    approved: &[Report],
    fresh: &Report,
    entry: &Report,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let Some(next) = target_phase(rollout, target)? else {
        return Ok(Vec::new());
    };
    let phase = require_running(rollout, "AdvanceRollout")?;
    let gate = phase.gate.as_ref().ok_or_else(|| Refusal::NoGate(phase.id.to_string()))?;
    check_report(rollout, gate, fresh)?;
    for seen in approved {
        check_evidence(gate, seen, fresh)?;
    }
    let mut missing: Vec<_> = missing_criteria(fresh).into_iter().collect();
    missing.extend(missing_approvals(rollout, gate, approved));
    missing.extend(missing_time_and_ramp(rollout, phase, now));
    missing.extend(missing_criteria(entry));
    if !missing.is_empty() {
        return Err(Refusal::NotReady { phase: next.id.to_string(), missing });
    }
    let mut digests: Vec<_> = approved.iter().map(|report| report.digest.clone()).collect();
    digests.extend([fresh.digest.clone(), entry.digest.clone()]);
    digests.sort();
    digests.dedup();
    enter(rollout, next, gate.id.to_string(), digests)
}

/// Checks the order of phases; `None` where the rollout is in the target.
fn target_phase<'a>(rollout: &'a Rollout, target: &str) -> Result<Option<&'a Phase>, Refusal> {
    let phases = &rollout.plan.plan.phases;
    if !phases.iter().any(|phase| phase.id.as_str() == target) {
        return Err(unknown_phase(rollout, target));
    }
    let current = rollout.phase().map(|phase| phase.id.as_str());
    if current == Some(target) {
        return Ok(None);
    }
    match rollout.next_phase() {
        Some(next) if next.id.as_str() == target && current.is_some() => Ok(Some(next)),
        _ if current.is_none() => Err(Refusal::WrongState {
            state: rollout.state.name(),
            command: "AdvanceRollout",
            needed: "RUNNING: start it first",
        }),
        next => Err(Refusal::NotNext {
            phase: target.to_owned(),
            current: current.unwrap_or_default().to_owned(),
            next: next.map_or_else(|| "none".to_owned(), |phase| phase.id.to_string()),
        }),
    }
}

fn unknown_phase(rollout: &Rollout, phase: &str) -> Refusal {
    let known = rollout.plan.plan.phases.iter().map(|phase| phase.id.to_string()).collect();
    Refusal::UnknownPhase { phase: phase.to_owned(), known }
}

/// An approval counts only where the report it approved is at hand and was compared: a repetition
/// on a newer state may find approvals that nobody has looked at.
fn missing_approvals(rollout: &Rollout, gate: &Gate, approved: &[Report]) -> Option<Missing> {
    let compared = |digest: &str| approved.iter().any(|report| report.digest == digest);
    let mut roles = rollout.open_approvals(gate);
    let unseen = rollout.approvals.iter().filter(|approval| !compared(&approval.report_digest));
    roles.extend(unseen.map(|approval| approval.role.clone()));
    (!roles.is_empty()).then(|| Missing::Approvals { gate: gate.id.to_string(), roles })
}

fn missing_time_and_ramp(rollout: &Rollout, phase: &Phase, now: Timestamp) -> Vec<Missing> {
    let mut missing = Vec::new();
    let left = rollout.remaining_time(now);
    if !left.is_zero() {
        missing.push(Missing::Time(left));
    }
    if rollout.exposure < phase.flag.percentage {
        missing.push(Missing::Ramp { from: rollout.exposure, to: phase.flag.percentage });
    }
    missing
}

fn missing_criteria(report: &Report) -> Option<Missing> {
    let items = || report.open_items().cloned().collect();
    (!report.is_met()).then(|| Missing::Criteria { gate: report.gate_id.clone(), items: items() })
}

fn enter(
    rollout: &Rollout,
    phase: &Phase,
    gate_id: String,
    report_digests: Vec<String>,
) -> Result<Vec<Event>, Refusal> {
    let first_step = phase.ramp.iter().map(|step| step.percentage).min();
    let exposure = first_step.unwrap_or(phase.flag.percentage);
    check_ramp(rollout.exposure, exposure)?;
    Ok(vec![Event::PhaseEntered {
        rollout: rollout.name.clone(),
        phase_id: phase.id.to_string(),
        exposure,
        left_phase_id: rollout.phase().map_or_else(String::new, |left| left.id.to_string()),
        gate_id,
        report_digests,
    }])
}

/// Takes the next step of the ramp. Nothing to do where it has been taken.
///
/// # Errors
/// Refuses other shares, steps before the hold time is over, and rises above the ramp rule.
pub fn ramp(rollout: &Rollout, to: BasisPoints, now: Timestamp) -> Result<Vec<Event>, Refusal> {
    require_running(rollout, "RampRollout")?;
    if to == rollout.exposure {
        return Ok(Vec::new());
    }
    check_ramp(rollout.exposure, to)?;
    if rollout.next_step() != Some(to) {
        return Err(Refusal::NotNextStep {
            to,
            from: rollout.exposure,
            next: rollout
                .next_step()
                .map_or_else(|| "none in this phase".to_owned(), |share| share.to_string()),
        });
    }
    let left = rollout.remaining_hold(now);
    if !left.is_zero() {
        return Err(Refusal::StillHeld { share: rollout.exposure, left });
    }
    Ok(vec![Event::RampStepTaken { rollout: rollout.name.clone(), exposure: to }])
}

/// Stops the clock. Nothing to do where it stands.
///
/// # Errors
/// Refuses rollouts that have not started.
pub fn pause(rollout: &Rollout, reason: &str) -> Result<Vec<Event>, Refusal> {
    match rollout.state {
        State::Pending => Err(Refusal::WrongState {
            state: rollout.state.name(),
            command: "PauseRollout",
            needed: "RUNNING: a pending rollout exposes nobody",
        }),
        State::Paused => Ok(Vec::new()),
        State::Running => {
            let (rollout, reason) = (rollout.name.clone(), reason.to_owned());
            Ok(vec![Event::Paused { rollout, reason }])
        }
    }
}

/// Lets the clock run again. Nothing to do where it runs.
///
/// # Errors
/// Refuses rollouts that have not started.
pub fn resume(rollout: &Rollout, reason: &str) -> Result<Vec<Event>, Refusal> {
    match rollout.state {
        State::Pending => Err(Refusal::WrongState {
            state: rollout.state.name(),
            command: "ResumeRollout",
            needed: "PAUSED",
        }),
        State::Running => Ok(Vec::new()),
        State::Paused => {
            let (rollout, reason) = (rollout.name.clone(), reason.to_owned());
            Ok(vec![Event::Resumed { rollout, reason }])
        }
    }
}

fn require_running<'a>(rollout: &'a Rollout, command: &'static str) -> Result<&'a Phase, Refusal> {
    let wrong = |needed| Refusal::WrongState { state: rollout.state.name(), command, needed };
    match rollout.state {
        State::Pending => Err(wrong("RUNNING: start it first")),
        State::Paused => Err(wrong("RUNNING: resume it first")),
        State::Running => rollout.phase().ok_or_else(|| wrong("a phase of its plan")),
    }
}

fn check_ramp(from: BasisPoints, to: BasisPoints) -> Result<(), Refusal> {
    if from.may_become(to) {
        return Ok(());
    }
    Err(Refusal::RampRule { from, to, largest: from.largest_next() })
}

fn check_role(gate: &Gate, actor: &Actor, role: &Role) -> Result<(), Refusal> {
    if !gate.approvers.contains(role) {
        return Err(Refusal::RoleNotAsked {
            gate: gate.id.to_string(),
            role: role.clone(),
            roles: gate.approvers.clone(),
        });
    }
    if !actor.holds(role) {
        return Err(Refusal::RoleMissing { actor: actor.subject.clone(), role: role.clone() });
    }
    Ok(())
}

fn check_report(rollout: &Rollout, gate: &Gate, seen: &Report) -> Result<(), Refusal> {
    if seen.gate_id != gate.id.as_str() {
        return Err(Refusal::WrongGate { gate: gate.id.to_string(), found: seen.gate_id.clone() });
    }
    if seen.generation != rollout.phase_generation {
        return Err(Refusal::StaleReport {
            gate: gate.id.to_string(),
            found: seen.generation,
            current: rollout.phase_generation,
        });
    }
    Ok(())
}

fn check_evidence(gate: &Gate, seen: &Report, fresh: &Report) -> Result<(), Refusal> {
    let worse: Vec<_> = fresh.worse_than(seen).cloned().collect();
    if !worse.is_empty() {
        return Err(Refusal::EvidenceWorsened { gate: gate.id.to_string(), items: worse });
    }
    for report in [seen, fresh] {
        if !report.is_met() {
            let items = report.open_items().cloned().collect();
            return Err(Refusal::GateNotMet { gate: gate.id.to_string(), items });
        }
    }
    Ok(())
}
