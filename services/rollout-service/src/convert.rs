//! Between the wire, the journal and the core.

use std::time::Duration;

use contracts::gate as gate_pb;
use contracts::rollout as pb;
use contracts::rollout::rollout_event::Kind;
use plan::{Exclusion, ExclusionTest};
use rollout_core::{Event, Item, Report, Rollout, Standing, State, StoredPlan};
use service_kit::wire::{etag, signed, wire_time};
use store::Hash;
use vocab::{BasisPoints, Role, Timestamp};

fn wire_duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

pub(crate) fn plan_version(name: &str, stored: &StoredPlan) -> pb::PlanVersion {
    pb::PlanVersion {
        name: name.to_owned(),
        source: stored.source.clone(),
        digest: Hash::of(&stored.source).to_string(),
        warnings: stored.warnings.clone(),
        create_time: Some(wire_time(stored.created_at)),
        actor: stored.actor.clone(),
    }
}

/// A rollout as callers see it at `now`.
pub(crate) fn rollout(rollout: &Rollout, now: Timestamp) -> pb::Rollout {
    let plan = &rollout.plan.plan;
    let phase = rollout.phase();
    let gate = phase.and_then(|phase| phase.gate.as_ref());
    let state = match rollout.state {
        State::Pending => pb::rollout::State::Pending,
        State::Running => pb::rollout::State::Running,
        State::Paused => pb::rollout::State::Paused,
    };
    let approvals = rollout.approvals.iter().map(|approval| pb::Approval {
        actor: approval.actor.clone(),
        role: approval.role.to_string(),
        report_digest: approval.report_digest.clone(),
        create_time: Some(wire_time(approval.at)),
    });
    pb::Rollout {
        name: rollout.name.clone(),
        plan_version: rollout.plan_version.clone(),
        pipeline: plan.pipeline.to_string(),
        flag: format!("flags/{}", plan.flag),
        state: state.into(),
        phase_id: phase.map_or_else(String::new, |phase| phase.id.to_string()),
        phase_display_name: phase.map_or_else(String::new, |phase| phase.name.clone()),
        generation: signed(rollout.generation),
        phase_start_time: phase.map(|_| wire_time(rollout.phase_entered_at)),
        active_duration: wire_duration(rollout.active_time(now)),
        remaining_duration: wire_duration(rollout.remaining_time(now)),
        exposure_basis_points: rollout.exposure.get().into(),
        gate: gate.map_or_else(String::new, |gate| format!("{}/gates/{}", rollout.name, gate.id)),
        approvals: approvals.collect(),
        next_phase_id: rollout.next_phase().map_or_else(String::new, |next| next.id.to_string()),
        next_step_basis_points: rollout.next_step().map_or(0, |share| share.get().into()),
        reconciling: rollout.applied_generation < rollout.generation,
        pause_reason: rollout.pause_reason.clone(),
        demo: rollout.demo,
        create_time: Some(wire_time(rollout.created_at)),
        update_time: Some(wire_time(rollout.updated_at)),
        etag: etag(rollout.revision),
    }
}

/// Reads a report of the gate service. What is not said is read as not known.
pub(crate) fn report(wire: &gate_pb::GateReport) -> Report {
    let standing = |verdict| match verdict {
        gate_pb::Verdict::Pass => Standing::Passed,
        gate_pb::Verdict::Fail => Standing::Failed,
        gate_pb::Verdict::Inconclusive | gate_pb::Verdict::Unspecified => Standing::Inconclusive,
    };
    let items = wire.criteria.iter().map(|criterion| Item {
        criterion_id: criterion.criterion_id.clone(),
        title: criterion.title.clone(),
        standing: standing(criterion.verdict()),
        reason: criterion.reason.clone(),
        roles: criterion.roles.iter().filter_map(|role| Role::new(role).ok()).collect(),
    });
    Report {
        digest: wire.digest.clone(),
        gate_id: wire.gate.rsplit('/').next().unwrap_or_default().to_owned(),
        generation: u64::try_from(wire.generation).unwrap_or(0),
        standing: standing(wire.verdict()),
        items: items.collect(),
    }
}

