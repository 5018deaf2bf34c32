//! Judging a metric: the literal rule first, then how sure it is.

use std::time::Duration;

use plan::{Assurance, Comparison, Metric, MetricCriterion, Quantity, WindowSpan};
use vocab::{Timestamp, format_duration};

use super::{CriterionResult, Kind, Verdict};
use crate::evidence::{Evidence, SpanKey};
use crate::statistics::{clopper_pearson, ln_e_fail, ln_e_pass};
use crate::tally::Tally;

const ALPHA: f64 = 0.05; // Error budget of a single criterion (research: gating).

/// Rolling windows every metric is shown over, beside "since phase start".
pub const MEASURED_SPANS: [WindowSpan; 3] = [
    WindowSpan::Rolling(Duration::from_secs(15 * 60)),
    WindowSpan::Rolling(Duration::from_secs(24 * 3600)),
    WindowSpan::Rolling(Duration::from_secs(7 * 24 * 3600)),
];

/// What was measured.
enum Measured {
    /// Nothing can be said, and why.
    Nothing(String),
    /// `part` of `whole`, judged as an exact fraction.
    Rate { part: u64, whole: u64, bad: u64 },
    /// A number, resting on so many observations. `trials`: slow and all uploads, for p99.
    Amount { amount: u64, samples: u64, trials: Option<(u64, u64)> },
}

pub(super) fn judge(
    criterion: &MetricCriterion,
    evidence: &Evidence,
    now: Timestamp,
) -> CriterionResult {
    let measured = measure(criterion, evidence, now);
    let mut result = match measured {
        Measured::Nothing(why) => CriterionResult::new(Kind::Metric, Verdict::Inconclusive, why),
        Measured::Rate { part, whole, bad } => judge_rate(criterion, part, whole, bad),
        Measured::Amount { amount, samples, trials } => {
            judge_amount(criterion, amount, samples, trials)
        }
    };
    result.requirement = criterion.requirement.to_string();
    result.window = describe(criterion.window);
    result.source = if criterion.label.is_empty() {
        criterion.metric.name().to_owned()
    } else {
        format!("{}{{{}}}", criterion.metric.name(), criterion.label)
    };
    result
}

fn describe(window: WindowSpan) -> String {
    match window {
        WindowSpan::SincePhaseStart => "since phase start".to_owned(),
        WindowSpan::Rolling(length) => format!("last {}", format_duration(length)),
    }
}

