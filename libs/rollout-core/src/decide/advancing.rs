//! Approvals, advances and the steps of the ramp: whatever raises exposure.

use plan::Phase;
use vocab::{Actor, BasisPoints, Role, Timestamp};

use crate::decide::{enter, missing_criteria, require_running, unknown_phase};
use crate::event::Event;
use crate::refusal::{Missing, Refusal};
use crate::report::Report;
use crate::rollout::{EndGate, Rollout, State};

/// Approves the gate at the end of the current phase in one role. Nothing to do where this person
/// has approved this report in this role. `blast_radius` is the digest of the report of who would
/// change, seen with it; empty for none.
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
    blast_radius: &str,
) -> Result<Vec<Event>, Refusal> {
    let phase = require_running(rollout, "ApproveGate")?;
    let gate = rollout.end_gate().ok_or_else(|| Refusal::NoGate(phase.id.to_string()))?;
    check_role(&gate, actor, role)?;
    check_report(rollout, gate.id, seen)?;
    check_report(rollout, gate.id, fresh)?;
    check_evidence(gate.id, seen, fresh)?;
    let gate_id = gate.id.to_owned();
    for earlier in rollout.approvals.iter().filter(|earlier| earlier.actor == actor.subject) {
        if &earlier.role != role {
            return Err(Refusal::SamePersonTwice {
                actor: actor.subject.clone(),
                gate: gate_id,
                role: earlier.role.clone(),
            });
        }
        let same = earlier.blast_radius_digest == blast_radius || blast_radius.is_empty();
        if earlier.report_digest == seen.digest && same {
            return Ok(Vec::new());
        }
    }
    Ok(vec![Event::GateApproved {
        rollout: rollout.name.clone(),
        gate_id,
        role: role.clone(),
        report_digest: seen.digest.clone(),
        blast_radius_digest: blast_radius.to_owned(),
    }])
}

/// What an advance rests on.
#[derive(Debug, Clone, Copy)]
pub struct Grounds<'a> {
    /// The reports that were approved.
    pub approved: &'a [Report],
    /// The gate at the end of the phase, judged now.
    pub fresh: &'a Report,
    /// The entry criteria of the next phase, judged now.
    pub entry: &'a Report,
}

/// Enters the named phase. Nothing to do where the rollout is in it.
///
/// # Errors
/// Refuses phases out of order, and names everything that is missing.
pub fn advance(
    rollout: &Rollout,
    actor: &Actor,
    target: &str,
    grounds: Grounds<'_>,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let Some(next) = target_phase(rollout, target)? else {
        return Ok(Vec::new());
    };
    let phase = require_running(rollout, "AdvanceRollout")?;
    let gate = rollout.end_gate().ok_or_else(|| Refusal::NoGate(phase.id.to_string()))?;
    let mut missing = missing_for(rollout, &gate, actor, grounds)?;
    missing.extend(missing_time_and_ramp(rollout, phase, now));
    missing.extend(missing_criteria(grounds.entry));
    if !missing.is_empty() {
        return Err(Refusal::NotReady { phase: next.id.to_string(), missing });
    }
    let digests = digests(grounds.approved, &[grounds.fresh, grounds.entry]);
    enter(rollout, next, gate.id.to_owned(), digests)
}

/// Everything that a gate and its approvals still lack.
pub(super) fn missing_for(
    rollout: &Rollout,
    gate: &EndGate<'_>,
    actor: &Actor,
    grounds: Grounds<'_>,
) -> Result<Vec<Missing>, Refusal> {
    check_report(rollout, gate.id, grounds.fresh)?;
    for seen in grounds.approved {
        check_evidence(gate.id, seen, grounds.fresh)?;
    }
    let mut missing: Vec<_> = missing_criteria(grounds.fresh).into_iter().collect();
    missing.extend(missing_approvals(rollout, gate, grounds.approved));
    let by_another = |approval: &crate::rollout::Approval| approval.actor != actor.subject;
    if !rollout.approvals.is_empty() && !rollout.approvals.iter().any(by_another) {
        let (gate, actor) = (gate.id.to_owned(), actor.subject.clone());
        missing.push(Missing::AnotherPerson { gate, actor });
    }
    Ok(missing)
}

/// The digests of everything a decision rests on.
pub(super) fn digests(approved: &[Report], judged: &[&Report]) -> Vec<String> {
    let mut digests: Vec<_> = approved.iter().map(|report| report.digest.clone()).collect();
    digests.extend(judged.iter().map(|report| report.digest.clone()));
    digests.sort();
    digests.dedup();
    digests
}

