//! What a criterion on a number may ask for, and what does not fit: one test a rule.

use std::time::Duration;

use plan::{Assurance, Baseline, Judged, MetricCriterion, Plan, SHIPPED};

const METRIC: &str =
    "metric: { name: uploads_processed, requirement: \">= 50\", window: since_phase_start }";

/// The shipped plan with another metric under `gate-1-uploads`.
fn with(metric: &str) -> String {
    assert!(SHIPPED.contains(METRIC));
    SHIPPED.replacen(METRIC, &format!("metric: {{ {metric} }}"), 1)
}

fn read(metric: &str) -> MetricCriterion {
    let (plan, _) = Plan::parse(&with(metric)).expect("the plan is valid");
    let criterion = plan.criteria().find(|one| one.id.as_str() == "gate-1-uploads");
    let criterion = criterion.expect("the criterion is still there");
    let Judged::Metric(metric) = &criterion.judged else { panic!("{criterion:?}") };
    metric.clone()
}

#[track_caller]
fn refused(metric: &str, key: &str, expected: &str) {
    let problems = Plan::parse(&with(metric)).expect_err("it does not fit");
    let path = format!("phases[1].gate.criteria[0].metric{key}");
    let found = problems.iter().find(|problem| problem.path == path);
    assert!(found.is_some_and(|problem| problem.message.contains(expected)), "{problems:#?}");
}

#[test]
fn asking_for_a_confidence_asks_for_proof() {
    let rate = "name: error_rate, requirement: \"< 3%\", window: 7d";
    assert_eq!(read(rate).assurance, Assurance::NotDisproved);
    let sure = read(&format!("{rate}, confidence: 99.5%"));
    assert_eq!((sure.assurance, sure.confidence_ppm), (Assurance::Certified, 995_000));
    for wrong in ["100%", "49%", "99.999%", "high"] {
        refused(&format!("{rate}, confidence: {wrong}"), ".confidence", "expected 50% to 99.99%");
    }
}

#[test]
fn only_uploads_ripen_and_for_two_hours_at_most() {
    let rate = "name: error_rate, requirement: \"< 3%\", window: 7d";
    let ripe = read(&format!("{rate}, mature_after: 10m"));
    assert_eq!(ripe.mature_after, Duration::from_secs(600));
    refused(&format!("{rate}, mature_after: 3h"), ".mature_after", "at most 2h");
    let count = "name: uploads_processed, requirement: \">= 50\", window: 7d, mature_after: 10m";
    refused(count, ".mature_after", "only error_rate and success_rate");
}

#[test]
fn a_count_is_compared_with_a_requirement_or_with_a_baseline() {
    let normal = "name: support_tickets, window: 24h, baseline: { count: 40, period: 7d }";
    let period = Duration::from_secs(7 * 24 * 3600);
    assert_eq!(read(normal).baseline, Some(Baseline { count: 40, period }));
    refused(&format!("{normal}, requirement: \"< 5\""), "", "found requirement and baseline");
    refused("name: support_tickets, window: 24h", "", "exactly one of requirement, baseline");
    let rate = "name: error_rate, window: 24h, baseline: { count: 4, period: 7d }";
    refused(rate, ".baseline", "only a count has a baseline");
}

#[test]
fn only_a_gauge_has_a_statistic() {
    let most = "name: staging_backlog, requirement: \"< 100K\", window: 24h, statistic: max";
    assert_eq!(read(most).statistic, plan::Statistic::Max);
    let rate = "name: error_rate, requirement: \"< 3%\", window: 7d, statistic: max";
    refused(rate, ".statistic", "only a gauge");
}

#[test]
fn a_minimum_of_samples_needs_to_be_asked_of_prometheus_too() {
    let rate = "name: error_rate, requirement: \"< 3%\", window: 7d, minimum_samples: 50";
    let asked = format!("{rate}, prometheus: {{ query: ratio, samples_query: total }}");
    assert!(read(&asked).prometheus.is_some_and(|asked| asked.samples_query.is_some()));
    let unasked = format!("{rate}, prometheus: {{ query: ratio }}");
    refused(&unasked, ".minimum_samples", "expected prometheus.samples_query");
}

#[test]
fn only_what_people_state_expires() {
    let line = "observed: gate_passed";
    let problems =
        Plan::parse(&SHIPPED.replacen(line, &format!("{line}\n        expires_after: 3d"), 1));
    let problems = problems.unwrap_err();
    let why = "only attestations and sign-offs expire";
    assert!(problems.iter().any(|problem| problem.message == why), "{problems:#?}");
}