pub(crate) fn wire_exclusion(exclusion: &Exclusion) -> contracts::flag::Exclusion {
    use contracts::flag::exclusion::Test;
    contracts::flag::Exclusion {
        attribute: exclusion.attribute.clone(),
        test: Some(match &exclusion.test {
            ExclusionTest::Equals(text) => Test::Equals(text.clone()),
            ExclusionTest::Above(bound) => Test::Above(*bound),
        }),
    }
}

fn share(basis_points: i32) -> Result<BasisPoints, String> {
    BasisPoints::new(basis_points.into()).map_err(|why| why.to_string())
}

/// Reads an event from the journal.
pub(crate) fn event(stored: pb::RolloutEvent) -> Result<Event, String> {
    let rollout = stored.rollout;
    Ok(match stored.kind.ok_or("an event of a kind this version does not know")? {
        Kind::PlanStored(pb::PlanStored { name, source }) => Event::PlanStored { name, source },
        Kind::RolloutCreated(pb::RolloutCreated { plan_version, demo }) => {
            Event::Created { rollout, plan_version, demo }
        }
        Kind::PhaseEntered(entered) => Event::PhaseEntered {
            rollout,
            phase_id: entered.phase_id,
            exposure: share(entered.exposure_basis_points)?,
            left_phase_id: entered.left_phase_id,
            gate_id: entered.gate_id,
            report_digests: entered.report_digests,
        },
        Kind::GateApproved(pb::GateApproved { gate_id, role, report_digest }) => {
            let role = Role::new(&role).map_err(|why| why.to_string())?;
            Event::GateApproved { rollout, gate_id, role, report_digest }
        }
        Kind::RampStepTaken(step) => {
            Event::RampStepTaken { rollout, exposure: share(step.exposure_basis_points)? }
        }
        Kind::RolloutPaused(pb::RolloutPaused { reason }) => Event::Paused { rollout, reason },
        Kind::RolloutResumed(pb::RolloutResumed { reason }) => Event::Resumed { rollout, reason },
        Kind::GenerationApplied(pb::GenerationApplied { generation }) => {
            let generation = u64::try_from(generation).map_err(|error| error.to_string())?;
            Event::GenerationApplied { rollout, generation }
        }
    })
}

/// The storage form of an event.
pub(crate) fn stored(event: &Event) -> pb::RolloutEvent {
    let (rollout, kind) = match event.clone() {
        Event::PlanStored { name, source } => {
            (String::new(), Kind::PlanStored(pb::PlanStored { name, source }))
        }
        Event::Created { rollout, plan_version, demo } => {
            (rollout, Kind::RolloutCreated(pb::RolloutCreated { plan_version, demo }))
        }
        Event::PhaseEntered {
            rollout,
            phase_id,
            exposure,
            left_phase_id,
            gate_id,
            report_digests,
        } => {
            let exposure_basis_points = exposure.get().into();
            let entered = pb::PhaseEntered {
                phase_id,
                exposure_basis_points,
                left_phase_id,
                gate_id,
                report_digests,
            };
            (rollout, Kind::PhaseEntered(entered))
        }
        Event::GateApproved { rollout, gate_id, role, report_digest } => {
            let role = role.to_string();
            (rollout, Kind::GateApproved(pb::GateApproved { gate_id, role, report_digest }))
        }
        Event::RampStepTaken { rollout, exposure } => {
            let exposure_basis_points = exposure.get().into();
            (rollout, Kind::RampStepTaken(pb::RampStepTaken { exposure_basis_points }))
        }
        Event::Paused { rollout, reason } => {
            (rollout, Kind::RolloutPaused(pb::RolloutPaused { reason }))
        }
        Event::Resumed { rollout, reason } => {
            (rollout, Kind::RolloutResumed(pb::RolloutResumed { reason }))
        }
        Event::GenerationApplied { rollout, generation } => {
            let generation = signed(generation);
            (rollout, Kind::GenerationApplied(pb::GenerationApplied { generation }))
        }
    };
    pb::RolloutEvent { rollout, kind: Some(kind) }
}
