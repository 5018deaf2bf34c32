//! What is watched, and what happens when it goes wrong.

use std::time::Duration;

use vocab::{PhaseId, ResourceId, Role};

use crate::criterion::PromQuery;
use crate::named::named;
use crate::quantity::{Metric, Requirement};

/// Rules of the kill switch (semantics §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KillSwitchRules {
    /// Its name, e.g. `INGESTION_ENABLED`.
    pub name: String,
    /// How long a worker trusts its last known state without contact.
    pub stale_after: Duration,
    /// What it does then.
    pub on_stale: OnStale,
    /// Whether releasing takes a second person.
    pub release_needs_second_person: bool,
    /// How long a drill counts.
    pub drill_valid_for: Duration,
}

/// What a worker does when it has lost the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStale {
    /// Defers new uploads.
    FailClosed,
    /// Keeps the last known state.
    FailStatic,
}

/// A continuous alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threshold {
    /// The metric.
    pub metric: Metric,
    /// The phases it applies in.
    pub phases: Vec<PhaseId>,
    /// What the value must be.
    pub requirement: Requirement,
    /// The rolling window it is counted over.
    pub window: Duration,
    /// When it alerts.
    pub timing: Timing,
}

/// When something watched fires, and when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// How long the condition must hold at every evaluation; zero for at once.
    pub sustained_for: Duration,
    /// Samples below which it warns only.
    pub minimum_samples: u64,
    /// Fires on the bare rule, without a confidence bound.
    pub literal: bool,
    /// Once fired, it is over where this holds; where the condition does not hold if absent.
    pub clears_when: Option<Requirement>,
    /// How long it must be over at every evaluation before it can fire again.
    pub clears_after: Duration,
}

/// How everything is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watching {
    /// How often triggers, thresholds and advisories are evaluated.
    pub evaluate_every: Duration,
    /// Evaluations further apart leave a gap: what was sustained is not known to have been.
    pub gap_max: Duration,
    /// Where nobody has reported for this long, there is no telemetry.
    pub silent_after: Duration,
}

impl Default for Watching {
    fn default() -> Self {
        Self {
            evaluate_every: Duration::from_secs(15),
            gap_max: Duration::from_secs(5 * 60),
            silent_after: Duration::from_secs(24 * 3600),
        }
    }
}

/// A signal to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Id, e.g. `error-rate-spike`.
    pub id: ResourceId,
    /// Title as in the document.
    pub title: String,
    /// What it may mean.
    pub concern: String,
    /// What to do.
    pub action: String,
    /// The metric behind it.
    pub metric: Metric,
    /// The rolling window.
    pub window: Duration,
    /// Raised where this holds; and, where both are given, `grows` holds too.
    pub raised_when: Option<Requirement>,
    /// Raised where the value has grown like this.
    pub grows: Option<Growth>,
    /// When it is raised.
    pub timing: Timing,
}

/// Growth against the metric's own past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// The value is at least so many percent of what it is over the longer window.
    pub factor_percent: u32,
    /// The longer window.
    pub window: Duration,
}

/// A pause or rollback trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Id, e.g. `error-rate-over-10`.
    pub id: ResourceId,
    /// Title as in the document.
    pub title: String,
    /// Section, e.g. `5.1`.
    pub section: String,
    /// When it fires.
    pub condition: TriggerCondition,
    /// What happens.
    pub action: TriggerAction,
    /// What happens, as worded, e.g. `Pause phase, investigate`.
    pub action_title: String,
    /// What must be shown before resuming; empty for rollbacks.
    pub resume_criterion: String,
    /// Whether that is seen by the system: it is met once the trigger has cleared.
    pub resume_observed: bool,
    /// Who may go on although it still fires; nobody where empty.
    pub override_roles: Vec<Role>,
}

/// When a trigger fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerCondition {
    /// A metric is in a bad relation to a threshold.
    Metric {
        /// The metric.
        metric: Metric,
        /// The bad relation.
        fires_when: Requirement,
        /// The rolling window.
        window: Duration,
        /// When it fires.
        timing: Timing,
        /// Where the value comes from, instead of what is reported to the gate service.
        prometheus: Option<PromQuery>,
    },
    /// An incident of this kind was recorded.
    Incident {
        /// The kind.
        kind: IncidentKind,
    },
}

/// Kinds of incidents the plan reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentKind {
    /// A P1 incident.
    P1,
    /// A confirmed data integrity issue.
    DataIntegrity,
    /// Data corruption was found.
    DataCorruption,
    /// A client reported lost data.
    ClientReportedDataLoss,
}

/// What a trigger does, from mild to severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerAction {
    /// Pauses the phase.
    PausePhase,
    /// Engages the kill switch as well.
    GlobalPause,
    /// Rolls back to the previous phase.
    RollbackToPrevious,
    /// Rolls back to the first phase.
    RollbackToFirst,
}

/// The ids of the steps of a rollback that the system can do.
pub const SYSTEM_STEPS: [&str; 5] = [
    "activate-kill-switch",
    "notify-affected-clients",
    "capture-state",
    "incident-timeline",
    "roll-back-flag",
];

/// A step of the rollback checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackStep {
    /// Id, e.g. `activate-kill-switch`.
    pub id: ResourceId,
    /// The step as worded.
    pub title: String,
    /// True where the system does it, false where people do.
    pub by_system: bool,
}

/// A row of the decision matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// Id, e.g. `known-issue`.
    pub id: ResourceId,
    /// The condition as worded.
    pub condition: String,
    /// The duration as worded.
    pub duration: String,
    /// True for rollback, false for pause.
    pub rollback: bool,
    /// Applies where it is expected to take at most so long; to any length where absent.
    pub within: Option<Duration>,
    /// Applies where it is expected to take longer than this.
    pub beyond: Option<Duration>,
    /// Incidents of these kinds are of this row.
    pub incidents: Vec<IncidentKind>,
}

named!(OnStale {
    "fail_closed" => FailClosed,
    "fail_static" => FailStatic,
});

named!(IncidentKind {
    "p1" => P1,
    "data_integrity" => DataIntegrity,
    "data_corruption" => DataCorruption,
    "client_reported_data_loss" => ClientReportedDataLoss,
});

named!(TriggerAction {
    "pause_phase" => PausePhase,
    "global_pause" => GlobalPause,
    "rollback_to_previous" => RollbackToPrevious,
    "rollback_to_first" => RollbackToFirst,
});
