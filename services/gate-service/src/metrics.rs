//! The values of metrics, for people and dashboards.

use std::collections::BTreeMap;

use contracts::gate as pb;
use gate_core::{
    Evidence, Interval, MEASURED_SPANS, Reason, SpanKey, Tally, describe, value, wilson,
};
use plan::{Metric, Quantity, WindowSpan};
use service_kit::fault::Fault;
use service_kit::wire::{signed, wire_time};
use std::time::Duration;
use vocab::Timestamp;

use crate::app::App;
use crate::convert::{ppm, wire_reason};
use crate::counting::Series;
use crate::error::DOMAIN;
use crate::evidence::{Gathered, Reading, Wanted, scope};
use crate::labels::OTHER;
use crate::watched::Watched;

const WORKSPACES_MAX: i32 = 100;

/// Everything that is measured over a window; gauges and what was sighted have one value now.
const WINDOWED: [Metric; 14] = [
    Metric::UploadsProcessed,
    Metric::UploadsSucceeded,
    Metric::ErrorRate,
    Metric::SuccessRate,
    Metric::LatencyP99,
    Metric::CircuitBreakerEvents,
    Metric::ManualInterventions,
    Metric::Incidents,
    Metric::Availability,
    Metric::SupportTickets,
    Metric::ComplaintRate,
    Metric::ConcurrencyBreaches,
    Metric::OnCallPages,
    Metric::StateTransitionCoverage,
];

impl App {
    /// The values of all metrics of a rollout.
    pub(crate) async fn metrics(
        &self,
        request: &pb::ListMetricsRequest,
    ) -> Result<Vec<pb::MetricValue>, Fault> {
        let watched = self.watched(&request.parent)?;
        if !(0..=WORKSPACES_MAX).contains(&request.workspace_count) {
            let why = format!("expected 0 to {WORKSPACES_MAX}");
            return Err(Fault::field(DOMAIN, "workspace_count", why));
        }
        let mut spans = vec![WindowSpan::SincePhaseStart];
        spans.extend(MEASURED_SPANS);
        let now = self.clock.now();
        let wanted = Wanted {
            spans: spans.iter().map(|span| (*span, Duration::ZERO)).collect(),
            whole: true,
            ..Wanted::default()
        };
        let Gathered { evidence, .. } = self.gather(&watched, wanted, now).await?;
        let mut values = Vec::new();
        for span in &spans {
            let windowed = WINDOWED.iter().map(|metric| one(*metric, "", *span, &evidence, now));
            values.extend(windowed);
            if let Some(tally) = evidence.tallies.get(&SpanKey::from(*span)) {
                values.extend(apart(tally, *span));
            }
        }
        let now_open = one(Metric::CircuitBreakerOpenTime, "", spans[0], &evidence, now);
        values.push(now_open);
        values.extend(evidence.gauges.iter().filter_map(|((metric, label), gauge)| {
            // A metric that is counted too is shown as it was counted.
            let counted = label.is_empty() && WINDOWED.contains(metric);
            let at = format!("at {}", gauge.at);
            let found = one(*metric, label, spans[0], &evidence, now);
            (!counted).then_some(pb::MetricValue { window: at, ..found })
        }));
        let scope = scope(watched.plan().pipeline.as_str())?;
        let reading = self.reading(&scope, now).await?;
        for span in &spans {
            if request.by_platform {
                let all = usize::MAX;
                values
                    .extend(self.labelled(&watched, &reading, Series::Platform, *span, all).await?);
            }
            let most = usize::try_from(request.workspace_count).unwrap_or(0);
            if most > 0 {
                values.extend(
                    self.labelled(&watched, &reading, Series::Workspace, *span, most).await?,
                );
            }
        }
        Ok(values)
    }

