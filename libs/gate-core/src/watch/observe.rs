//! Whether a condition holds, and how well that is known.

use std::time::Duration;

use plan::{Comparison, Growth, Metric, PromQuery, Requirement, Statistic, WindowSpan};
use vocab::Timestamp;

use super::{Condition, Watched};
use crate::evidence::Evidence;
use crate::judge::{Measured, Question, Reason, describe, in_unit, measure, p99_is_below};
use crate::sighted::Incident;
use crate::statistics::{Interval, lower_bound, upper_bound};

/// How well it is known that a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is known.
    Unknown,
    /// It does not hold.
    Clear,
    /// The bare rule holds; the sample does not prove it.
    Suspected,
    /// It holds.
    Proven,
}

/// What was observed, with everything that a reader needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Of an incident, its id; empty for a metric.
    pub instance: String,
    /// How well it is known that the condition holds.
    pub level: Level,
    /// Whether what has fired is over.
    pub over: bool,
    /// The bad relation, for people.
    pub condition: String,
    /// The stretch of time.
    pub window: String,
    /// The value, for people; empty for none.
    pub value: String,
    /// Observations it rests on.
    pub samples: u64,
    /// The exact interval around a rate.
    pub interval: Option<Interval>,
    /// Why, for machines.
    pub code: Reason,
    /// Why, as a lowercase fragment.
    pub reason: String,
    /// When the newest data was made.
    pub data_time: Option<Timestamp>,
    /// The incident.
    pub incident: Option<Incident>,
}

/// Observes a condition at `now`: one observation of a metric, one for each incident of a kind.
#[must_use]
pub fn observe(watched: &Watched<'_>, evidence: &Evidence, now: Timestamp) -> Vec<Observed> {
    match &watched.condition {
        Condition::Incident(kind) => {
            let own = evidence.sighted.incidents.iter().filter(|(_, incident)| incident.is(*kind));
            own.map(|(id, incident)| of_incident(id, incident)).collect()
        }
        Condition::Metric { metric, rule, violated, window, grows, prometheus } => {
            let asked = Asked {
                watched,
                metric: *metric,
                violated: *violated,
                window: *window,
                prometheus: *prometheus,
            };
            vec![asked.look(rule.as_ref(), grows.as_ref(), evidence, now)]
        }
    }
}

fn of_incident(id: &str, incident: &Incident) -> Observed {
    let open = incident.is_open();
    let what = if open { "declared" } else { "resolved" };
    Observed {
        instance: id.to_owned(),
        level: if open { Level::Proven } else { Level::Clear },
        over: !open,
        condition: format!("an incident of kind {} is open", incident.kind),
        window: String::new(),
        value: String::new(),
        samples: 1,
        interval: None,
        code: if open { Reason::Met } else { Reason::NotMet },
        reason: format!("incident {id} is {what}"),
        data_time: incident.declared.max(incident.resolved),
        incident: Some(incident.clone()),
    }
}

struct Asked<'a> {
    watched: &'a Watched<'a>,
    metric: Metric,
    violated: bool,
    window: Duration,
    prometheus: Option<&'a PromQuery>,
}

