use std::time::Duration;

use plan::{Assurance, Baseline, PromQuery, Statistic};
use proptest::prelude::*;

use super::*;
use crate::evidence::{Answer, Gauge};
use crate::tally::{Field, Happening, Outcome, Path, Ripe, Tally};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn criterion(metric: Metric, rule: &str, minimum_samples: u64) -> MetricCriterion {
    MetricCriterion {
        metric,
        label: String::new(),
        requirement: Requirement::parse(rule, metric.unit()).unwrap(),
        window: WindowSpan::SincePhaseStart,
        minimum_samples,
        assurance: Assurance::NotDisproved,
        confidence_ppm: 950_000,
        mature_after: Duration::ZERO,
        statistic: Statistic::Newest,
        baseline: None,
        prometheus: None,
    }
}

/// Evidence of reporters that are alive.
fn alive(tally: Tally) -> Evidence {
    let mut evidence = Evidence {
        heard: Some(NOW),
        newest_outcome: Some(NOW),
        silent_after: HOUR,
        gauge_age_max_ms: 1_000,
        ..Evidence::default()
    };
    evidence.tallies.insert(WindowSpan::SincePhaseStart.into(), tally);
    evidence
}

fn evidence(succeeded: u64, failed: u64) -> Evidence {
    let latencies = vec![(crate::latency::latency_bucket(250), succeeded + failed)];
    alive(Tally { succeeded, failed, latencies, ..Tally::default() })
}

fn found(criterion: &MetricCriterion, evidence: &Evidence) -> CriterionResult {
    judge(criterion, evidence, NOW)
}

fn verdict(criterion: &MetricCriterion, evidence: &Evidence) -> Verdict {
    found(criterion, evidence).verdict
}

fn some_rule(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Rate => "< 5%",
        Unit::Time => "< 5m",
        Unit::Count => "< 5",
    }
}

#[test]
fn no_data_is_inconclusive_for_every_metric_and_says_whether_anybody_is_there() {
    for metric in Metric::ALL {
        let rule = criterion(*metric, some_rule(*metric), 0);
        let silent = found(&rule, &Evidence::default());
        assert_eq!(silent.verdict, Verdict::Inconclusive, "{metric}: {silent:?}");
        let codes = [Reason::NoTelemetry, Reason::Idle];
        assert!(codes.contains(&silent.code), "{metric}: {silent:?}");
    }
    let rule = criterion(Metric::ErrorRate, "< 5%", 0);
    assert_eq!(found(&rule, &Evidence::default()).code, Reason::NoTelemetry);
    assert_eq!(found(&rule, &evidence(0, 0)).code, Reason::Idle);
    let long_ago = Evidence { heard: Some(NOW.minus(2 * HOUR)), ..evidence(0, 0) };
    assert_eq!(found(&rule, &long_ago).code, Reason::NoTelemetry);
    assert_eq!(
        found(&criterion(Metric::ErrorRate, "< 5%", 10), &evidence(3, 0)).code,
        Reason::Insufficient
    );
}

#[test]
fn data_of_reporters_that_fell_silent_is_stale() {
    let rule = criterion(Metric::ErrorRate, "< 5%", 0);
    assert_eq!(found(&rule, &evidence(100, 0)).code, Reason::Met);
    let silent = Evidence { heard: Some(NOW.minus(2 * HOUR)), ..evidence(100, 0) };
    assert_eq!(found(&rule, &silent).code, Reason::Stale);
}

#[test]
fn the_threshold_itself_does_not_pass_a_strict_rule() {
    let rule = criterion(Metric::ErrorRate, "< 5%", 100);
    assert_eq!(verdict(&rule, &evidence(95, 5)), Verdict::Fail);
    assert_eq!(verdict(&rule, &evidence(96, 4)), Verdict::Pass);
    assert_eq!(verdict(&rule, &evidence(98, 1)), Verdict::Inconclusive);
}

#[test]
fn each_verdict_says_how_sure_it_is_and_what_a_certificate_would_still_need() {
    let rule = criterion(Metric::ErrorRate, "< 2%", 100);
    let observed = found(&rule, &evidence(100, 0));
    assert_eq!(observed.assurance, Some(Assurance::NotDisproved));
    assert_eq!(observed.certified_after, Some(124));
    assert_eq!(found(&rule, &evidence(224, 0)).assurance, Some(Assurance::Certified));
    let certified = MetricCriterion { assurance: Assurance::Certified, ..rule };
    assert_eq!(found(&certified, &evidence(223, 0)).code, Reason::Uncertain);
    assert_eq!(verdict(&certified, &evidence(224, 0)), Verdict::Pass);
}

