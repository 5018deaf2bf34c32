//! Judging a metric: the literal rule first, then how sure it is.

use plan::{
    Assurance, Comparison, Metric, MetricCriterion, Quantity, Requirement, Unit, WindowSpan,
};
use vocab::Timestamp;

use super::measure::{Measured, Question, measure};
use super::value::{describe, resolution};
use super::{CriterionResult, Kind, Reason, Verdict};
use crate::evidence::{Evidence, SpanKey};
use crate::latency::RELATIVE_ERROR_PPM;
use crate::statistics::{
    certified_after, clopper_pearson, confidence_sequence, ln_e_fail, ln_e_pass, poisson_limits,
    real,
};

const P99_TAIL_PPM: u64 = 10_000; // One in a hundred is slower than the 99th percentile.

pub(super) fn judge(
    criterion: &MetricCriterion,
    evidence: &Evidence,
    now: Timestamp,
) -> CriterionResult {
    let criterion = &normal(criterion, evidence, now);
    let question = Question {
        metric: criterion.metric,
        label: &criterion.label,
        window: criterion.window,
        mature_after: criterion.mature_after,
        statistic: criterion.statistic,
        prometheus: criterion.prometheus.as_ref(),
        limit: criterion.requirement.threshold.amount(),
    };
    let (measured, data_time) = measure(&question, evidence, now);
    let mut result = match measured {
        Measured::Nothing(code, why) => {
            CriterionResult::new(Kind::Metric, Verdict::Inconclusive, code, why)
        }
        Measured::Rate { part, whole } => judge_rate(criterion, part, whole),
        Measured::Amount { amount, samples, trials, approximate } => {
            let mut result = judge_amount(criterion, amount, samples, trials);
            result.relative_error_ppm = if approximate { RELATIVE_ERROR_PPM } else { 0 };
            result
        }
    };
    if criterion.metric == Metric::LatencyP99 && criterion.prometheus.is_none() {
        say_bound(&mut result, criterion, evidence);
    }
    result.requirement = criterion.requirement.to_string();
    result.window = describe(criterion.window);
    result.source = source(criterion);
    result.data_time = data_time;
    result.resolution = resolution(criterion.metric, criterion.window);
    result.required = Some(criterion.assurance);
    result
}

fn source(criterion: &MetricCriterion) -> String {
    match &criterion.prometheus {
        Some(query) => format!("prometheus: {}", query.query),
        None if criterion.label.is_empty() => criterion.metric.name().to_owned(),
        None => format!("{}{{{}}}", criterion.metric.name(), criterion.label),
    }
}

/// A criterion that asks for what is normal, as one that asks for at most the upper limit.
fn normal(criterion: &MetricCriterion, evidence: &Evidence, now: Timestamp) -> MetricCriterion {
    let Some(baseline) = criterion.baseline else { return criterion.clone() };
    let window_ms = match criterion.window {
        WindowSpan::Rolling(length) => length.as_millis(),
        // The phase may be younger than the longest window: then so much of it.
        WindowSpan::SincePhaseStart => now.since(evidence.phase_start).as_millis(),
    };
    let millis = |length: u128| real(u64::try_from(length).unwrap_or(u64::MAX));
    let share = millis(window_ms) / millis(baseline.period.as_millis().max(1));
    let (_, most) = poisson_limits(real(baseline.count) * share, alpha(criterion));
    let requirement =
        Requirement { comparison: Comparison::AtMost, threshold: Quantity::Count(most) };
    MetricCriterion { requirement, ..criterion.clone() }
}

/// The error budget of a criterion.
fn alpha(criterion: &MetricCriterion) -> f64 {
    f64::from(1_000_000 - criterion.confidence_ppm.min(999_999)) / 1e6
}

/// Whether fewer than one in a hundred are slow: what "p99 below" says, by its rank.
pub(crate) const fn p99_is_below(slow: u64, timed: u64) -> bool {
    slow <= timed / 100
}

/// Beside the sketch's percentile, what it is at most.
fn say_bound(result: &mut CriterionResult, criterion: &MetricCriterion, evidence: &Evidence) {
    let Some(tally) = evidence.tallies.get(&SpanKey::from(criterion.window)) else { return };
    if result.sample_count == 0 || result.value.is_empty() {
        return;
    }
    let confidence = Quantity::Rate(criterion.confidence_ppm.into());
    let bound = match tally.latency_p99_at_most_ms(alpha(criterion)) {
        Some(most) => format!("at most {} at {confidence}", Quantity::Time(most)),
        None => format!("no upper bound at {confidence}: too few samples"),
    };
    result.value = format!("{} ({bound})", result.value);
}

fn judge_rate(criterion: &MetricCriterion, part: u64, whole: u64) -> CriterionResult {
    let requirement = criterion.requirement;
    if whole == 0 {
        let why = "idle: there is nothing that it could be a share of";
        return CriterionResult::new(Kind::Metric, Verdict::Inconclusive, Reason::Idle, why);
    }
    let threshold = requirement.threshold.amount();
    // part/whole against threshold/1e6, cross-multiplied: exact.
    let left = u128::from(part) * 1_000_000;
    let holds = requirement.comparison.holds(left, u128::from(threshold) * u128::from(whole));
    let low_is_good = match requirement.comparison {
        Comparison::Below | Comparison::AtMost | Comparison::Equal => true,
        Comparison::AtLeast | Comparison::Above => false,
    };
    let bad = if low_is_good { part } else { whole - part };
    let limit = if low_is_good { threshold } else { 1_000_000_u64.saturating_sub(threshold) };
    let mut result = conclude(criterion, holds, whole, Some((bad, whole, limit)));
    let ppm = u64::try_from(left / u128::from(whole)).unwrap_or(u64::MAX);
    result.value = format!("{} ({part} of {whole})", Quantity::Rate(rounded(ppm)));
    // Under "certified" somebody looks all the time, and the interval must allow for it.
    result.interval = Some(match criterion.assurance {
        Assurance::Certified => confidence_sequence(part, whole, alpha(criterion)),
        Assurance::Observed | Assurance::NotDisproved => {
            clopper_pearson(part, whole, alpha(criterion))
        }
    });
    result
}

