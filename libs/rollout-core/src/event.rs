//! What can happen to a rollout.

use plan::TriggerAction;
use vocab::{BasisPoints, Role};

use crate::trigger::{Firing, Outcome};

/// How a pipeline did over the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Uploads with a final outcome.
    pub uploads: u64,
    /// Failed ones, in parts per million; `None` where nothing can be said.
    pub error_rate_ppm: Option<u64>,
    /// The 99th percentile of their latency, in milliseconds; `None` where nothing can be said.
    pub latency_p99_ms: Option<u64>,
}

/// What happened. Every event but those of plans names its rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A plan file was stored.
    PlanStored {
        /// Resource name of the plan version.
        name: String,
        /// The file.
        source: Vec<u8>,
    },
    /// A plan version was approved in one role.
    PlanApproved {
        /// Resource name of the plan version.
        name: String,
        /// The role.
        role: Role,
    },
    /// A rollout was created.
    Created {
        /// The rollout.
        rollout: String,
        /// The plan it follows.
        plan_version: String,
        /// Whether it runs on a demo clock.
        demo: bool,
    },
    /// A rollout goes on by another version of its plan.
    PlanChanged {
        /// The rollout.
        rollout: String,
        /// The plan it follows from now on.
        plan_version: String,
    },
    /// A phase was entered.
    PhaseEntered {
        /// The rollout.
        rollout: String,
        /// The phase.
        phase_id: String,
        /// The share that is now on by percentage.
        exposure: BasisPoints,
        /// The phase left; empty for the first.
        left_phase_id: String,
        /// The gate that was passed; empty for the first phase.
        gate_id: String,
        /// Digests of the reports that allowed it.
        report_digests: Vec<String>,
    },
    /// A gate was approved in one role.
    GateApproved {
        /// The rollout.
        rollout: String,
        /// The gate.
        gate_id: String,
        /// The role.
        role: Role,
        /// The report approved.
        report_digest: String,
        /// The report of who would change, seen with it; empty for none.
        blast_radius_digest: String,
    },
    /// Somebody asks for a step of the ramp by hand; another person must confirm it.
    RampProposed {
        /// The rollout.
        rollout: String,
        /// The share asked for.
        exposure: BasisPoints,
        /// The report of who would change with it; empty for none.
        blast_radius_digest: String,
    },
    /// A step of the ramp was taken.
    RampStepTaken {
        /// The rollout.
        rollout: String,
        /// The share that is now on by percentage.
        exposure: BasisPoints,
        /// Whether the plan took it by itself.
        automatic: bool,
        /// The report of who would change with it; empty for a step of the plan.
        blast_radius_digest: String,
    },
    /// A threshold is not met any more: the current step is not being held.
    HoldBroken {
        /// The rollout.
        rollout: String,
        /// The threshold.
        threshold_id: String,
        /// Where the gate service's stream stands.
        cursor: u64,
    },
    /// A threshold is met again: where no other is broken, holding begins anew.
    HoldMended {
        /// The rollout.
        rollout: String,
        /// The threshold.
        threshold_id: String,
        /// Where the gate service's stream stands.
        cursor: u64,
    },
    /// The rollout was paused, or its pause became wider.
    Paused {
        /// The rollout.
        rollout: String,
        /// Why.
        reason: String,
        /// Whether the kill switch is engaged as well.
        global: bool,
        /// The trigger that asked for it; empty where a person did.
        trigger_id: String,
    },
    /// The rollout was resumed.
    Resumed {
        /// The rollout.
        rollout: String,
        /// Why it is safe.
        reason: String,
        /// The evidence that the resume criterion is met, a link; may be empty.
        evidence: String,
        /// Triggers that fire on and were overridden.
        overridden: Vec<String>,
    },
    /// Something that is watched changed, and this came of it.
    TriggerSeen {
        /// The rollout.
        rollout: String,
        /// What changed.
        firing: Firing,
        /// What came of it.
        outcome: Outcome,
    },
    /// A rollback began.
    RollbackStarted {
        /// The rollout.
        rollout: String,
        /// Identifies the rollback within the rollout.
        rollback_id: String,
        /// How far it goes.
        action: TriggerAction,
        /// The phase left.
        from_phase_id: String,
        /// The phase it goes back to.
        to_phase_id: String,
        /// Why.
        reason: String,
        /// The trigger that asked for it; empty where a person did.
        trigger_id: String,
    },
    /// A step of a rollback's checklist is done.
    RollbackStepDone {
        /// The rollout.
        rollout: String,
        /// The rollback.
        rollback_id: String,
        /// The step.
        step_id: String,
        /// What came of it, in words.
        detail: String,
        /// The evidence, a link; empty for steps of the system.
        evidence: String,
        /// What the step wrote, e.g. the captured state as JSON; empty for most.
        artifact: Vec<u8>,
    },
    /// The flag goes back to a phase, which starts afresh.
    PhaseReentered {
        /// The rollout.
        rollout: String,
        /// The rollback.
        rollback_id: String,
        /// The phase.
        phase_id: String,
        /// The share that is now on by percentage.
        exposure: BasisPoints,
    },
    /// The kill switch was engaged for a global pause.
    KillSwitchEngaged {
        /// The rollout.
        rollout: String,
        /// The epoch in which it was.
        epoch: u64,
    },
    /// Somebody added to the timeline.
    Noted {
        /// The rollout.
        rollout: String,
        /// What.
        text: String,
    },
    /// The phase has lasted for longer than planned. Changes nothing else.
    PhaseOverdue {
        /// The rollout.
        rollout: String,
        /// The phase.
        phase_id: String,
    },
    /// The announcement of general availability goes out.
    GaAnnounced {
        /// The rollout.
        rollout: String,
        /// The report that shows that nothing but the announcement is missing.
        report_digest: String,
    },
    /// General availability was declared.
    GaDeclared {
        /// The rollout.
        rollout: String,
        /// Digests of the reports that allowed it.
        report_digests: Vec<String>,
    },
    /// A task of the time after the declaration is done.
    PostGaTaskDone {
        /// The rollout.
        rollout: String,
        /// The task.
        task_id: String,
        /// The evidence, a link.
        evidence: String,
    },
    /// The rollout is over; its flag can be moved by another.
    Archived {
        /// The rollout.
        rollout: String,
        /// Why.
        reason: String,
    },
    /// How the pipeline does, written down now and then for the dossier. Decides nothing.
    MetricsSampled {
        /// The rollout.
        rollout: String,
        /// What was measured.
        sample: Sample,
    },
    /// Flag and gate were told of a generation.
    GenerationApplied {
        /// The rollout.
        rollout: String,
        /// The generation.
        generation: u64,
    },
}