impl Asked<'_> {
    fn measure(
        &self,
        window: Duration,
        limit: u64,
        statistic: Statistic,
        evidence: &Evidence,
        now: Timestamp,
    ) -> (Measured, Option<Timestamp>) {
        let question = Question {
            metric: self.metric,
            label: "",
            window: WindowSpan::Rolling(window),
            mature_after: Duration::ZERO,
            statistic,
            prometheus: self.prometheus,
            limit,
        };
        measure(&question, evidence, now)
    }

    fn look(
        &self,
        rule: Option<&Requirement>,
        grows: Option<&Growth>,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Observed {
        let limit = rule.map_or(u64::MAX, |rule| rule.threshold.amount());
        // A gauge that is compared with its past is compared by medians: one reading is noise.
        let statistic = match grows {
            Some(_) if self.metric.is_gauge() => Statistic::Median,
            Some(_) | None => Statistic::Newest,
        };
        let (measured, data_time) = self.measure(self.window, limit, statistic, evidence, now);
        let mut observed = self.unknown(data_time);
        if rule.is_none() && grows.is_none() {
            observed.reason = "the plan has no condition for it".to_owned();
        }
        if let Measured::Nothing(code, why) = &measured {
            (observed.code, observed.reason) = (*code, why.clone());
            return observed;
        }
        self.say(&measured, &mut observed);
        let mut level = match rule {
            Some(rule) => self.level(*rule, &measured),
            None if grows.is_some() => Level::Proven,
            None => Level::Clear,
        };
        if let Some(grows) = grows.filter(|_| level > Level::Clear) {
            match self.growth(*grows, &measured, statistic, evidence, now) {
                None => level = Level::Unknown,
                Some(false) => level = Level::Clear,
                Some(true) => {}
            }
        }
        observed.level = level;
        observed.over = match self.watched.timing.clears_when {
            Some(over) => holds(over, &untested(&measured)),
            None => level == Level::Clear,
        };
        (observed.code, observed.reason) = match level {
            Level::Unknown => (Reason::Insufficient, "its past is not known".to_owned()),
            Level::Clear => (Reason::NotMet, "the rule does not hold".to_owned()),
            Level::Suspected => self.unproven(observed.samples),
            Level::Proven => (Reason::Met, "the rule holds, and the sample proves it".to_owned()),
        };
        observed
    }

    fn unknown(&self, data_time: Option<Timestamp>) -> Observed {
        Observed {
            instance: String::new(),
            level: Level::Unknown,
            over: false,
            condition: self.watched.describe(),
            window: describe(WindowSpan::Rolling(self.window)),
            value: String::new(),
            samples: 0,
            interval: None,
            code: Reason::Insufficient,
            reason: String::new(),
            data_time,
            incident: None,
        }
    }

    fn unproven(&self, samples: u64) -> (Reason, String) {
        let least = self.watched.timing.minimum_samples;
        if samples < least {
            let why = format!("the rule holds, on {samples} of at least {least} samples");
            return (Reason::Insufficient, why);
        }
        (Reason::Uncertain, "the rule holds, but the sample does not prove it".to_owned())
    }

    fn say(&self, measured: &Measured, observed: &mut Observed) {
        let alpha = self.watched.alpha;
        match *measured {
            Measured::Nothing(..) => {}
            Measured::Rate { part, whole } => {
                let ppm = u128::from(part) * 1_000_000 / u128::from(whole.max(1));
                let ppm = u64::try_from(ppm).unwrap_or(u64::MAX);
                observed.value =
                    format!("{} ({part} of {whole})", in_unit(self.metric.unit(), ppm));
                observed.samples = whole;
                observed.interval = Some(Interval {
                    low: lower_bound(part, whole, alpha),
                    high: upper_bound(part, whole, alpha),
                });
            }
            Measured::Amount { amount, samples, .. } => {
                observed.value = in_unit(self.metric.unit(), amount).to_string();
                observed.samples = samples;
            }
        }
    }

    /// Whether the bad relation holds, and whether the sample proves it.
    fn level(&self, rule: Requirement, measured: &Measured) -> Level {
        let bad = holds(rule, measured) != self.violated;
        if !bad {
            return Level::Clear;
        }
        let timing = &self.watched.timing;
        let tested = match *measured {
            Measured::Rate { part, whole } => {
                Some((part, whole, crate::statistics::real(rule.threshold.amount()) / 1e6))
            }
            Measured::Amount { trials: Some((slow, timed)), .. } => Some((slow, timed, 0.01)),
            Measured::Amount { .. } | Measured::Nothing(..) => None,
        };
        let Some((part, whole, limit)) = tested else { return Level::Proven };
        if timing.literal {
            return Level::Proven;
        }
        if whole < timing.minimum_samples {
            return Level::Suspected;
        }
        let high_is_bad = matches!(
            (rule.comparison, self.violated),
            (Comparison::Above | Comparison::AtLeast, false)
                | (Comparison::Below | Comparison::AtMost | Comparison::Equal, true)
        ) || self.metric == Metric::LatencyP99;
        let alpha = self.watched.alpha;
        let proven = if high_is_bad {
            lower_bound(part, whole, alpha) > limit
        } else {
            upper_bound(part, whole, alpha) < limit
        };
        if proven { Level::Proven } else { Level::Suspected }
    }

    /// Whether the value has grown; `None` where its past is not known.
    fn growth(
        &self,
        grows: Growth,
        measured: &Measured,
        statistic: Statistic,
        evidence: &Evidence,
        now: Timestamp,
    ) -> Option<bool> {
        let (past, _) = self.measure(grows.window, u64::MAX, statistic, evidence, now);
        let (now_part, now_whole) = ratio(measured)?;
        let (past_part, past_whole) = ratio(&past)?;
        let left = u128::from(now_part) * u128::from(past_whole) * 100;
        let factor = u128::from(grows.factor_percent);
        Some(left >= u128::from(past_part) * u128::from(now_whole) * factor)
    }
}

fn ratio(measured: &Measured) -> Option<(u64, u64)> {
    match measured {
        Measured::Nothing(..) => None,
        Measured::Rate { part, whole } => Some((*part, *whole)),
        Measured::Amount { amount, .. } => Some((*amount, 1)),
    }
}

/// The value by itself: what was counted beyond one limit says nothing about another.
fn untested(measured: &Measured) -> Measured {
    match measured {
        Measured::Amount { amount, samples, approximate, .. } => Measured::Amount {
            amount: *amount,
            samples: *samples,
            trials: None,
            approximate: *approximate,
        },
        other @ (Measured::Nothing(..) | Measured::Rate { .. }) => other.clone(),
    }
}

/// Whether the measured value stands in a relation, exactly.
fn holds(rule: Requirement, measured: &Measured) -> bool {
    let threshold = u128::from(rule.threshold.amount());
    match *measured {
        Measured::Nothing(..) => false,
        Measured::Rate { part, whole } => {
            whole > 0
                && rule
                    .comparison
                    .holds(u128::from(part) * 1_000_000, threshold * u128::from(whole))
        }
        Measured::Amount { trials: Some((slow, timed)), amount, .. } => match rule.comparison {
            Comparison::Below | Comparison::AtMost => p99_is_below(slow, timed),
            Comparison::AtLeast | Comparison::Above => !p99_is_below(slow, timed),
            Comparison::Equal => u128::from(amount) == threshold,
        },
        Measured::Amount { amount, .. } => rule.comparison.holds(u128::from(amount), threshold),
    }
}
