//! Evolution: applies one event. Total: what happened is never refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use plan::Plan;
use vocab::{BasisPoints, Role, Timestamp};

use crate::event::Event;
use crate::rollback::DoneStep;
use crate::rollout::{
    Approval, Pause, PlanApproval, ProposedStep, Rollout, Rollouts, State, StoredPlan,
};

mod going_back;

/// When something happened, by whom, and where it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// The journal version.
    pub revision: u64,
}

impl Rollouts {
    /// Applies one event. Events of unknown rollouts or plans change nothing.
    pub fn apply(&mut self, event: &Event, stamp: &Stamp) {
        match event {
            Event::PlanStored { name, source } => self.apply_plan(name, source, stamp),
            Event::PlanApproved { name, role } => self.apply_plan_approval(name, role, stamp),
            Event::Created { rollout, plan_version, demo } => {
                self.apply_created(rollout, plan_version, *demo, stamp);
            }
            Event::PlanChanged { rollout, plan_version } => {
                let Some(plan) = self.plans.get(plan_version).cloned() else { return };
                self.with(rollout, stamp, |it| {
                    it.generation += 1;
                    it.plan_version.clone_from(plan_version);
                    it.plan = plan;
                    it.approvals.clear(); // They are of a gate of another plan.
                });
            }
            Event::TriggerSeen { firing, .. } => self.seen(firing.cursor),
            Event::HoldBroken { cursor, .. } | Event::HoldMended { cursor, .. } => {
                self.seen(*cursor);
            }
            Event::PhaseEntered { .. }
            | Event::GateApproved { .. }
            | Event::RampProposed { .. }
            | Event::RampStepTaken { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RollbackStarted { .. }
            | Event::RollbackStepDone { .. }
            | Event::PhaseReentered { .. }
            | Event::KillSwitchEngaged { .. }
            | Event::Noted { .. }
            | Event::PhaseOverdue { .. }
            | Event::GaAnnounced { .. }
            | Event::GaDeclared { .. }
            | Event::PostGaTaskDone { .. }
            | Event::Archived { .. }
            | Event::MetricsSampled { .. }
            | Event::GenerationApplied { .. } => {}
        }
        let Some(rollout) = event.rollout() else { return };
        if let Event::GenerationApplied { generation, .. } = event {
            // Not a change of what anybody asked for: an etag handed out before stays good.
            if let Some(it) = self.by_name.get_mut(rollout) {
                it.applied_generation = it.applied_generation.max(*generation);
            }
            return;
        }
        if let Event::MetricsSampled { .. } = event {
            if let Some(it) = self.by_name.get_mut(rollout) {
                it.sampled_at = stamp.time;
            }
            return;
        }
        self.with(rollout, stamp, |it| it.evolve(event, stamp));
    }

    fn seen(&mut self, cursor: u64) {
        self.trigger_cursor = self.trigger_cursor.max(cursor);
    }

    fn with(&mut self, rollout: &str, stamp: &Stamp, change: impl FnOnce(&mut Rollout)) {
        if let Some(rollout) = self.by_name.get_mut(rollout) {
            change(rollout);
            rollout.updated_at = stamp.time;
            rollout.revision = stamp.revision;
        }
    }

    fn apply_plan(&mut self, name: &str, source: &[u8], stamp: &Stamp) {
        let text = String::from_utf8_lossy(source);
        // Stored plans were valid; one that a later version would refuse is kept out of sight
        // rather than half-read.
        if let Ok((plan, warnings)) = Plan::parse(&text) {
            let stored = StoredPlan {
                source: source.to_vec(),
                plan,
                warnings: warnings.iter().map(ToString::to_string).collect(),
                created_at: stamp.time,
                actor: stamp.actor.clone(),
                approvals: Vec::new(),
            };
            self.plans.insert(name.to_owned(), Arc::new(stored));
        }
    }

    fn apply_plan_approval(&mut self, name: &str, role: &Role, stamp: &Stamp) {
        let Some(plan) = self.plans.get_mut(name) else { return };
        let approval =
            PlanApproval { actor: stamp.actor.clone(), role: role.clone(), at: stamp.time };
        Arc::make_mut(plan).approvals.push(approval);
        // Rollouts that follow it see the same plan, with its approvals.
        let plan = Arc::clone(plan);
        for rollout in self.by_name.values_mut().filter(|one| one.plan_version == name) {
            rollout.plan = Arc::clone(&plan);
        }
    }

    fn apply_created(&mut self, name: &str, plan_version: &str, demo: bool, stamp: &Stamp) {
        let Some(plan) = self.plans.get(plan_version) else { return };
        let rollout = Rollout {
            name: name.to_owned(),
            plan_version: plan_version.to_owned(),
            plan: Arc::clone(plan),
            state: State::Pending,
            phase_index: None,
            generation: 1,
            phase_generation: 0,
            rearm_generation: 0,
            applied_generation: 0,
            exposure: BasisPoints::ZERO,
            phase_entered_at: Timestamp::EPOCH,
            step_taken_at: Timestamp::EPOCH,
            step_active_time: Duration::ZERO,
            broken_thresholds: BTreeSet::new(),
            proposed_step: None,
            active_since: None,
            active_before: Duration::ZERO,
            approvals: Vec::new(),
            passed_gates: Vec::new(),
            pause: None,
            firing: BTreeSet::new(),
            rollback: None,
            overdue_told: false,
            ga_announced_at: None,
            ga_declared_at: None,
            post_ga_done: BTreeSet::new(),
            sampled_at: Timestamp::EPOCH,
            demo,
            created_at: stamp.time,
            updated_at: stamp.time,
            revision: stamp.revision,
        };
        self.by_name.insert(name.to_owned(), rollout);
    }
}

impl Rollout {
    /// Applies an event of this rollout that changes it alone.
    fn evolve(&mut self, event: &Event, stamp: &Stamp) {
        let now = stamp.time;
        match event {
            Event::PhaseEntered { phase_id, exposure, gate_id, .. } => {
                self.enter(phase_id, *exposure, now);
                self.start_clock(now);
                self.state = State::Running;
                if !gate_id.is_empty() {
                    self.passed_gates.push(gate_id.clone());
                }
            }
            Event::GateApproved { role, report_digest, blast_radius_digest, .. } => {
                self.approve(role, report_digest, blast_radius_digest, stamp);
            }
            Event::RampProposed { exposure, .. } => {
                let (exposure, actor) = (*exposure, stamp.actor.clone());
                self.proposed_step = Some(ProposedStep { exposure, actor });
            }
            Event::RampStepTaken { exposure, .. } => self.step(*exposure, now),
            Event::HoldBroken { threshold_id, .. } => {
                self.broken_thresholds.insert(threshold_id.clone());
            }
            Event::HoldMended { threshold_id, .. } => {
                self.broken_thresholds.remove(threshold_id);
                self.step_active_time = self.active_time(now); // Holding begins anew.
            }
            Event::Paused { reason, global, trigger_id, .. } => {
                self.apply_pause(reason, *global, trigger_id, now);
            }
            Event::Resumed { .. } => self.apply_resume(now),
            Event::TriggerSeen { firing, .. } => self.note_firing(firing),
            Event::RollbackStarted { .. } => self.begin_rollback(event, now),
            Event::RollbackStepDone { rollback_id, step_id, detail, evidence, .. } => {
                self.tick_off(rollback_id, DoneStep::new(step_id, detail, evidence, stamp));
            }
            Event::PhaseReentered { phase_id, exposure, .. } => {
                self.reenter(phase_id, *exposure, now);
            }
            Event::KillSwitchEngaged { epoch, .. } => self.note_kill(*epoch),
            Event::PhaseOverdue { .. } => self.overdue_told = true,
            Event::GaAnnounced { .. } => self.ga_announced_at = Some(now),
            Event::GaDeclared { .. } => {
                self.generation += 1;
                self.ga_declared_at = Some(now);
            }
            Event::PostGaTaskDone { task_id, .. } => {
                self.post_ga_done.insert(task_id.clone());
            }
            Event::Archived { .. } => {
                self.stop_clock(now);
                self.state = State::Archived;
            }
            // A note is read from the journal; the others are not of one rollout alone.
            Event::Noted { .. }
            | Event::PlanStored { .. }
            | Event::PlanApproved { .. }
            | Event::Created { .. }
            | Event::PlanChanged { .. }
            | Event::MetricsSampled { .. }
            | Event::GenerationApplied { .. } => {}
        }
    }