#[test]
fn more_confidence_takes_more_samples() {
    let rule = MetricCriterion {
        assurance: Assurance::Certified,
        confidence_ppm: 999_000,
        ..criterion(Metric::ErrorRate, "< 2%", 100)
    };
    assert_eq!(found(&rule, &evidence(224, 0)).code, Reason::Uncertain);
    assert_eq!(found(&rule, &evidence(500, 0)).code, Reason::Met);
}

#[test]
fn a_p99_is_judged_by_the_uploads_beyond_it() {
    let rule = criterion(Metric::LatencyP99, "< 5m", 50);
    let mut tally = Tally::default();
    let mut upload = |latency_ms, times| {
        for field in Field::of(Path::New, Outcome::Succeeded, latency_ms, &[300_000]) {
            tally.add(field, times);
        }
        alive(tally.clone())
    };
    let fast = found(&rule, &upload(299_999, 495));
    assert_eq!(fast.code, Reason::Met, "within 1 % of the limit, and below it: {fast:?}");
    assert!(fast.value.contains("0 of 495 slower"), "{}", fast.value);
    assert_eq!(found(&rule, &upload(300_000, 4)).code, Reason::Met);
    assert_eq!(found(&rule, &upload(300_000, 5)).code, Reason::NotMet);
}

#[test]
fn a_p99_without_enough_samples_has_no_upper_bound_and_says_so() {
    let rule = criterion(Metric::LatencyP99, "< 5m", 50);
    let few = found(&rule, &evidence(298, 0));
    assert!(few.value.contains("no upper bound at 95%"), "{}", few.value);
    let enough = found(&rule, &evidence(299, 0));
    assert!(enough.value.contains("at most 2"), "{}", enough.value);
}

#[test]
fn an_upload_that_never_ended_is_an_error_once_it_is_old_enough() {
    let rule = MetricCriterion {
        mature_after: Duration::from_secs(300),
        ..criterion(Metric::ErrorRate, "< 3%", 50)
    };
    let mut evidence = evidence(100, 0);
    assert_eq!(found(&rule, &evidence).code, Reason::Idle, "none is old enough");
    let key = (WindowSpan::SincePhaseStart.into(), 300_000);
    evidence.ripe.insert(key, Ripe { begun: 100, succeeded: 97, failed: 0, invalid: 0 });
    let lost = found(&rule, &evidence);
    assert_eq!((lost.code, lost.value.as_str()), (Reason::NotMet, "3% (3 of 100)"));
    evidence.ripe.insert(key, Ripe { begun: 100, succeeded: 98, failed: 0, invalid: 2 });
    assert_eq!(found(&rule, &evidence).code, Reason::Met);
}

#[test]
fn a_count_below_its_goal_is_not_there_yet() {
    let rule = criterion(Metric::UploadsSucceeded, ">= 100", 0);
    assert_eq!(found(&rule, &evidence(99, 0)).code, Reason::NotThereYet);
    assert_eq!(verdict(&rule, &evidence(100, 0)), Verdict::Pass);
}

#[test]
fn a_stale_gauge_never_passes() {
    let rule = criterion(Metric::OpenBugs, "= 0", 0);
    let mut evidence = evidence(0, 0);
    let key = (Metric::OpenBugs, String::new());
    evidence.gauges.insert(key.clone(), Gauge { amount: 0, at: NOW });
    assert_eq!(verdict(&rule, &evidence), Verdict::Pass);
    let old = NOW.minus(Duration::from_secs(2));
    evidence.gauges.insert(key, Gauge { amount: 0, at: old });
    assert_eq!(found(&rule, &evidence).code, Reason::Stale);
}

#[test]
fn a_steady_state_is_judged_by_the_largest_reading() {
    let rule = MetricCriterion {
        statistic: Statistic::Max,
        ..criterion(Metric::StagingBacklog, "< 100K", 0)
    };
    let mut tally = Tally::default();
    tally.add(crate::tally::reading(Metric::StagingBacklog, 150_000), 1);
    let mut evidence = alive(tally);
    evidence.gauges.insert((Metric::StagingBacklog, String::new()), Gauge { amount: 10, at: NOW });
    assert_eq!(verdict(&rule, &evidence), Verdict::Fail);
    let newest = MetricCriterion { statistic: Statistic::Newest, ..rule };
    assert_eq!(verdict(&newest, &evidence), Verdict::Pass);
}

