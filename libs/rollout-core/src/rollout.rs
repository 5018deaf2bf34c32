//! What a rollout is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use plan::{Phase, Plan, TriggerAction};
use vocab::{BasisPoints, Role, Timestamp};

use crate::rollback::Rollback;

/// The gate at the end of the last phase: the declaration of general availability.
pub const GA_GATE: &str = "ga";
/// The same without what only its announcement can bring.
pub const GA_UNANNOUNCED_GATE: &str = "ga-unannounced";

/// Everything the conductor knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollouts {
    /// Plan versions by resource name.
    pub plans: BTreeMap<String, Arc<StoredPlan>>,
    /// Rollouts by resource name.
    pub by_name: BTreeMap<String, Rollout>,
    /// How far the gate service's stream of triggers has been taken in.
    pub trigger_cursor: u64,
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
    /// Who approved it, in which role (D7 §10).
    pub approvals: Vec<PlanApproval>,
}

/// An approval of a plan version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanApproval {
    /// Who.
    pub actor: String,
    /// In which role.
    pub role: Role,
    /// When.
    pub at: Timestamp,
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
    /// The generation in which it last went on: what had fired before is armed anew.
    pub rearm_generation: u64,
    /// The newest generation that flag and gate have been told of.
    pub applied_generation: u64,
    /// The share that is on by percentage.
    pub exposure: BasisPoints,
    /// When the phase was entered.
    pub phase_entered_at: Timestamp,
    /// When the share last changed.
    pub step_taken_at: Timestamp,
    /// Active time in the phase when holding began: holds do not run during pauses.
    pub step_active_time: Duration,
    /// Thresholds that are not met: the current step is not being held.
    pub broken_thresholds: BTreeSet<String>,
    /// A step asked for by hand that another person has yet to confirm.
    pub proposed_step: Option<ProposedStep>,
    /// Since when the clock has been running; `None` while it stands.
    pub active_since: Option<Timestamp>,
    /// Active time before that.
    pub active_before: Duration,
    /// Approvals of the phase's gate.
    pub approvals: Vec<Approval>,
    /// Gates passed so far.
    pub passed_gates: Vec<String>,
    /// The pause in force.
    pub pause: Option<Pause>,
    /// Triggers whose condition holds.
    pub firing: BTreeSet<String>,
    /// The last rollback and how far its checklist has got.
    pub rollback: Option<Rollback>,
    /// Whether the phase has been said to be overdue.
    pub overdue_told: bool,
    /// When the announcement of general availability went out.
    pub ga_announced_at: Option<Timestamp>,
    /// When general availability was declared.
    pub ga_declared_at: Option<Timestamp>,
    /// The tasks after it that are done.
    pub post_ga_done: BTreeSet<String>,
    /// When it was last written down how the pipeline does.
    pub sampled_at: Timestamp,
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
    /// The system carries out a rollback.
    RollingBack,
    /// Over. Its flag can be moved by another.
    Archived,
}

impl State {
    /// The state in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::RollingBack => "ROLLING_BACK",
            Self::Archived => "ARCHIVED",
        }
    }
}

/// A pause in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub reason: String,
    /// Whether the kill switch is engaged as well.
    pub global: bool,
    /// The trigger that asked for it; empty where a person did, or a rollback.
    pub trigger_id: String,
    /// Since when.
    pub since: Timestamp,
    /// The epoch in which the kill switch was engaged for it.
    pub kill_epoch: Option<u64>,
}

/// A step asked for by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedStep {
    /// The share asked for.
    pub exposure: BasisPoints,
    /// Who asks.
    pub actor: String,
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
    /// The report of who would change, seen with it; empty for none.
    pub blast_radius_digest: String,
    /// When.
    pub at: Timestamp,
}

/// The gate at the end of a phase, and who approves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndGate<'a> {
    /// Its id.
    pub id: &'a str,
    /// The roles that must approve it, each by another person.
    pub approvers: &'a [Role],
}

impl StoredPlan {
    /// The roles that have yet to approve the plan (D7 §10).
    #[must_use]
    pub fn open_approvals(&self) -> Vec<Role> {
        let approved = |role: &Role| self.approvals.iter().any(|one| &one.role == role);
        self.plan.document.approvers.iter().filter(|role| !approved(role)).cloned().collect()
    }
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

    /// The gate at the end of its phase; after the last phase, that of the declaration.
    #[must_use]
    pub fn end_gate(&self) -> Option<EndGate<'_>> {
        let phase = self.phase()?;
        match &phase.gate {
            Some(gate) => Some(EndGate { id: gate.id.as_str(), approvers: &gate.approvers }),
            None if self.next_phase().is_none() => {
                Some(EndGate { id: GA_GATE, approvers: &self.plan.plan.ga.approvers })
            }
            None => None,
        }
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

    /// Active time that the current step of the ramp has yet to be held. While a threshold is
    /// broken nothing is held, and all of it is left.
    #[must_use]
    pub fn remaining_hold(&self, now: Timestamp) -> Duration {
        let steps = self.phase().map_or(&[][..], |phase| &phase.ramp);
        let current = steps.iter().find(|step| step.percentage == self.exposure);
        let held = if self.broken_thresholds.is_empty() {
            self.active_time(now).saturating_sub(self.step_active_time)
        } else {
            Duration::ZERO
        };
        current.map_or(Duration::ZERO, |step| step.hold.saturating_sub(held))
    }

    /// The roles that have yet to approve the gate at the end of the phase.
    #[must_use]
    pub fn open_approvals(&self) -> Vec<Role> {
        let approved = |role: &Role| self.approvals.iter().any(|approval| &approval.role == role);
        let approvers = self.end_gate().map_or(&[][..], |gate| gate.approvers);
        approvers.iter().filter(|role| !approved(role)).cloned().collect()
    }

    /// The next step of the ramp within the phase.
    #[must_use]
    pub fn next_step(&self) -> Option<BasisPoints> {
        let steps = self.phase()?.ramp.iter().map(|step| step.percentage);
        steps.filter(|share| *share > self.exposure).min()
    }

    /// Whether the plan wants the next step taken by hand.
    #[must_use]
    pub fn next_step_is_manual(&self) -> bool {
        let next = self.next_step();
        let steps = self.phase().map_or(&[][..], |phase| &phase.ramp);
        steps.iter().any(|step| Some(step.percentage) == next && step.manual)
    }

    /// The rollback whose checklist still keeps the rollout from going on.
    #[must_use]
    pub fn rollback_in_force(&self) -> Option<&Rollback> {
        let in_force = match self.state {
            State::RollingBack => true,
            State::Paused => self.pause.as_ref().is_some_and(|pause| {
                self.rollback.as_ref().is_some_and(|rollback| rollback.started_at == pause.since)
            }),
            State::Pending | State::Running | State::Archived => false,
        };
        self.rollback.as_ref().filter(|_| in_force)
    }

    /// The most severe action in force.
    #[must_use]
    pub fn in_force(&self) -> Option<TriggerAction> {
        let of_pause = self.pause.as_ref().map(|pause| {
            if pause.global { TriggerAction::GlobalPause } else { TriggerAction::PausePhase }
        });
        let of_rollback = self.rollback_in_force().map(|rollback| rollback.action);
        of_pause.max(of_rollback)
    }

    /// Whether it moves its flag: nobody else may meanwhile.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state != State::Archived
    }

    /// Whether it has lasted in its phase for longer than planned.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let limit = self.phase().and_then(|phase| phase.maximum_duration);
        limit.is_some_and(|limit| self.active_time(now) > limit)
    }
}
