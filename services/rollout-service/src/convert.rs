//! Between the wire and the core.

use std::time::Duration;

use contracts::gate as gate_pb;
use contracts::rollout as pb;
use plan::{Exclusion, ExclusionTest, MatrixRow, Plan};
use rollout_core::{Item, Report, Rollback, Rollout, Standing, State, StoredPlan};
use service_kit::wire::{etag, signed, wire_time};
use store::{Hash, Record};
use vocab::{Role, Timestamp};

mod event;

pub(crate) use event::{event, stored};

fn wire_duration(duration: Duration) -> Option<prost_types::Duration> {
    duration.try_into().ok()
}

fn names(roles: &[Role]) -> Vec<String> {
    roles.iter().map(ToString::to_string).collect()
}

pub(crate) fn plan_version(name: &str, stored: &StoredPlan) -> pb::PlanVersion {
    let approvals = stored.approvals.iter().map(|approval| pb::PlanApproval {
        actor: approval.actor.clone(),
        role: approval.role.to_string(),
        create_time: Some(wire_time(approval.at)),
    });
    pb::PlanVersion {
        name: name.to_owned(),
        source: stored.source.clone(),
        digest: Hash::of(&stored.source).to_string(),
        warnings: stored.warnings.clone(),
        create_time: Some(wire_time(stored.created_at)),
        actor: stored.actor.clone(),
        approvals: approvals.collect(),
        open_approval_roles: names(&stored.open_approvals()),
    }
}

const fn wire_state(state: State) -> pb::rollout::State {
    match state {
        State::Pending => pb::rollout::State::Pending,
        State::Running => pb::rollout::State::Running,
        State::Paused => pb::rollout::State::Paused,
        State::RollingBack => pb::rollout::State::RollingBack,
        State::Archived => pb::rollout::State::Archived,
    }
}

/// A rollout as callers see it at `now`.
pub(crate) fn rollout(rollout: &Rollout, now: Timestamp) -> pb::Rollout {
    let plan = &rollout.plan.plan;
    let phase = rollout.phase();
    let gate = rollout.end_gate();
    let shown = pb::Rollout {
        name: rollout.name.clone(),
        plan_version: rollout.plan_version.clone(),
        pipeline: plan.pipeline.to_string(),
        flag: format!("flags/{}", plan.flag),
        state: wire_state(rollout.state).into(),
        phase_id: phase.map_or_else(String::new, |phase| phase.id.to_string()),
        phase_display_name: phase.map_or_else(String::new, |phase| phase.name.clone()),
        generation: signed(rollout.generation),
        phase_start_time: phase.map(|_| wire_time(rollout.phase_entered_at)),
        active_duration: wire_duration(rollout.active_time(now)),
        remaining_duration: wire_duration(rollout.remaining_time(now)),
        exposure_basis_points: rollout.exposure.get().into(),
        gate: gate.map_or_else(String::new, |gate| format!("{}/gates/{}", rollout.name, gate.id)),
        approvals: approvals(rollout),
        next_phase_id: rollout.next_phase().map_or_else(String::new, |next| next.id.to_string()),
        next_step_basis_points: rollout.next_step().map_or(0, |share| share.get().into()),
        reconciling: rollout.applied_generation < rollout.generation,
        demo: rollout.demo,
        create_time: Some(wire_time(rollout.created_at)),
        update_time: Some(wire_time(rollout.updated_at)),
        etag: etag(rollout.revision),
        ..pb::Rollout::default()
    };
    with_what_stops_it(with_what_is_left(shown, rollout, now), rollout)
}

fn approvals(rollout: &Rollout) -> Vec<pb::Approval> {
    let approvals = rollout.approvals.iter().map(|approval| pb::Approval {
        actor: approval.actor.clone(),
        role: approval.role.to_string(),
        report_digest: approval.report_digest.clone(),
        create_time: Some(wire_time(approval.at)),
        blast_radius_digest: approval.blast_radius_digest.clone(),
    });
    approvals.collect()
}

