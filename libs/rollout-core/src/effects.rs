//! What the world must be told of a rollout: everything needed, no choices left.

use vocab::{BasisPoints, FlagKey, PhaseId, PipelineId, Timestamp};

use plan::{FlagForm, Limits};

use crate::rollback::SystemStep;
use crate::rollout::{Rollout, State};

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Engage the kill switch of the pipeline; record that it is.
    EngageKillSwitch {
        /// The pipeline.
        pipeline: PipelineId,
        /// Why.
        reason: String,
        /// The rollback it is a step of; `None` for a global pause.
        rollback_id: Option<String>,
    },
    /// Tell flag, gate and kill switch; record that they know.
    Apply(Box<Application>),
    /// Do a step of a rollback that needs nobody but us; record that it is done.
    Step {
        /// The rollback.
        rollback_id: String,
        /// The step.
        step: SystemStep,
    },
    /// Decide that the flag goes back.
    Reenter {
        /// The rollback.
        rollback_id: String,
    },
}

/// The next thing to be done for a rollout; `None` where nothing is. Each is safe to repeat, and is
/// not named again once what it did is recorded. What stops work comes first.
#[must_use]
pub fn next_effect(rollout: &Rollout) -> Option<Effect> {
    if let Some(effect) = stopping(rollout) {
        return Some(effect);
    }
    if let Some(application) = pending_application(rollout) {
        return Some(Effect::Apply(Box::new(application)));
    }
    let rollback = rollout.rollback.as_ref().filter(|_| rollout.state == State::RollingBack)?;
    let rollback_id = rollback.id.clone();
    let step = rollback.next_system_step(&rollout.plan.plan)?;
    if step == SystemStep::RollBackFlag && !rollback.reentered {
        return Some(Effect::Reenter { rollback_id });
    }
    Some(Effect::Step { rollback_id, step })
}

/// The kill switch, for a rollback or a global pause.
fn stopping(rollout: &Rollout) -> Option<Effect> {
    let pause = rollout.pause.as_ref().filter(|pause| pause.global)?;
    let engage = |rollback_id| Effect::EngageKillSwitch {
        pipeline: rollout.plan.plan.pipeline.clone(),
        reason: pause.reason.clone(),
        rollback_id,
    };
    if rollout.state == State::RollingBack {
        let rollback = rollout.rollback.as_ref()?;
        let next = rollback.next_system_step(&rollout.plan.plan);
        let now = next == Some(SystemStep::ActivateKillSwitch);
        return now.then(|| engage(Some(rollback.id.clone())));
    }
    let of_pause = rollout.state == State::Paused && rollout.rollback_in_force().is_none();
    (of_pause && pause.kill_epoch.is_none()).then(|| engage(None))
}

/// What flag and gate are told. Repeating it is harmless: it is ordered by its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The rollout.
    pub rollout: String,
    /// Orders applications.
    pub generation: u64,
    /// Orders phases entered: evidence is counted afresh when it rises.
    pub phase_generation: u64,
    /// The generation in which it last went on: what had fired before is armed anew.
    pub rearm_generation: u64,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The plan file, verbatim.
    pub plan_source: Vec<u8>,
    /// Gates passed and approved so far.
    pub passed_gates: Vec<String>,
    /// What the flag becomes; `None` before the first phase.
    pub flag: Option<FlagApplication>,
}

/// What the flag becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagApplication {
    /// The flag.
    pub flag: FlagKey,
    /// The phase.
    pub phase: PhaseId,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// Who is on, as the phase says.
    pub form: FlagForm,
    /// The share that is on by percentage now.
    pub exposure: BasisPoints,
    /// Limits on uploads.
    pub limits: Limits,
    /// Whether new uploads of the cohort are deferred.
    pub paused: bool,
}

/// What flag and gate have yet to be told; `None` where they know everything.
#[must_use]
pub fn pending_application(rollout: &Rollout) -> Option<Application> {
    if rollout.applied_generation >= rollout.generation {
        return None;
    }
    let plan = &rollout.plan.plan;
    let flag = rollout.phase().map(|phase| FlagApplication {
        flag: plan.flag.clone(),
        phase: phase.id.clone(),
        entered_at: rollout.phase_entered_at,
        form: phase.flag.clone(),
        exposure: rollout.exposure,
        limits: phase.limits.clone(),
        paused: matches!(rollout.state, State::Paused | State::RollingBack),
    });
    Some(Application {
        rollout: rollout.name.clone(),
        generation: rollout.generation,
        phase_generation: rollout.phase_generation.max(1),
        rearm_generation: rollout.rearm_generation,
        pipeline: plan.pipeline.clone(),
        plan_source: rollout.plan.source.clone(),
        passed_gates: passed_gates(rollout),
        flag,
    })
}

/// Gates passed, the current phase's included once everybody has approved it.
fn passed_gates(rollout: &Rollout) -> Vec<String> {
    let mut passed = rollout.passed_gates.clone();
    if let Some(gate) = rollout.end_gate()
        && rollout.open_approvals().is_empty()
    {
        passed.push(gate.id.to_owned());
    }
    passed
}
