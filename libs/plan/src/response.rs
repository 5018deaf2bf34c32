//! What is watched, and what happens when it goes wrong.

use std::time::Duration;

use vocab::{PhaseId, ResourceId};

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
        /// How long it must hold at every evaluation; zero for at once.
        sustained_for: Duration,
        /// Samples below which it warns only.
        minimum_samples: u64,
        /// Fires on the bare rule, without a confidence bound.
        literal: bool,
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
