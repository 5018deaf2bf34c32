//! What a gate asks for.

use std::time::Duration;

use vocab::{ResourceId, Role};

use crate::named::named;
use crate::quantity::{Metric, Requirement};

/// One line of an entry or exit checklist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// Unique within the plan, e.g. `gate-0-error-rate`.
    pub id: ResourceId,
    /// The line as D7 words it.
    pub title: String,
    /// The section it comes from, e.g. `2.1`.
    pub section: String,
    /// How it is judged.
    pub judged: Judged,
}

/// How a criterion is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// By a number the gate service measures.
    Metric(MetricCriterion),
    /// By something the system itself saw.
    Observed(Observation),
    /// By a person who holds one of these roles and gives a link to evidence.
    Attestation {
        /// Who may attest.
        roles: Vec<Role>,
    },
    /// By an approval from a holder of every one of these roles; distinct people.
    SignOff {
        /// Who must sign.
        roles: Vec<Role>,
    },
}

/// A metric and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricCriterion {
    /// The metric.
    pub metric: Metric,
    /// A label its series must carry, e.g. `P1` for `open_bugs`; empty for none.
    pub label: String,
    /// What the value must be.
    pub requirement: Requirement,
    /// The stretch of time looked at.
    pub window: WindowSpan,
    /// Below this sample the verdict is inconclusive.
    pub minimum_samples: u64,
    /// How sure the verdict must be.
    pub assurance: Assurance,
}

/// The stretch of time a metric is judged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowSpan {
    /// Since the phase was last entered.
    SincePhaseStart,
    /// A rolling window of this length, at most 7 days.
    Rolling(Duration),
}

/// How sure a verdict must be (D7's literal rule is necessary at every level).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// The literal rule holds.
    Observed,
    /// And the data does not show the opposite.
    NotDisproved,
    /// And the data proves it, under continuous peeking.
    Certified,
}

/// Something the system sees by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// Every state transition of the plan was seen since the phase started.
    AllTransitions,
    /// A breaker opened and closed again since the phase started.
    BreakerRecovered,
    /// A kill-switch drill was completed since the phase started: every connected worker applied it.
    KillSwitchDrill,
    /// The gate of the phase before passed and was approved.
    GatePassed,
    /// The flag is served to everybody.
    FlagAtFull,
    /// The kill switch answers and was drilled within its period.
    KillSwitchAvailable,
    /// The communication of this rollout's invitation or announcement has been delivered.
    CommunicationDelivered,
}

named!(Assurance {
    "observed" => Observed,
    "not_disproved" => NotDisproved,
    "certified" => Certified,
});

named!(Observation {
    "all_transitions" => AllTransitions,
    "breaker_recovered" => BreakerRecovered,
    "kill_switch_drill" => KillSwitchDrill,
    "gate_passed" => GatePassed,
    "flag_at_full" => FlagAtFull,
    "kill_switch_available" => KillSwitchAvailable,
    "communication_delivered" => CommunicationDelivered,
});
