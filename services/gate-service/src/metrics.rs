//! The values of metrics, for people and dashboards.

use contracts::gate as pb;
use gate_core::{Evidence, MEASURED_SPANS, SpanKey, Tally};
use plan::{Metric, Quantity, WindowSpan};
use service_kit::fault::Fault;
use service_kit::wire::signed;
use vocab::format_duration;

use crate::app::App;

impl App {
    /// The values of all metrics of a rollout.
    pub(crate) async fn metrics(&self, rollout: &str) -> Result<Vec<pb::MetricValue>, Fault> {
        let watched = self.watched(rollout)?;
        let mut spans = vec![WindowSpan::SincePhaseStart];
        spans.extend(MEASURED_SPANS);
        let evidence = self.evidence(&watched, None, &spans, self.clock.now()).await?;
        let mut values = Vec::new();
        for span in spans {
            if let Some(tally) = evidence.tallies.get(&SpanKey::from(span)) {
                values.extend(of_tally(tally, &describe(span)));
            }
        }
        values.extend(of_sightings(&evidence));
        values.extend(evidence.gauges.iter().map(|((metric, label), gauge)| {
            value(*metric, label, &format!("at {}", gauge.at), Some(gauge.amount), 1)
        }));
        Ok(values)
    }
}

fn describe(span: WindowSpan) -> String {
    match span {
        WindowSpan::SincePhaseStart => "since phase start".to_owned(),
        WindowSpan::Rolling(length) => format!("last {}", format_duration(length)),
    }
}

fn of_tally(tally: &Tally, window: &str) -> Vec<pb::MetricValue> {
    let judged = tally.judged();
    let rate = |part: u64| {
        let ppm = u128::from(part) * 1_000_000 / u128::from(judged.max(1));
        (judged > 0).then(|| u64::try_from(ppm).unwrap_or(u64::MAX))
    };
    let processed = tally.processed();
    vec![
        value(Metric::UploadsProcessed, "", window, Some(processed), processed),
        value(Metric::UploadsProcessed, "invalid", window, Some(tally.invalid), processed),
        value(Metric::UploadsProcessed, "legacy", window, Some(tally.legacy), tally.legacy),
        value(Metric::UploadsSucceeded, "", window, Some(tally.succeeded), processed),
        value(Metric::ErrorRate, "", window, rate(tally.failed), judged),
        value(Metric::SuccessRate, "", window, rate(tally.succeeded), judged),
        value(Metric::LatencyP99, "", window, tally.latency_p99_ms(), judged),
    ]
}

fn of_sightings(evidence: &Evidence) -> Vec<pb::MetricValue> {
    let sighted = &evidence.sighted;
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let window = "since phase start";
    let opened = number(sighted.breaker_opened.len());
    let interventions = number(sighted.interventions.len());
    let seen = number(sighted.transitions.len());
    let expected = number(evidence.expected_transitions.len());
    let coverage = seen.saturating_mul(1_000_000).checked_div(expected);
    vec![
        value(Metric::CircuitBreakerEvents, "", window, Some(opened), opened),
        value(Metric::ManualInterventions, "", window, Some(interventions), interventions),
        value(Metric::StateTransitionCoverage, "", window, coverage, seen),
    ]
}

fn value(
    metric: Metric,
    label: &str,
    window: &str,
    amount: Option<u64>,
    samples: u64,
) -> pb::MetricValue {
    let shown = amount.map(|amount| match metric.unit() {
        plan::Unit::Rate => Quantity::Rate(amount / 100 * 100),
        plan::Unit::Time => Quantity::Time(amount),
        plan::Unit::Count => Quantity::Count(amount),
    });
    pb::MetricValue {
        metric: metric.name().to_owned(),
        label: label.to_owned(),
        window: window.to_owned(),
        value: shown.map_or_else(String::new, |quantity| quantity.to_string()),
        amount: amount.map(signed),
        sample_count: signed(samples),
        ..pb::MetricValue::default()
    }
}
