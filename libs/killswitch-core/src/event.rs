//! What happened to the switches.

use std::time::Duration;

use vocab::PipelineId;

use crate::scope::Scope;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A scope was stopped.
    Engaged {
        /// What.
        scope: Scope,
        /// The epoch of the change.
        epoch: u64,
        /// Why.
        reason: String,
        /// Whether it is a drill.
        drill: bool,
    },
    /// A scope goes on.
    Released {
        /// What.
        scope: Scope,
        /// The epoch of the change.
        epoch: u64,
        /// Why it is safe.
        reason: String,
        /// Whether it ends a drill.
        drill: bool,
        /// The evidence for the resume criterion, a link.
        evidence: String,
        /// Time until everybody goes on.
        ramp: Duration,
    },
    /// One person asked for a release that takes two.
    ReleaseRequested {
        /// What is to go on.
        scope: Scope,
        /// The epoch of the switch that was seen.
        epoch: u64,
        /// Why it is safe.
        reason: String,
        /// The evidence for the resume criterion, a link.
        evidence: String,
    },
    /// Epochs go on above what a worker held: data was lost.
    EpochRaised {
        /// The new highest epoch.
        epoch: u64,
        /// The worker.
        worker: String,
    },
    /// The plan of a pipeline has spoken.
    RulesTaken(Rules),
}

/// What the plan of a pipeline says about its switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// Orders what is said: an older word is ignored.
    pub generation: u64,
    /// How long a permission is good for.
    pub lease: Duration,
    /// What a worker does when its lease is over.
    pub on_stale: OnStale,
    /// Whether a release takes a second person.
    pub second_person: bool,
    /// How long a drill counts.
    pub drill_valid: Duration,
}

/// What a worker does when its lease is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStale {
    /// New work is stopped.
    FailClosed,
    /// The last known state is kept for so long at most; zero: as long as the service's settings
    /// allow.
    FailStatic(Duration),
}