#[test]
fn nobody_having_looked_is_not_none() {
    let rule = criterion(Metric::ConcurrencyBreaches, "= 0", 0);
    assert_eq!(found(&rule, &evidence(9, 0)).code, Reason::NoTelemetry);
    let mut tally = Tally::default();
    tally.add(Field::Looked(Happening::ConcurrencyBreach), 1);
    assert_eq!(verdict(&rule, &alive(tally.clone())), Verdict::Pass);
    tally.add(Field::Happened(Happening::ConcurrencyBreach), 2);
    assert_eq!(verdict(&rule, &alive(tally)), Verdict::Fail);
}

#[test]
fn normal_volume_is_what_the_baseline_allows() {
    let rule = MetricCriterion {
        window: WindowSpan::SincePhaseStart,
        baseline: Some(Baseline { count: 40, period: 24 * HOUR }),
        confidence_ppm: 990_000,
        ..criterion(Metric::SupportTickets, "< 1", 0)
    };
    let with = |tickets| {
        let mut tally = Tally::default();
        tally.add(Field::Looked(Happening::SupportTicket), 1);
        tally.add(Field::Happened(Happening::SupportTicket), tickets);
        Evidence { phase_start: NOW.minus(24 * HOUR), ..alive(tally) }
    };
    let normal = found(&rule, &with(57));
    assert_eq!((normal.code, normal.requirement.as_str()), (Reason::Met, "<= 57"));
    assert_eq!(found(&rule, &with(58)).code, Reason::NotMet);
}

#[test]
fn what_prometheus_did_not_answer_is_inconclusive() {
    let query = PromQuery {
        query: "ratio".to_owned(),
        samples_query: Some("total".to_owned()),
        age_max: Duration::from_secs(60),
    };
    let rule = MetricCriterion {
        prometheus: Some(query.clone()),
        ..criterion(Metric::ErrorRate, "< 3%", 50)
    };
    let mut evidence = Evidence::default();
    assert_eq!(found(&rule, &evidence).code, Reason::SourceUnavailable);
    let mut answered = |answer| {
        evidence.answers.insert(query.clone(), answer);
        found(&rule, &evidence).code
    };
    assert_eq!(answered(Err("timed out".to_owned())), Reason::SourceUnavailable);
    let answer = Answer { amount: 10_000, samples: 100, at: NOW };
    assert_eq!(answered(Ok(answer)), Reason::Met);
    assert_eq!(answered(Ok(Answer { amount: 30_000, ..answer })), Reason::NotMet);
    assert_eq!(answered(Ok(Answer { samples: 49, ..answer })), Reason::Insufficient);
    assert_eq!(answered(Ok(Answer { at: NOW.minus(HOUR), ..answer })), Reason::Stale);
}

fn rules() -> Vec<MetricCriterion> {
    let mut rules = Vec::new();
    for rule in ["< 5%", "< 1%", "< 20%", "<= 10%"] {
        for assurance in [Assurance::Observed, Assurance::NotDisproved, Assurance::Certified] {
            rules.push(MetricCriterion { assurance, ..criterion(Metric::ErrorRate, rule, 50) });
        }
    }
    let good = criterion(Metric::SuccessRate, "> 95%", 50);
    rules.push(MetricCriterion { assurance: Assurance::Certified, ..good.clone() });
    rules.push(good);
    rules
}

proptest! {
    #[test]
    fn turning_a_success_into_an_error_never_improves_a_verdict(
        succeeded in 1_u64..400, failed in 0_u64..100
    ) {
        for rule in rules() {
            let before = verdict(&rule, &evidence(succeeded, failed));
            let after = verdict(&rule, &evidence(succeeded - 1, failed + 1));
            prop_assert!(after <= before, "{before:?} became {after:?}");
        }
    }

    #[test]
    fn a_success_that_is_missing_never_improves_a_verdict(
        succeeded in 1_u64..400, failed in 0_u64..100, missing in 1_u64..400
    ) {
        for rule in rules() {
            let before = verdict(&rule, &evidence(succeeded, failed));
            let after = verdict(&rule, &evidence(succeeded.saturating_sub(missing), failed));
            prop_assert!(after != Verdict::Pass || before == Verdict::Pass, "{before:?} became a pass");
        }
    }

    #[test]
    fn losing_all_data_never_makes_a_pass(
        succeeded in 0_u64..400, failed in 0_u64..100, hours in 2_u32..100
    ) {
        for rule in rules() {
            let mut lost = evidence(succeeded, failed);
            lost.tallies.clear();
            prop_assert_eq!(verdict(&rule, &lost), Verdict::Inconclusive);
            let silent =
                Evidence { heard: Some(NOW.minus(HOUR * hours)), ..evidence(succeeded, failed) };
            prop_assert_eq!(verdict(&rule, &silent), Verdict::Inconclusive);
        }
    }
}