fn with_what_is_left(shown: pb::Rollout, rollout: &Rollout, now: Timestamp) -> pb::Rollout {
    let proposed = rollout.proposed_step.as_ref();
    pb::Rollout {
        remaining_hold_duration: wire_duration(rollout.remaining_hold(now)),
        broken_thresholds: rollout.broken_thresholds.iter().cloned().collect(),
        next_step_manual: rollout.next_step_is_manual(),
        proposed_step_basis_points: proposed.map_or(0, |step| step.exposure.get().into()),
        proposed_step_actor: proposed.map_or_else(String::new, |step| step.actor.clone()),
        open_approval_roles: names(&rollout.open_approvals()),
        overdue: rollout.is_overdue(now),
        ga_announce_time: rollout.ga_announced_at.map(wire_time),
        ga_declare_time: rollout.ga_declared_at.map(wire_time),
        post_ga_tasks: post_ga_tasks(rollout),
        ..shown
    }
}

fn with_what_stops_it(shown: pb::Rollout, rollout: &Rollout) -> pb::Rollout {
    let pause = rollout.pause.as_ref();
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    pb::Rollout {
        pause_reason: text(pause.map(|pause| &pause.reason)),
        pause_global: pause.is_some_and(|pause| pause.global),
        pause_trigger: text(pause.map(|pause| &pause.trigger_id)),
        kill_epoch: signed(pause.and_then(|pause| pause.kill_epoch).unwrap_or(0)),
        firing_triggers: rollout.firing.iter().cloned().collect(),
        rollback: rollout.rollback.as_ref().map(|one| wire_rollback(one, &rollout.plan.plan)),
        ..shown
    }
}

fn wire_rollback(rollback: &Rollback, plan: &Plan) -> pb::Rollback {
    let steps = plan.rollback_steps.iter().map(|step| {
        let done = rollback.done.iter().find(|done| done.id == step.id.as_str());
        pb::RollbackStep {
            step_id: step.id.to_string(),
            title: step.title.clone(),
            by_system: step.by_system,
            complete_time: done.map(|done| wire_time(done.at)),
            actor: done.map_or_else(String::new, |done| done.actor.clone()),
            detail: done.map_or_else(String::new, |done| done.detail.clone()),
            evidence: done.map_or_else(String::new, |done| done.evidence.clone()),
        }
    });
    pb::Rollback {
        rollback_id: rollback.id.clone(),
        to_first: rollback.action == plan::TriggerAction::RollbackToFirst,
        from_phase_id: rollback.from_phase_id.clone(),
        to_phase_id: rollback.to_phase_id.clone(),
        reason: rollback.reason.clone(),
        trigger: rollback.trigger_id.clone(),
        start_time: Some(wire_time(rollback.started_at)),
        steps: steps.collect(),
    }
}

fn post_ga_tasks(rollout: &Rollout) -> Vec<pb::PostGaTask> {
    let tasks = rollout.plan.plan.post_ga.iter().map(|task| pb::PostGaTask {
        task_id: task.id.to_string(),
        title: task.title.clone(),
        due_time: rollout.ga_declared_at.map(|declared| wire_time(declared.plus(task.due_after))),
        done: rollout.post_ga_done.contains(task.id.as_str()),
    });
    tasks.collect()
}

/// A line of the timeline; `None` for what only the services have to know.
pub(crate) fn timeline_entry(record: &Record, rollout: &str) -> Option<pb::TimelineEntry> {
    let event = event(crate::state::decode(record).ok()?).ok()?;
    let bookkeeping = matches!(
        event,
        rollout_core::Event::GenerationApplied { .. } | rollout_core::Event::MetricsSampled { .. }
    );
    (event.rollout() == Some(rollout) && !bookkeeping).then(|| pb::TimelineEntry {
        revision: signed(record.version),
        occur_time: Some(wire_time(record.time)),
        actor: record.actor.subject.clone(),
        text: event.describe(),
        reason: record.reason.clone(),
        kind: record.kind.clone(),
        traceparent: record.traceparent.clone(),
    })
}

pub(crate) fn matrix_row(row: &MatrixRow) -> pb::MatrixRow {
    let advice =
        if row.rollback { pb::matrix_row::Advice::RollBack } else { pb::matrix_row::Advice::Pause };
    pb::MatrixRow {
        row_id: row.id.to_string(),
        condition: row.condition.clone(),
        duration: row.duration.clone(),
        advice: advice.into(),
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
