//! Everything a verdict may rest on, as values.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plan::{Metric, PromQuery, WindowSpan};
use vocab::{Role, Timestamp};

use crate::sighted::Sighted;
use crate::tally::{Ripe, Tally};

/// Everything known at the moment of judging.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// When the phase was entered.
    pub phase_start: Timestamp,
    /// What happened, by stretch of time.
    pub tallies: BTreeMap<SpanKey, Tally>,
    /// Ripe uploads, by stretch of time and age in milliseconds.
    pub ripe: BTreeMap<(SpanKey, u64), Ripe>,
    /// Newest gauges by metric and label.
    pub gauges: BTreeMap<(Metric, String), Gauge>,
    /// What was sighted since the phase started.
    pub sighted: Sighted,
    /// Statements in force, by criterion id.
    pub attested: BTreeMap<String, Vec<Attested>>,
    /// Gates passed and approved.
    pub passed_gates: BTreeSet<String>,
    /// State transitions the plan expects, as `from->to`.
    pub expected_transitions: Vec<String>,
    /// The gate of the phase before, for `gate_passed`.
    pub previous_gate: Option<String>,
    /// How old a gauge may be before it is stale.
    pub gauge_age_max_ms: u64,
    /// When anybody last reported anything.
    pub heard: Option<Timestamp>,
    /// Where nobody has reported for this long, there is no telemetry.
    pub silent_after: Duration,
    /// When the newest outcome happened.
    pub newest_outcome: Option<Timestamp>,
    /// What Prometheus answered.
    pub answers: BTreeMap<PromQuery, Result<Answer, String>>,
    /// The share the flag stands at, in basis points, where it is known.
    pub percentage_basis_points: u16,
    /// Days in a row on which GA's criteria were met, and how many the plan asks for.
    pub ga_days: (u32, u32),
    /// What was told in this phase, by the plan's id of the message.
    pub communications: BTreeMap<String, Told>,
    /// How long a drill counts.
    pub drill_valid_for: Duration,
}

impl Evidence {
    /// Why nobody can be said to report; `None` where somebody does.
    pub(crate) fn silence(&self, now: Timestamp) -> Option<String> {
        let Some(heard) = self.heard else {
            return Some("nobody has ever reported anything".to_owned());
        };
        let silent = now.since(heard);
        let long = vocab::format_duration(Duration::from_secs(silent.as_secs()));
        (silent > self.silent_after).then(|| format!("nobody has reported for {long}"))
    }
}

/// How far a communication is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Everybody had been told by then.
    Complete(Timestamp),
    /// Somebody has not been told: who, and why.
    Missing(String),
}

/// One number from Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The value, in the metric's smallest unit.
    pub amount: u64,
    /// How many observations it rests on.
    pub samples: u64,
    /// When it was measured.
    pub at: Timestamp,
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

/// A statement in force.
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