impl Event {
    /// The rollout it happened to; `None` for events of plans.
    #[must_use]
    pub fn rollout(&self) -> Option<&str> {
        match self {
            Self::PlanStored { .. } | Self::PlanApproved { .. } => None,
            Self::Created { rollout, .. }
            | Self::PlanChanged { rollout, .. }
            | Self::PhaseEntered { rollout, .. }
            | Self::GateApproved { rollout, .. }
            | Self::RampProposed { rollout, .. }
            | Self::RampStepTaken { rollout, .. }
            | Self::HoldBroken { rollout, .. }
            | Self::HoldMended { rollout, .. }
            | Self::Paused { rollout, .. }
            | Self::Resumed { rollout, .. }
            | Self::TriggerSeen { rollout, .. }
            | Self::RollbackStarted { rollout, .. }
            | Self::RollbackStepDone { rollout, .. }
            | Self::PhaseReentered { rollout, .. }
            | Self::KillSwitchEngaged { rollout, .. }
            | Self::Noted { rollout, .. }
            | Self::PhaseOverdue { rollout, .. }
            | Self::GaAnnounced { rollout, .. }
            | Self::GaDeclared { rollout, .. }
            | Self::PostGaTaskDone { rollout, .. }
            | Self::Archived { rollout, .. }
            | Self::MetricsSampled { rollout, .. }
            | Self::GenerationApplied { rollout, .. } => Some(rollout),
        }
    }
}