    /// Counts and error rates by label, the busiest first.
    async fn labelled(
        &self,
        watched: &Watched,
        reading: &Reading<'_>,
        series: Series,
        span: WindowSpan,
        most: usize,
    ) -> Result<Vec<pb::MetricValue>, Fault> {
        let counters = self.counters(watched, reading, series, (span, true)).await?;
        let mut by_label: BTreeMap<&str, Tally> = BTreeMap::new();
        for (name, count) in &counters {
            let Some((outcome, label)) = name.split_once('/') else { continue };
            let tally = by_label.entry(label).or_default();
            match outcome {
                "s" => tally.succeeded += count,
                "f" => tally.failed += count,
                "i" => tally.invalid += count,
                _ => {}
            }
        }
        let mut busiest: Vec<_> = by_label.into_iter().collect();
        busiest.sort_by_key(|(label, tally)| {
            (*label == OTHER, std::cmp::Reverse(tally.processed()), *label)
        });
        busiest.truncate(most);
        let values = busiest.iter().flat_map(|(label, tally)| {
            let processed = tally.processed();
            let counted = counted(Metric::UploadsProcessed, span, processed, processed);
            [counted, rate(span, tally)].map(|mut value| {
                if series == Series::Platform {
                    (*label).clone_into(&mut value.platform);
                } else {
                    (*label).clone_into(&mut value.workspace_id);
                }
                value
            })
        });
        Ok(values.collect())
    }
}

/// A metric over a window.
fn one(
    metric: Metric,
    label: &str,
    span: WindowSpan,
    evidence: &Evidence,
    now: Timestamp,
) -> pb::MetricValue {
    let found = value(metric, label, span, evidence, now);
    let end = |end: fn(Interval) -> f64| found.interval.map(|interval| ppm(end(interval)));
    pb::MetricValue {
        metric: metric.name().to_owned(),
        label: label.to_owned(),
        window: describe(span),
        value: found.text.clone(),
        amount: found.amount.map(signed),
        sample_count: signed(found.samples),
        interval_low_ppm: end(|interval| interval.low),
        interval_high_ppm: end(|interval| interval.high),
        resolution_duration: found.resolution.and_then(|length| length.try_into().ok()),
        data_time: found.data_time.map(wire_time),
        reason_code: found.nothing.map_or(pb::Reason::Unspecified, wire_reason).into(),
        relative_error_ppm: signed(found.relative_error_ppm),
        platform: String::new(),
        workspace_id: String::new(),
    }
}

fn counted(metric: Metric, span: WindowSpan, amount: u64, samples: u64) -> pb::MetricValue {
    pb::MetricValue {
        metric: metric.name().to_owned(),
        window: describe(span),
        value: Quantity::Count(amount).to_string(),
        amount: Some(signed(amount)),
        sample_count: signed(samples),
        ..pb::MetricValue::default()
    }
}

fn rate(span: WindowSpan, tally: &Tally) -> pb::MetricValue {
    let judged = tally.judged();
    let ppm_of = |part: u64| u128::from(part) * 1_000_000 / u128::from(judged.max(1));
    let amount = (judged > 0).then(|| u64::try_from(ppm_of(tally.failed)).unwrap_or(u64::MAX));
    let interval = wilson(tally.failed, judged, 0.05);
    let text = amount.map(|amount| Quantity::Rate(amount / 100 * 100).to_string());
    let nothing = if judged > 0 { pb::Reason::Unspecified } else { wire_reason(Reason::Idle) };
    pb::MetricValue {
        metric: Metric::ErrorRate.name().to_owned(),
        window: describe(span),
        value: text.unwrap_or_default(),
        amount: amount.map(signed),
        sample_count: signed(judged),
        interval_low_ppm: Some(ppm(interval.low)),
        interval_high_ppm: Some(ppm(interval.high)),
        reason_code: nothing.into(),
        ..pb::MetricValue::default()
    }
}

/// What is counted beside the uploads that say something about the pipeline.
fn apart(tally: &Tally, span: WindowSpan) -> [pb::MetricValue; 2] {
    let labelled = |label: &str, amount, samples| pb::MetricValue {
        label: label.to_owned(),
        ..counted(Metric::UploadsProcessed, span, amount, samples)
    };
    [
        labelled("invalid", tally.invalid, tally.processed()),
        labelled("legacy", tally.legacy, tally.legacy),
    ]
}
