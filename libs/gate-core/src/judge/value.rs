//! The value of a metric, for people and dashboards.

use std::time::Duration;

use plan::{Metric, Statistic, WindowSpan};
use vocab::{Timestamp, format_duration};

use super::Reason;
use super::measure::{Measured, Question, measure};
use super::metric::{in_unit, rounded};
use crate::evidence::Evidence;
use crate::latency::RELATIVE_ERROR_PPM;
use crate::statistics::{Interval, wilson};

/// Rolling windows every metric is shown over, beside "since phase start".
pub const MEASURED_SPANS: [WindowSpan; 3] = [
    WindowSpan::Rolling(Duration::from_secs(15 * 60)),
    WindowSpan::Rolling(Duration::from_secs(24 * 3600)),
    WindowSpan::Rolling(Duration::from_secs(7 * 24 * 3600)),
];

const MINUTES_REACH: Duration = Duration::from_secs(2 * 3600); // Longer windows count in hours.
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A metric's value over a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// In the metric's smallest unit; `None` where there is no data.
    pub amount: Option<u64>,
    /// For people; empty where there is no data.
    pub text: String,
    /// How many observations it rests on.
    pub samples: u64,
    /// Wilson's 95 % interval around a rate.
    pub interval: Option<Interval>,
    /// Why there is no value.
    pub nothing: Option<Reason>,
    /// When the newest data was made.
    pub data_time: Option<Timestamp>,
    /// How exactly the window's ends are kept; `None` for what is exact.
    pub resolution: Option<Duration>,
    /// The largest relative error of the value.
    pub relative_error_ppm: u64,
}

/// A window in words.
#[must_use]
pub fn describe(window: WindowSpan) -> String {
    match window {
        WindowSpan::SincePhaseStart => "since phase start".to_owned(),
        WindowSpan::Rolling(length) => format!("last {}", format_duration(length)),
    }
}

/// How exactly the ends of a window are kept for a metric.
pub(crate) fn resolution(metric: Metric, window: WindowSpan) -> Option<Duration> {
    let exact = metric.is_gauge()
        || matches!(
            metric,
            Metric::CircuitBreakerEvents
                | Metric::CircuitBreakerOpenTime
                | Metric::ManualInterventions
                | Metric::Incidents
                | Metric::StateTransitionCoverage
        );
    match window {
        _ if exact => None,
        WindowSpan::SincePhaseStart => None,
        WindowSpan::Rolling(length) if length <= MINUTES_REACH => Some(MINUTE),
        WindowSpan::Rolling(_) => Some(HOUR),
    }
}

/// The value of a metric over a window at `now`.
#[must_use]
pub fn value(
    metric: Metric,
    label: &str,
    window: WindowSpan,
    evidence: &Evidence,
    now: Timestamp,
) -> Value {
    let question = Question {
        metric,
        label,
        window,
        mature_after: Duration::ZERO,
        statistic: Statistic::Newest,
        prometheus: None,
        limit: u64::MAX,
    };
    let (measured, data_time) = measure(&question, evidence, now);
    let mut value = Value {
        amount: None,
        text: String::new(),
        samples: 0,
        interval: None,
        nothing: None,
        data_time,
        resolution: resolution(metric, window),
        relative_error_ppm: 0,
    };
    match measured {
        Measured::Nothing(code, _) => {
            value.nothing = Some(code);
            // So many have been counted: none.
            let counts = matches!(metric, Metric::UploadsProcessed | Metric::UploadsSucceeded);
            value.amount = (counts && code != Reason::Stale).then_some(0);
        }
        Measured::Rate { part, whole } => {
            let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
            value.amount = (whole > 0).then(|| u64::try_from(ppm).unwrap_or(u64::MAX));
            value.nothing = (whole == 0).then_some(Reason::Idle);
            value.samples = whole;
            value.interval = Some(wilson(part, whole, 0.05));
        }
        Measured::Amount { amount, samples, approximate, .. } => {
            value.amount = Some(amount);
            value.samples = samples;
            value.relative_error_ppm = if approximate { RELATIVE_ERROR_PPM } else { 0 };
        }
    }
    if let Some(amount) = value.amount {
        let shown = if metric.unit() == plan::Unit::Rate { rounded(amount) } else { amount };
        value.text = in_unit(metric.unit(), shown).to_string();
    }
    value
}