/// To two decimals of a percent, for people.
pub(crate) const fn rounded(ppm: u64) -> u64 {
    ppm / 100 * 100
}

/// An amount in the unit of a metric.
pub(crate) const fn in_unit(unit: Unit, amount: u64) -> Quantity {
    match unit {
        Unit::Rate => Quantity::Rate(rounded(amount)),
        Unit::Time => Quantity::Time(amount),
        Unit::Count => Quantity::Count(amount),
    }
}

fn judge_amount(
    criterion: &MetricCriterion,
    amount: u64,
    samples: u64,
    trials: Option<(u64, u64)>,
) -> CriterionResult {
    let requirement = criterion.requirement;
    let threshold = requirement.threshold.amount();
    let literal = requirement.comparison.holds(u128::from(amount), u128::from(threshold));
    // "p99 below T" says the same as "fewer than 1 % are slower than T": an exact test.
    let holds = match (trials, requirement.comparison) {
        (Some((slow, timed)), Comparison::Below | Comparison::AtMost) => p99_is_below(slow, timed),
        (Some((slow, timed)), Comparison::AtLeast | Comparison::Above) => {
            !p99_is_below(slow, timed)
        }
        (Some(_), Comparison::Equal) | (None, _) => literal,
    };
    let tested = trials.map(|(slow, timed)| (slow, timed, P99_TAIL_PPM));
    let mut result = conclude(criterion, holds, samples, tested);
    result.value = in_unit(criterion.metric.unit(), amount).to_string();
    if let Some((slow, timed)) = trials {
        result.value = format!("{}, {slow} of {timed} slower", result.value);
    }
    result
}

/// From the literal rule and the sample to a verdict. `tested`: bad ones, all, and the share of bad
/// ones that is allowed; `None` where the number itself is all there is to know.
fn conclude(
    criterion: &MetricCriterion,
    holds: bool,
    samples: u64,
    tested: Option<(u64, u64, u64)>,
) -> CriterionResult {
    let reached = holds.then(|| assurance(criterion, tested));
    let (verdict, code, reason) = decide(criterion, samples, reached);
    CriterionResult {
        sample_count: samples,
        assurance: reached.flatten(),
        certified_after: tested.filter(|_| holds).and_then(|(bad, all, limit_ppm)| {
            certified_after(bad, all, share(limit_ppm)?, alpha(criterion))
        }),
        ..CriterionResult::new(Kind::Metric, verdict, code, reason)
    }
}

/// A share that leaves something to be unsure about: "none at all" and "all" are exact.
fn share(ppm: u64) -> Option<f64> {
    (1..1_000_000).contains(&ppm).then(|| real(ppm) / 1e6)
}

/// How sure the data makes a rule that holds; `None` where the data disproves it.
fn assurance(criterion: &MetricCriterion, tested: Option<(u64, u64, u64)>) -> Option<Assurance> {
    let needed = (1.0 / alpha(criterion)).ln();
    let Some((bad, all, limit_ppm)) = tested else { return Some(Assurance::Certified) };
    let Some(limit) = share(limit_ppm) else { return Some(Assurance::Certified) };
    if ln_e_fail(bad, all, limit) >= needed {
        None
    } else if ln_e_pass(bad, all, limit) >= needed {
        Some(Assurance::Certified)
    } else {
        Some(Assurance::NotDisproved)
    }
}

/// `reached`: `None` where the rule does not hold; `Some(None)` where the data disproves it.
fn decide(
    criterion: &MetricCriterion,
    samples: u64,
    reached: Option<Option<Assurance>>,
) -> (Verdict, Reason, String) {
    let minimum = criterion.minimum_samples;
    if samples < minimum {
        let why = format!("{samples} of at least {minimum} samples");
        return (Verdict::Inconclusive, Reason::Insufficient, why);
    }
    // A count still growing towards its threshold has not failed: it is not there yet.
    let growing = matches!(criterion.metric, Metric::UploadsProcessed | Metric::UploadsSucceeded);
    let asked = criterion.assurance;
    match reached {
        None if growing => (Verdict::Inconclusive, Reason::NotThereYet, "not there yet".to_owned()),
        None => (Verdict::Fail, Reason::NotMet, "not met".to_owned()),
        Some(None) if asked > Assurance::Observed => {
            let why = "met as it stands, but the data disproves it".to_owned();
            (Verdict::Fail, Reason::Disproved, why)
        }
        Some(reached) if asked == Assurance::Certified && reached < Some(asked) => {
            let why = "met as it stands, but not certain enough yet".to_owned();
            (Verdict::Inconclusive, Reason::Uncertain, why)
        }
        Some(_) => (Verdict::Pass, Reason::Met, "met".to_owned()),
    }
}

#[cfg(test)]
mod tests;