/// Checks the order of phases; `None` where the rollout is in the target.
fn target_phase<'a>(rollout: &'a Rollout, target: &str) -> Result<Option<&'a Phase>, Refusal> {
    let phases = &rollout.plan.plan.phases;
    if !phases.iter().any(|phase| phase.id.as_str() == target) {
        return Err(unknown_phase(rollout, target));
    }
    let current = rollout.phase().map(|phase| phase.id.as_str());
    if current == Some(target) && rollout.is_active() {
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

/// An approval counts only where the report it approved is at hand and was compared: a repetition
/// on a newer state may find approvals that nobody has looked at.
fn missing_approvals(
    rollout: &Rollout,
    gate: &EndGate<'_>,
    approved: &[Report],
) -> Option<Missing> {
    let compared = |digest: &str| approved.iter().any(|report| report.digest == digest);
    let mut roles = rollout.open_approvals();
    let unseen = rollout.approvals.iter().filter(|approval| !compared(&approval.report_digest));
    roles.extend(unseen.map(|approval| approval.role.clone()));
    (!roles.is_empty()).then(|| Missing::Approvals { gate: gate.id.to_owned(), roles })
}

pub(super) fn missing_time_and_ramp(
    rollout: &Rollout,
    phase: &Phase,
    now: Timestamp,
) -> Vec<Missing> {
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

/// Takes the next step of the ramp by hand: one person asks for it, another confirms it. Nothing to
/// do where it has been taken, or asked for by the same person. `blast_radius` is the digest of the
/// report of who would change with it; empty for none.
///
/// # Errors
/// Refuses other shares, steps before the hold time is over, and rises above the ramp rule.
pub fn ramp(
    rollout: &Rollout,
    actor: &Actor,
    to: BasisPoints,
    blast_radius: &str,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    require_running(rollout, "RampRollout")?;
    if to == rollout.exposure {
        return Ok(Vec::new());
    }
    check_step(rollout, to, now)?;
    let (rollout_name, blast_radius_digest) = (rollout.name.clone(), blast_radius.to_owned());
    match &rollout.proposed_step {
        Some(asked) if asked.exposure == to && asked.actor == actor.subject => Ok(Vec::new()),
        Some(asked) if asked.exposure == to => Ok(vec![Event::RampStepTaken {
            rollout: rollout_name,
            exposure: to,
            automatic: false,
            blast_radius_digest,
        }]),
        Some(_) | None => Ok(vec![Event::RampProposed {
            rollout: rollout_name,
            exposure: to,
            blast_radius_digest,
        }]),
    }
}

/// Takes the next step of the ramp as the plan says, by itself. Nothing to do while the current step
/// is being held, or where the plan wants a person. `thresholds_met`: every threshold of the phase
/// is met now, on data; anything else is no reason to go on.
#[must_use]
pub fn ramp_automatically(rollout: &Rollout, thresholds_met: bool, now: Timestamp) -> Vec<Event> {
    let due = ramp_is_due(rollout, now);
    due.filter(|_| thresholds_met).map_or_else(Vec::new, |exposure| {
        let (rollout, blast_radius_digest) = (rollout.name.clone(), String::new());
        vec![Event::RampStepTaken { rollout, exposure, automatic: true, blast_radius_digest }]
    })
}

/// The step that is to be taken now without a person, if thresholds allow it.
#[must_use]
pub fn ramp_is_due(rollout: &Rollout, now: Timestamp) -> Option<BasisPoints> {
    let next = rollout.next_step().filter(|_| rollout.state == State::Running)?;
    let by_itself = !rollout.next_step_is_manual() && rollout.firing.is_empty();
    (by_itself && check_step(rollout, next, now).is_ok()).then_some(next)
}

fn check_step(rollout: &Rollout, to: BasisPoints, now: Timestamp) -> Result<(), Refusal> {
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
    if left.is_zero() {
        return Ok(());
    }
    let broken = rollout.broken_thresholds.iter().cloned().collect();
    Err(Refusal::StillHeld { share: rollout.exposure, left, broken })
}

pub(super) fn check_ramp(from: BasisPoints, to: BasisPoints) -> Result<(), Refusal> {
    if from.may_become(to) {
        return Ok(());
    }
    Err(Refusal::RampRule { from, to, largest: from.largest_next() })
}

fn check_role(gate: &EndGate<'_>, actor: &Actor, role: &Role) -> Result<(), Refusal> {
    if !gate.approvers.contains(role) {
        return Err(Refusal::RoleNotAsked {
            gate: gate.id.to_owned(),
            role: role.clone(),
            roles: gate.approvers.to_vec(),
        });
    }
    if !actor.holds(role) {
        return Err(Refusal::RoleMissing { actor: actor.subject.clone(), role: role.clone() });
    }
    Ok(())
}

pub(super) fn check_report(rollout: &Rollout, gate: &str, seen: &Report) -> Result<(), Refusal> {
    if seen.gate_id != gate {
        return Err(Refusal::WrongGate { gate: gate.to_owned(), found: seen.gate_id.clone() });
    }
    if seen.generation != rollout.phase_generation {
        return Err(Refusal::StaleReport {
            gate: gate.to_owned(),
            found: seen.generation,
            current: rollout.phase_generation,
        });
    }
    Ok(())
}

fn check_evidence(gate: &str, seen: &Report, fresh: &Report) -> Result<(), Refusal> {
    let worse: Vec<_> = fresh.worse_than(seen).cloned().collect();
    if !worse.is_empty() {
        return Err(Refusal::EvidenceWorsened { gate: gate.to_owned(), items: worse });
    }
    for report in [seen, fresh] {
        if !report.is_met() {
            let items = report.open_items().cloned().collect();
            return Err(Refusal::GateNotMet { gate: gate.to_owned(), items });
        }
    }
    Ok(())
}