fn measure(criterion: &MetricCriterion, evidence: &Evidence, now: Timestamp) -> Measured {
    let no_tally = Tally::default();
    let tally = evidence.tallies.get(&SpanKey::from(criterion.window)).unwrap_or(&no_tally);
    let since = match criterion.window {
        WindowSpan::SincePhaseStart => Timestamp::from_millis(i64::MIN),
        WindowSpan::Rolling(length) => now.minus(length),
    };
    let recent = |times: &[Timestamp]| count(times.iter().filter(|at| **at >= since).count());
    let counted = |amount: u64| Measured::Amount { amount, samples: amount, trials: None };
    match criterion.metric {
        Metric::UploadsProcessed => counted(tally.processed()),
        Metric::UploadsSucceeded => counted(tally.succeeded),
        Metric::ErrorRate => {
            Measured::Rate { part: tally.failed, whole: tally.judged(), bad: tally.failed }
        }
        Metric::SuccessRate => {
            Measured::Rate { part: tally.succeeded, whole: tally.judged(), bad: tally.failed }
        }
        Metric::LatencyP99 => measure_latency(criterion, tally),
        Metric::CircuitBreakerEvents => alive(tally, recent(&evidence.sighted.breaker_opened)),
        Metric::ManualInterventions => alive(tally, recent(&evidence.sighted.interventions)),
        Metric::CircuitBreakerOpenTime => {
            let open = evidence.sighted.breakers.values().filter_map(|breaker| breaker.open_since);
            let longest = open.map(|since| now.since(since)).max().unwrap_or_default();
            alive(tally, u64::try_from(longest.as_millis()).unwrap_or(u64::MAX))
        }
        Metric::StateTransitionCoverage => {
            let expected = &evidence.expected_transitions;
            let seen =
                expected.iter().filter(|one| evidence.sighted.transitions.contains(*one)).count();
            let missing = expected.len() - seen;
            Measured::Rate { part: count(seen), whole: count(expected.len()), bad: count(missing) }
        }
        Metric::StagingBacklog
        | Metric::OpenBugs
        | Metric::OpenIncidents
        | Metric::SupportTickets
        | Metric::ComplaintRate
        | Metric::Availability
        | Metric::DbCpu
        | Metric::ConcurrencyBreaches
        | Metric::OnCallPages => measure_gauge(criterion, evidence, now),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A count of bad events means something only where somebody was there to report them.
fn alive(tally: &Tally, amount: u64) -> Measured {
    let samples = tally.processed() + tally.legacy;
    if samples == 0 && amount == 0 {
        return Measured::Nothing("no telemetry: nobody has reported anything".to_owned());
    }
    Measured::Amount { amount, samples, trials: None }
}

fn measure_latency(criterion: &MetricCriterion, tally: &Tally) -> Measured {
    let Some(amount) = tally.latency_p99_ms() else {
        return Measured::Nothing("no data: no upload has been timed".to_owned());
    };
    let (slow, timed) = tally.slower_than(criterion.requirement.threshold.amount());
    Measured::Amount { amount, samples: timed, trials: Some((slow, timed)) }
}

fn measure_gauge(criterion: &MetricCriterion, evidence: &Evidence, now: Timestamp) -> Measured {
    let key = (criterion.metric, criterion.label.clone());
    let Some(gauge) = evidence.gauges.get(&key) else {
        return Measured::Nothing("no data: the gauge has never been reported".to_owned());
    };
    let age = now.since(gauge.at);
    if age > Duration::from_millis(evidence.gauge_age_max_ms) {
        let age = format_duration(age);
        return Measured::Nothing(format!("stale: last reported {age} ago"));
    }
    Measured::Amount { amount: gauge.amount, samples: 1, trials: None }
}

fn judge_rate(criterion: &MetricCriterion, part: u64, whole: u64, bad: u64) -> CriterionResult {
    let threshold = criterion.requirement.threshold.amount();
    if whole == 0 {
        let why = "no data: nothing has been counted";
        return CriterionResult::new(Kind::Metric, Verdict::Inconclusive, why);
    }
    // part/whole against threshold/1e6, cross-multiplied: exact.
    let left = u128::from(part) * 1_000_000;
    let holds =
        criterion.requirement.comparison.holds(left, u128::from(threshold) * u128::from(whole));
    let bad_threshold = match criterion.requirement.comparison {
        Comparison::Below | Comparison::AtMost | Comparison::Equal => threshold,
        Comparison::AtLeast | Comparison::Above => 1_000_000_u64.saturating_sub(threshold),
    };
    let assurance = assure(criterion.assurance, bad, whole, bad_threshold);
    let (verdict, reason) = decide(criterion, holds, whole, assurance);
    let ppm = u64::try_from(left / u128::from(whole)).unwrap_or(u64::MAX);
    let mut result = CriterionResult::new(Kind::Metric, verdict, reason);
    result.value = format!("{} ({part} of {whole})", Quantity::Rate(rounded(ppm)));
    result.interval = Some(clopper_pearson(part, whole, ALPHA));
    result.sample_count = whole;
    result
}

/// To two decimals of a percent, for people.
const fn rounded(ppm: u64) -> u64 {
    ppm / 100 * 100
}

fn judge_amount(
    criterion: &MetricCriterion,
    amount: u64,
    samples: u64,
    trials: Option<(u64, u64)>,
) -> CriterionResult {
    let requirement = criterion.requirement;
    let holds = requirement
        .comparison
        .holds(u128::from(amount), u128::from(requirement.threshold.amount()));
    // "p99 below T" says the same as "fewer than 1 % are slower than T": an exact test.
    let assurance =
        trials.map_or(Sure::Yes, |(slow, timed)| assure(criterion.assurance, slow, timed, 10_000));
    let (verdict, reason) = decide(criterion, holds, samples, assurance);
    let mut result = CriterionResult::new(Kind::Metric, verdict, reason);
    result.value = match requirement.threshold {
        Quantity::Rate(_) => Quantity::Rate(amount),
        Quantity::Time(_) => Quantity::Time(amount),
        Quantity::Count(_) => Quantity::Count(amount),
    }
    .to_string();
    result.sample_count = samples;
    result
}

/// How the data supports a rule that holds literally.
enum Sure {
    Yes,
    Disproved,
    NotYet,
}

fn assure(assurance: Assurance, bad: u64, trials: u64, threshold_ppm: u64) -> Sure {
    if threshold_ppm == 0 || threshold_ppm >= 1_000_000 {
        return Sure::Yes; // "None at all" is exact: there is nothing to be unsure about.
    }
    let threshold = f64::from(u32::try_from(threshold_ppm).unwrap_or(u32::MAX)) / 1e6;
    let needed = (1.0 / ALPHA).ln();
    let disproved = ln_e_fail(bad, trials, threshold) >= needed;
    match assurance {
        Assurance::Observed => Sure::Yes,
        Assurance::NotDisproved | Assurance::Certified if disproved => Sure::Disproved,
        Assurance::NotDisproved => Sure::Yes,
        Assurance::Certified if ln_e_pass(bad, trials, threshold) >= needed => Sure::Yes,
        Assurance::Certified => Sure::NotYet,
    }
}

fn decide(
    criterion: &MetricCriterion,
    holds: bool,
    samples: u64,
    assurance: Sure,
) -> (Verdict, String) {
    let minimum = criterion.minimum_samples;
    if samples < minimum {
        return (Verdict::Inconclusive, format!("{samples} of at least {minimum} samples"));
    }
    // A count still growing towards its threshold has not failed: it is not there yet.
    let growing = matches!(criterion.metric, Metric::UploadsProcessed | Metric::UploadsSucceeded);
    match (holds, assurance) {
        (true, Sure::Yes) => (Verdict::Pass, "met".to_owned()),
        (true, Sure::Disproved) => {
            (Verdict::Fail, "met as it stands, but the data disproves it".to_owned())
        }
        (true, Sure::NotYet) => {
            (Verdict::Inconclusive, "met as it stands, but not certain enough yet".to_owned())
        }
        (false, _) if growing => (Verdict::Inconclusive, "not there yet".to_owned()),
        (false, _) => (Verdict::Fail, "not met".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use plan::{Requirement, Unit};
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn criterion(metric: Metric, rule: &str, minimum_samples: u64) -> MetricCriterion {
        MetricCriterion {
            metric,
            label: String::new(),
            requirement: Requirement::parse(rule, metric.unit()).unwrap(),
            window: WindowSpan::SincePhaseStart,
            minimum_samples,
            assurance: Assurance::NotDisproved,
        }
    }

    fn evidence(succeeded: u64, failed: u64) -> Evidence {
        let mut evidence = Evidence::default();
        let latencies = vec![(crate::latency::latency_bucket(250), succeeded + failed)];
        let tally = Tally { succeeded, failed, latencies, ..Tally::default() };
        evidence.tallies.insert(WindowSpan::SincePhaseStart.into(), tally);
        evidence
    }

    fn verdict(criterion: &MetricCriterion, evidence: &Evidence) -> Verdict {
        judge(criterion, evidence, NOW).verdict
    }

    #[test]
    fn no_data_is_inconclusive_for_every_metric() {
        for metric in Metric::ALL {
            let rule = match metric.unit() {
                Unit::Rate => "< 5%",
                Unit::Time => "< 5m",
                Unit::Count => "< 5",
            };
            if matches!(metric, Metric::UploadsProcessed | Metric::UploadsSucceeded) {
                continue; // Counted up to a threshold: zero is a number, and not there yet.
            }
            let found = judge(&criterion(*metric, rule, 0), &Evidence::default(), NOW);
            assert_eq!(found.verdict, Verdict::Inconclusive, "{metric}: {found:?}");
        }
    }

    #[test]
    fn the_threshold_itself_does_not_pass_a_strict_rule() {
        let rule = criterion(Metric::ErrorRate, "< 5%", 100);
        assert_eq!(verdict(&rule, &evidence(95, 5)), Verdict::Fail);
        assert_eq!(verdict(&rule, &evidence(96, 4)), Verdict::Pass);
        assert_eq!(verdict(&rule, &evidence(98, 1)), Verdict::Inconclusive);
    }

    #[test]
    fn a_count_below_its_goal_is_not_there_yet() {
        let rule = criterion(Metric::UploadsSucceeded, ">= 100", 0);
        assert_eq!(verdict(&rule, &evidence(99, 0)), Verdict::Inconclusive);
        assert_eq!(verdict(&rule, &evidence(100, 0)), Verdict::Pass);
    }

    #[test]
    fn a_stale_gauge_never_passes() {
        let rule = criterion(Metric::OpenBugs, "= 0", 0);
        let mut evidence = Evidence { gauge_age_max_ms: 1_000, ..Evidence::default() };
        let key = (Metric::OpenBugs, String::new());
        evidence.gauges.insert(key.clone(), crate::Gauge { amount: 0, at: NOW });
        assert_eq!(verdict(&rule, &evidence), Verdict::Pass);
        let old = NOW.minus(Duration::from_secs(2));
        evidence.gauges.insert(key, crate::Gauge { amount: 0, at: old });
        assert_eq!(verdict(&rule, &evidence), Verdict::Inconclusive);
    }

    proptest! {
        #[test]
        fn turning_a_success_into_an_error_never_improves_a_verdict(
            succeeded in 1_u64..400, failed in 0_u64..100
        ) {
            for rule in ["< 5%", "< 1%", "< 20%"] {
                for assurance in
                    [Assurance::Observed, Assurance::NotDisproved, Assurance::Certified]
                {
                    let rule =
                        MetricCriterion { assurance, ..criterion(Metric::ErrorRate, rule, 50) };
                    let before = verdict(&rule, &evidence(succeeded, failed));
                    let after = verdict(&rule, &evidence(succeeded - 1, failed + 1));
                    prop_assert!(after <= before, "{before:?} became {after:?}");
                }
            }
        }
    }
}
