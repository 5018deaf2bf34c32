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
    /// How long a person's statement counts; for ever where absent.
    pub expires_after: Option<Duration>,
    /// Judged and shown, but not counted.
    pub dry_run: bool,
    /// The message of the communication plan that must have been delivered; for
    /// [`Observation::CommunicationDelivered`], and only for that.
    pub communication: Option<ResourceId>,
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
    /// The confidence behind the assurance, in parts per million: 950,000 is 95 %.
    pub confidence_ppm: u32,
    /// Only uploads admitted this long ago are judged, and one of them that was begun and has not
    /// ended counts as failed; zero for all that have ended.
    pub mature_after: Duration,
    /// What is taken of a gauge's readings.
    pub statistic: Statistic,
    /// What "normal" means for a count: it stays within the control limits of this baseline, and
    /// the requirement is the upper one.
    pub baseline: Option<Baseline>,
    /// Where the value comes from, instead of what is reported to the gate service.
    pub prometheus: Option<PromQuery>,
}

/// What is taken of a gauge's readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// The newest.
    Newest,
    /// The largest of the window, to 1 %.
    Max,
    /// The median of the window, to 1 %.
    Median,
}

/// What is normal: so many in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Baseline {
    /// How many were counted.
    pub count: u64,
    /// In which time.
    pub period: Duration,
}

/// A question to Prometheus, whose answer is the value: of rates a share of one, of times seconds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromQuery {
    /// The value, in PromQL: one number, or one series.
    pub query: String,
    /// How many observations it rests on, in PromQL; 1 where absent.
    pub samples_query: Option<String>,
    /// How old the sample may be.
    pub age_max: Duration,
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
    /// The criterion's communication was made in this phase and delivered to everybody it is for.
    CommunicationDelivered,
    /// The quantitative criteria of GA were met on as many days in a row as the plan asks.
    ConsecutiveDays,
}

named!(Assurance {
    "observed" => Observed,
    "not_disproved" => NotDisproved,
    "certified" => Certified,
});

named!(Statistic {
    "newest" => Newest,
    "max" => Max,
    "median" => Median,
});

named!(Observation {
    "all_transitions" => AllTransitions,
    "breaker_recovered" => BreakerRecovered,
    "kill_switch_drill" => KillSwitchDrill,
    "gate_passed" => GatePassed,
    "flag_at_full" => FlagAtFull,
    "kill_switch_available" => KillSwitchAvailable,
    "communication_delivered" => CommunicationDelivered,
    "consecutive_days" => ConsecutiveDays,
});
