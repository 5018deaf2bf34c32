//! Evolution: applies one event. Total: what happened is never refused.

use std::sync::Arc;
use std::time::Duration;

use plan::Plan;
use vocab::{BasisPoints, Timestamp};

use crate::rollout::{Approval, Event, Rollout, Rollouts, State, StoredPlan};

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
            Event::Created { rollout, plan_version, demo } => {
                self.apply_created(rollout, plan_version, *demo, stamp);
            }
            Event::PhaseEntered { rollout, phase_id, exposure, gate_id, .. } => {
                self.with(rollout, stamp, |it| it.enter(phase_id, *exposure, gate_id, stamp.time));
            }
            Event::GateApproved { rollout, role, report_digest, .. } => {
                self.with(rollout, stamp, |it| {
                    it.generation += 1;
                    it.approvals.push(Approval {
                        actor: stamp.actor.clone(),
                        role: role.clone(),
                        report_digest: report_digest.clone(),
                        at: stamp.time,
                    });
                });
            }
            Event::RampStepTaken { rollout, exposure } => self.with(rollout, stamp, |it| {
                it.generation += 1;
                it.exposure = *exposure;
                it.step_taken_at = stamp.time;
                it.step_active_time = it.active_time(stamp.time);
            }),
            Event::Paused { rollout, reason } => self.with(rollout, stamp, |it| {
                it.generation += 1;
                it.active_before = it.active_time(stamp.time);
                it.active_since = None;
                it.state = State::Paused;
                it.pause_reason.clone_from(reason);
                it.approvals.clear(); // No latent promotion survives a pause.
            }),
            Event::Resumed { rollout, .. } => self.with(rollout, stamp, |it| {
                it.generation += 1;
                it.active_since = Some(stamp.time);
                it.state = State::Running;
                it.pause_reason.clear();
            }),
            Event::GenerationApplied { rollout, generation } => {
                // Not a change of what anybody asked for: an etag handed out before stays good.
                if let Some(it) = self.by_name.get_mut(rollout) {
                    it.applied_generation = it.applied_generation.max(*generation);
                }
            }
        }
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
            };
            self.plans.insert(name.to_owned(), Arc::new(stored));
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
            applied_generation: 0,
            exposure: BasisPoints::ZERO,
            phase_entered_at: Timestamp::EPOCH,
            step_taken_at: Timestamp::EPOCH,
            step_active_time: Duration::ZERO,
            active_since: None,
            active_before: Duration::ZERO,
            approvals: Vec::new(),
            passed_gates: Vec::new(),
            pause_reason: String::new(),
            demo,
            created_at: stamp.time,
            updated_at: stamp.time,
            revision: stamp.revision,
        };
        self.by_name.insert(name.to_owned(), rollout);
    }
}

impl Rollout {
    fn enter(&mut self, phase_id: &str, exposure: BasisPoints, gate_id: &str, now: Timestamp) {
        let phases = &self.plan.plan.phases;
        self.phase_index = phases.iter().position(|phase| phase.id.as_str() == phase_id);
        self.state = State::Running;
        self.generation += 1;
        self.phase_generation = self.generation;
        self.exposure = exposure;
        self.phase_entered_at = now;
        self.step_taken_at = now;
        self.step_active_time = Duration::ZERO;
        self.active_since = Some(now);
        self.active_before = Duration::ZERO;
        self.approvals.clear();
        if !gate_id.is_empty() {
            self.passed_gates.push(gate_id.to_owned());
        }
    }
}
