//! What the world must be told of a rollout: everything needed, no choices left.

use vocab::{BasisPoints, FlagKey, PhaseId, PipelineId, Timestamp};

use plan::{FlagForm, Limits};

use crate::rollout::{Rollout, State};

/// What flag and gate are told. Repeating it is harmless: it is ordered by its generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The rollout.
    pub rollout: String,
    /// Orders applications.
    pub generation: u64,
    /// Orders phases entered: evidence is counted afresh when it rises.
    pub phase_generation: u64,
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
        paused: rollout.state == State::Paused,
    });
    Some(Application {
        rollout: rollout.name.clone(),
        generation: rollout.generation,
        phase_generation: rollout.phase_generation.max(1),
        pipeline: plan.pipeline.clone(),
        plan_source: rollout.plan.source.clone(),
        passed_gates: passed_gates(rollout),
        flag,
    })
}

/// Gates passed, the current phase's included once everybody has approved it.
fn passed_gates(rollout: &Rollout) -> Vec<String> {
    let mut passed = rollout.passed_gates.clone();
    if let Some(gate) = rollout.phase().and_then(|phase| phase.gate.as_ref())
        && rollout.open_approvals(gate).is_empty()
    {
        passed.push(gate.id.to_string());
    }
    passed
}
