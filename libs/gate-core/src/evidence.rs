//! Everything a verdict may rest on, as values.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Metric, WindowSpan};
use vocab::{Role, Timestamp};

use crate::tally::Tally;

/// Everything known at the moment of judging.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Outcomes by stretch of time.
    pub tallies: BTreeMap<SpanKey, Tally>,
    /// Newest gauges by metric and label.
    pub gauges: BTreeMap<(Metric, String), Gauge>,
    /// What was sighted since the phase started.
    pub sighted: Sighted,
    /// Attestations in force, by criterion id.
    pub attested: BTreeMap<String, Attested>,
    /// Gates passed and approved.
    pub passed_gates: BTreeSet<String>,
    /// State transitions the plan expects, as `from->to`.
    pub expected_transitions: Vec<String>,
    /// The gate of the phase before, for `gate_passed`.
    pub previous_gate: Option<String>,
    /// How old a gauge may be before it is stale.
    pub gauge_age_max_ms: u64,
}

/// A stretch of time as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpanKey(Option<u64>);

impl From<WindowSpan> for SpanKey {
    fn from(span: WindowSpan) -> Self {
        match span {
            WindowSpan::SincePhaseStart => Self(None),
            WindowSpan::Rolling(length) => {
                Self(Some(u64::try_from(length.as_millis()).unwrap_or(u64::MAX)))
            }
        }
    }
}

/// A gauge's newest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    /// The value in the metric's smallest unit.
    pub amount: u64,
    /// When it was measured.
    pub at: Timestamp,
}

/// Rare things seen since the phase started.
#[derive(Debug, Clone, Default)]
pub struct Sighted {
    /// State transitions, as `from->to`.
    pub transitions: BTreeSet<String>,
    /// When each breaker last opened, and whether it has closed since.
    pub breakers: BTreeMap<String, Breaker>,
    /// Transitions to OPEN, with their times.
    pub breaker_opened: Vec<Timestamp>,
    /// Manual interventions, with their times.
    pub interventions: Vec<Timestamp>,
    /// The newest drill that passed.
    pub drill: Option<Timestamp>,
}

/// What is known of one breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Since when it has been OPEN without an explicit CLOSED.
    pub open_since: Option<Timestamp>,
    /// Whether it has gone from OPEN to CLOSED.
    pub recovered: bool,
}

/// An attestation in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// By whom.
    pub actor: String,
    /// In which role.
    pub role: Role,
    /// Link to the evidence.
    pub evidence: String,
    /// When.
    pub at: Timestamp,
}
