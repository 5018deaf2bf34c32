//! The whole plan.

use vocab::{FlagKey, PhaseId, PipelineId, Role};

use crate::closing::{DocumentControl, Enhancement, GaRules, PostGaTask, Reference};
use crate::communication::Communication;
use crate::criterion::Criterion;
use crate::phase::Phase;
use crate::response::{
    KillSwitchRules, MatrixRow, RollbackStep, Signal, Threshold, Trigger, Watching,
};

/// A whole plan, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The pipeline under rollout, e.g. `ingestion_v2`.
    pub pipeline: PipelineId,
    /// Version of the plan, e.g. `1.0`.
    pub version: String,
    /// Title, for people.
    pub title: String,
    /// The flag that decides who is on.
    pub flag: FlagKey,
    /// Roles the plan speaks of, with their titles.
    pub roles: Vec<RoleTitle>,
    /// The kill switch.
    pub kill_switch: KillSwitchRules,
    /// State transitions the pipeline can make (D6.6), as `from->to`.
    pub state_transitions: Vec<String>,
    /// Phases in order.
    pub phases: Vec<Phase>,
    /// Continuous alerts (D7 §4.1).
    pub thresholds: Vec<Threshold>,
    /// Signals to watch (D7 §4.3).
    pub signals: Vec<Signal>,
    /// How they and the triggers are watched.
    pub watching: Watching,
    /// Pause and rollback triggers (D7 §5.1, §5.2).
    pub triggers: Vec<Trigger>,
    /// The rollback checklist (D7 §5.3).
    pub rollback_steps: Vec<RollbackStep>,
    /// The decision matrix (D7 §5.4).
    pub decision_matrix: Vec<MatrixRow>,
    /// GA declaration (D7 §2.5, §6).
    pub ga: GaRules,
    /// Communication plan (D7 §7).
    pub communication: Communication,
    /// What is done after GA (D7 §8).
    pub post_ga: Vec<PostGaTask>,
    /// Enhancements planned for later (D7 §8.3).
    pub enhancements: Vec<Enhancement>,
    /// Reference documents (D7 §9).
    pub references: Vec<Reference>,
    /// Document control (D7 §10).
    pub document: DocumentControl,
}

impl Plan {
    /// Finds a phase.
    #[must_use]
    pub fn phase(&self, id: &PhaseId) -> Option<&Phase> {
        self.phases.iter().find(|phase| &phase.id == id)
    }

    /// Where a phase stands in the order.
    #[must_use]
    pub fn position(&self, id: &PhaseId) -> Option<usize> {
        self.phases.iter().position(|phase| &phase.id == id)
    }

    /// Every criterion: entry, gates and GA.
    pub fn criteria(&self) -> impl Iterator<Item = &Criterion> {
        let of_phases = self.phases.iter().flat_map(|phase| {
            phase.entry.iter().chain(phase.gate.iter().flat_map(|gate| gate.criteria.iter()))
        });
        let of_ga = [&self.ga.quantitative, &self.ga.qualitative, &self.ga.checklist];
        of_phases.chain(of_ga.into_iter().flatten())
    }
}

/// A role and what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleTitle {
    /// The role.
    pub role: Role,
    /// Its title, e.g. `Engineering Lead`.
    pub title: String,
}
