//! What is watched all the time: pause and rollback triggers, thresholds, signals to watch.
//!
//! Observing is a function of evidence; what follows from it ([`step`]) is a function of where the
//! trigger stood. A trigger on a rate is proven where the literal rule holds *and* the exact lower
//! bound is beyond the threshold; where the sample is too small for that, it warns at once.

mod observe;
mod step;

use std::time::Duration;

use plan::{
    Growth, IncidentKind, Metric, Plan, PromQuery, Requirement, Timing, TriggerAction,
    TriggerCondition, WindowSpan,
};
use vocab::{PhaseId, format_duration};

pub use observe::{Level, Observed, observe};
pub use step::{Moved, Standing, State, step};

const BUDGET: f64 = 0.05; // Of false alarms, for all triggers of a plan together.

/// What kind of thing is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A pause or rollback trigger (D7 §5.1, §5.2).
    Trigger,
    /// A continuous alert (D7 §4.1).
    Threshold,
    /// A signal to watch (D7 §4.3).
    Advisory,
}

/// Something that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched<'p> {
    /// What kind it is.
    pub subject: Subject,
    /// Unique among its kind.
    pub id: String,
    /// Title in the words of the plan.
    pub title: String,
    /// The section of the plan document; empty for none.
    pub section: &'p str,
    /// What it asks for; `None` of thresholds and advisories.
    pub action: Option<TriggerAction>,
    /// What it asks for, as worded.
    pub action_title: &'p str,
    /// The resume criterion, or the concern of an advisory.
    pub note: &'p str,
    /// When it fires.
    pub condition: Condition<'p>,
    /// For how long, and on what sample.
    pub timing: Timing,
    /// The phases it is watched in; all where empty.
    pub phases: &'p [PhaseId],
    /// The error budget of one look.
    pub alpha: f64,
}

/// When something fires.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition<'p> {
    /// A metric stands in a bad relation to a threshold.
    Metric {
        /// The metric.
        metric: Metric,
        /// The relation.
        rule: Option<Requirement>,
        /// Whether the relation is the good one, and fires where it does not hold.
        violated: bool,
        /// The rolling window.
        window: Duration,
        /// Growth against the metric's own past, besides.
        grows: Option<Growth>,
        /// Where the value comes from, instead of what is reported.
        prometheus: Option<&'p PromQuery>,
    },
    /// An incident of a kind is open.
    Incident(IncidentKind),
}

impl Watched<'_> {
    /// Whether it is watched in a phase.
    #[must_use]
    pub fn applies_in(&self, phase: &str) -> bool {
        self.phases.is_empty() || self.phases.iter().any(|one| one.as_str() == phase)
    }

    /// The stretches of time it looks at.
    #[must_use]
    pub fn spans(&self) -> Vec<WindowSpan> {
        match &self.condition {
            Condition::Incident(_) => Vec::new(),
            Condition::Metric { window, grows, .. } => {
                let past = grows.map(|grows| WindowSpan::Rolling(grows.window));
                std::iter::once(WindowSpan::Rolling(*window)).chain(past).collect()
            }
        }
    }

    /// The condition, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.condition {
            Condition::Incident(kind) => format!("an incident of kind {} is open", kind.name()),
            Condition::Metric { metric, rule, violated, window, grows, .. } => {
                let mut parts = Vec::new();
                if let Some(rule) = rule {
                    let not = if *violated { "not " } else { "" };
                    parts.push(format!("{metric} {not}{rule}"));
                }
                if let Some(grows) = grows {
                    let (factor, past) = (grows.factor_percent, format_duration(grows.window));
                    parts.push(format!("{metric} at least {factor}% of its last {past}"));
                }
                if parts.is_empty() {
                    return format!("{metric} is shown: the plan has no condition");
                }
                let sustained = self.timing.sustained_for;
                let mut text = format!("{} over {}", parts.join(" and "), format_duration(*window));
                if !sustained.is_zero() {
                    text = format!("{text}, for {}", format_duration(sustained));
                }
                text
            }
        }
    }
}

/// Everything that a plan has watched, in its order: triggers, thresholds, advisories.
#[must_use]
pub fn watched(plan: &Plan) -> Vec<Watched<'_>> {
    let statistical = plan.triggers.iter().filter(|trigger| is_statistical(&trigger.condition));
    let sharing = u32::try_from(statistical.count().max(1)).unwrap_or(u32::MAX);
    let alpha = BUDGET / f64::from(sharing);
    let triggers = plan.triggers.iter().map(|trigger| of_trigger(trigger, alpha));
    let thresholds = plan.thresholds.iter().map(of_threshold);
    let advisories = plan.signals.iter().map(of_signal);
    triggers.chain(thresholds).chain(advisories).collect()
}

/// Whether chance can make it fire: several of them share the budget.
fn is_statistical(condition: &TriggerCondition) -> bool {
    match condition {
        TriggerCondition::Metric { metric, timing, .. } => {
            !timing.literal && (metric.unit() == plan::Unit::Rate || *metric == Metric::LatencyP99)
        }
        TriggerCondition::Incident { .. } => false,
    }
}

fn of_trigger(trigger: &plan::Trigger, alpha: f64) -> Watched<'_> {
    let (condition, timing) = match &trigger.condition {
        TriggerCondition::Incident { kind } => (Condition::Incident(*kind), Timing::default()),
        TriggerCondition::Metric { metric, fires_when, window, timing, prometheus } => {
            let condition = Condition::Metric {
                metric: *metric,
                rule: Some(*fires_when),
                violated: false,
                window: *window,
                grows: None,
                prometheus: prometheus.as_ref(),
            };
            (condition, *timing)
        }
    };
    Watched {
        subject: Subject::Trigger,
        id: trigger.id.to_string(),
        title: trigger.title.clone(),
        section: &trigger.section,
        action: Some(trigger.action),
        action_title: &trigger.action_title,
        note: &trigger.resume_criterion,
        condition,
        timing,
        phases: &[],
        alpha,
    }
}

fn of_threshold(threshold: &plan::Threshold) -> Watched<'_> {
    let phases: Vec<_> =
        threshold.phases.iter().map(|phase| phase.as_str().to_lowercase()).collect();
    let window = format_duration(threshold.window);
    Watched {
        subject: Subject::Threshold,
        id: format!("{}-{}-{window}", threshold.metric, phases.join("-")),
        title: format!("{} {} over {window}", threshold.metric, threshold.requirement),
        section: "4.1",
        action: None,
        action_title: "",
        note: "",
        condition: Condition::Metric {
            metric: threshold.metric,
            rule: Some(threshold.requirement),
            violated: true,
            window: threshold.window,
            grows: None,
            prometheus: None,
        },
        timing: threshold.timing,
        phases: &threshold.phases,
        alpha: BUDGET,
    }
}

fn of_signal(signal: &plan::Signal) -> Watched<'_> {
    Watched {
        subject: Subject::Advisory,
        id: signal.id.to_string(),
        title: signal.title.clone(),
        section: "4.3",
        action: None,
        action_title: &signal.action,
        note: &signal.concern,
        condition: Condition::Metric {
            metric: signal.metric,
            rule: signal.raised_when,
            violated: false,
            window: signal.window,
            grows: signal.grows,
            prometheus: None,
        },
        timing: signal.timing,
        phases: &[],
        alpha: BUDGET,
    }
}

#[cfg(test)]
mod tests;
