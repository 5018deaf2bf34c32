//! What a rollout is, and what can happen to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plan::{Gate, Phase, Plan};
use vocab::{BasisPoints, Role, Timestamp};

/// Everything the conductor knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollouts {
    /// Plan versions by resource name.
    pub plans: BTreeMap<String, Arc<StoredPlan>>,
    /// Rollouts by resource name.
    pub by_name: BTreeMap<String, Rollout>,
}

/// A plan version as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlan {
    /// The file, verbatim.
    pub source: Vec<u8>,
    /// The plan it holds.
    pub plan: Plan,
    /// What deserves a look.
    pub warnings: Vec<String>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// Who stored it.
    pub actor: String,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Its resource name.
    pub name: String,
    /// The plan version it follows.
    pub plan_version: String,
    /// The plan itself.
    pub plan: Arc<StoredPlan>,
    /// Where it stands.
    pub state: State,
    /// The phase it is in.
    pub phase_index: Option<usize>,
    /// Rises with every change that others must be told of.
    pub generation: u64,
    /// The generation in which the phase was entered.
    pub phase_generation: u64,
    /// The newest generation that flag and gate have been told of.
    pub applied_generation: u64,
    /// The share that is on by percentage.
    pub exposure: BasisPoints,
    /// When the phase was entered.
    pub phase_entered_at: Timestamp,
    /// When the share last changed.
    pub step_taken_at: Timestamp,
    /// Active time in the phase when the share last changed: holds do not run during pauses.
    pub step_active_time: Duration,
    /// Since when the clock has been running; `None` while it stands.
    pub active_since: Option<Timestamp>,
    /// Active time before that.
    pub active_before: Duration,
    /// Approvals of the phase's gate.
    pub approvals: Vec<Approval>,
    /// Gates passed so far.
    pub passed_gates: Vec<String>,
    /// Why it is paused.
    pub pause_reason: String,
    /// Whether it runs on a demo clock.
    pub demo: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The journal version of its last change.
    pub revision: u64,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Created; exposes nobody.
    Pending,
    /// In a phase, its clock running.
    Running,
    /// In a phase, its clock stopped.
    Paused,
}

impl State {
    /// The state in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
        }
    }
}

/// An approval of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub actor: String,
    /// In which role.
    pub role: Role,
    /// The report that was seen.
    pub report_digest: String,
    /// When.
    pub at: Timestamp,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A plan file was stored.
    PlanStored {
        /// Resource name of the plan version.
        name: String,
        /// The file.
        source: Vec<u8>,
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
    },
    /// A step of the ramp was taken.
    RampStepTaken {
        /// The rollout.
        rollout: String,
        /// The share that is now on by percentage.
        exposure: BasisPoints,
    },
    /// The rollout was paused.
    Paused {
        /// The rollout.
        rollout: String,
        /// Why.
        reason: String,
    },
    /// The rollout was resumed.
    Resumed {
        /// The rollout.
        rollout: String,
        /// Why it is safe.
        reason: String,
    },
    /// Flag and gate were told of a generation.
    GenerationApplied {
        /// The rollout.
        rollout: String,
        /// The generation.
        generation: u64,
    },
}

impl Rollout {
    /// The phase it is in.
    #[must_use]
    pub fn phase(&self) -> Option<&Phase> {
        self.plan.plan.phases.get(self.phase_index?)
    }

    /// The phase after this one; the first where it is pending.
    #[must_use]
    pub fn next_phase(&self) -> Option<&Phase> {
        self.plan.plan.phases.get(self.phase_index.map_or(0, |index| index + 1))
    }

    /// Active time in the phase: pauses do not count.
    #[must_use]
    pub fn active_time(&self, now: Timestamp) -> Duration {
        self.active_before + self.active_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Active time still missing before an advance.
    #[must_use]
    pub fn remaining_time(&self, now: Timestamp) -> Duration {
        self.phase().map_or(Duration::ZERO, |phase| {
            phase.minimum_duration.saturating_sub(self.active_time(now))
        })
    }

    /// Active time that the current step of the ramp has yet to be held.
    #[must_use]
    pub fn remaining_hold(&self, now: Timestamp) -> Duration {
        let steps = self.phase().map_or(&[][..], |phase| &phase.ramp);
        let current = steps.iter().find(|step| step.percentage == self.exposure);
        let held = self.active_time(now).saturating_sub(self.step_active_time);
        current.map_or(Duration::ZERO, |step| step.hold.saturating_sub(held))
    }

    /// The roles that have yet to approve a gate.
    #[must_use]
    pub fn open_approvals(&self, gate: &Gate) -> Vec<Role> {
        let approved = |role: &Role| self.approvals.iter().any(|approval| &approval.role == role);
        gate.approvers.iter().filter(|role| !approved(role)).cloned().collect()
    }

    /// The next step of the ramp within the phase.
    #[must_use]
    pub fn next_step(&self) -> Option<BasisPoints> {
        let steps = self.phase()?.ramp.iter().map(|step| step.percentage);
        steps.filter(|share| *share > self.exposure).min()
    }
}