    fn approve(&mut self, role: &Role, report: &str, blast_radius: &str, stamp: &Stamp) {
        self.generation += 1;
        self.approvals.push(Approval {
            actor: stamp.actor.clone(),
            role: role.clone(),
            report_digest: report.to_owned(),
            blast_radius_digest: blast_radius.to_owned(),
            at: stamp.time,
        });
    }

    fn step(&mut self, exposure: BasisPoints, now: Timestamp) {
        self.generation += 1;
        self.exposure = exposure;
        self.step_taken_at = now;
        self.step_active_time = self.active_time(now);
        self.proposed_step = None;
    }

    /// Begins a stay in a phase: nothing of an earlier one counts.
    fn enter(&mut self, phase_id: &str, exposure: BasisPoints, now: Timestamp) {
        let phases = &self.plan.plan.phases;
        self.phase_index = phases.iter().position(|phase| phase.id.as_str() == phase_id);
        self.generation += 1;
        self.phase_generation = self.generation;
        self.exposure = exposure;
        self.phase_entered_at = now;
        self.step_taken_at = now;
        self.step_active_time = Duration::ZERO;
        self.active_since = None;
        self.active_before = Duration::ZERO;
        self.broken_thresholds.clear();
        self.proposed_step = None;
        self.approvals.clear();
        self.firing.clear();
        self.overdue_told = false;
    }

    fn start_clock(&mut self, now: Timestamp) {
        self.active_since = Some(now);
    }

    fn stop_clock(&mut self, now: Timestamp) {
        self.active_before = self.active_time(now);
        self.active_since = None;
    }

    /// Stops clock and ramp. No latent promotion survives it.
    fn hold_still(&mut self, now: Timestamp, pause: Pause) {
        self.stop_clock(now);
        self.approvals.clear();
        self.proposed_step = None;
        self.pause = Some(pause);
    }
}
