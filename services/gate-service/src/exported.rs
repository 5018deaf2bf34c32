//! The figures of this service, for dashboards and alert rules: every metric, every verdict of the
//! phase's gate, every trigger, and what became of reports.
//!
//! The replica that evaluates exports what it saw; the others export only what they were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gate_core::{
    Evidence, MEASURED_SPANS, State as Stands, Verdict, describe, judge, value, watched,
};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, ObservableGauge};
use plan::{Metric, Unit, WindowSpan};
use service_kit::fault::Fault;
use service_kit::metrics::meter;
use vocab::Timestamp;

use crate::watched::Watched;
use crate::watching::Seen;

/// One figure.
#[derive(Debug)]
pub(crate) struct Sample {
    gauge: &'static str,
    value: f64,
    attributes: Vec<KeyValue>,
}

const VALUE: &str = "softlaunch.gate.metric.value";
const SAMPLES: &str = "softlaunch.gate.metric.samples";
const VERDICT: &str = "softlaunch.gate.criterion.verdict";
const TRIGGER: &str = "softlaunch.gate.trigger.state";
const GA_DAYS: &str = "softlaunch.gate.ga.consecutive_days";

const GAUGES: [(&str, &str); 5] = [
    (VALUE, "Value of a metric over a window: a share of one, seconds, or a count."),
    (SAMPLES, "How many observations a metric's value rests on."),
    (VERDICT, "Verdict on a criterion of the phase's gate: 1 PASS, 0 INCONCLUSIVE, -1 FAIL."),
    (TRIGGER, "State of a trigger, threshold or advisory: 0 clear, 1 warned, 2 pending, 3 fired."),
    (GA_DAYS, "Days in a row on which every quantitative criterion of GA was met."),
];

type Latest = Arc<Mutex<BTreeMap<String, Vec<Sample>>>>;

/// Instruments, and what they show.
pub(crate) struct Meters {
    latest: Latest,
    reports: Counter<u64>,
    entries: Counter<u64>,
    _gauges: Vec<ObservableGauge<f64>>,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

fn locked(latest: &Latest) -> MutexGuard<'_, BTreeMap<String, Vec<Sample>>> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Meters {
    pub(crate) fn new() -> Self {
        let meter = meter();
        let latest = Latest::default();
        let gauges = GAUGES.map(|(name, meaning)| {
            let latest = Arc::clone(&latest);
            let show = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
                let latest = locked(&latest);
                for sample in latest.values().flatten().filter(|sample| sample.gauge == name) {
                    observer.observe(sample.value, &sample.attributes);
                }
            };
            meter.f64_observable_gauge(name).with_description(meaning).with_callback(show).build()
        });
        Self {
            latest,
            reports: meter
                .u64_counter("softlaunch.gate.reports")
                .with_description("Reports taken in, by kind and what became of them.")
                .build(),
            entries: meter
                .u64_counter("softlaunch.gate.reports.entries")
                .with_description("Outcomes and signals in reports that were counted.")
                .build(),
            _gauges: gauges.into(),
        }
    }

    /// What became of a report.
    pub(crate) fn taken(&self, kind: &'static str, entries: usize, done: &Result<bool, Fault>) {
        let kind = KeyValue::new("kind", kind);
        let (result, reason) = match done {
            Ok(false) => ("counted", "none"),
            Ok(true) => ("duplicate", "none"),
            Err(fault) => ("refused", fault.reason()),
        };
        let attributes =
            [kind.clone(), KeyValue::new("result", result), KeyValue::new("reason", reason)];
        self.reports.add(1, &attributes);
        if matches!(done, Ok(false)) {
            self.entries.add(u64::try_from(entries).unwrap_or(0), &[kind]);
        }
    }

    /// What an evaluation of a rollout saw.
    pub(crate) fn evaluated(&self, rollout: &str, samples: Vec<Sample>) {
        locked(&self.latest).insert(rollout.to_owned(), samples);
    }

    /// Shows nothing any more: another replica evaluates.
    pub(crate) fn forget(&self) {
        locked(&self.latest).clear();
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a dashboard")]
const fn real(amount: u64) -> f64 {
    amount as f64
}

/// In the units of Prometheus.
fn in_base_unit(metric: Metric, amount: u64) -> f64 {
    match metric.unit() {
        Unit::Rate => real(amount) / 1e6,
        Unit::Time => real(amount) / 1e3,
        Unit::Count => real(amount),
    }
}

/// Everything that an evaluation is worth showing of.
pub(crate) fn samples(
    watched_rollout: &Watched,
    evidence: &Evidence,
    seen: &[Seen],
    now: Timestamp,
) -> Vec<Sample> {
    let rollout = KeyValue::new("rollout", watched_rollout.rollout.clone());
    let phase = KeyValue::new("phase", watched_rollout.phase_id.clone());
    let mut samples = Vec::new();
    let mut add = |gauge, value, more: Vec<KeyValue>| {
        let attributes = [rollout.clone(), phase.clone()].into_iter().chain(more).collect();
        samples.push(Sample { gauge, value, attributes });
    };
    let spans = std::iter::once(WindowSpan::SincePhaseStart).chain(MEASURED_SPANS);
    let labelled = evidence.gauges.keys().filter(|(_, label)| !label.is_empty());
    let metrics: Vec<(Metric, &str)> = Metric::ALL
        .iter()
        .map(|metric| (*metric, ""))
        .chain(labelled.map(|(metric, label)| (*metric, label.as_str())))
        .collect();
    for span in spans {
        for (metric, label) in &metrics {
            let found = value(*metric, label, span, evidence, now);
            let name = || {
                vec![
                    KeyValue::new("metric", metric.name()),
                    KeyValue::new("label", (*label).to_owned()),
                    KeyValue::new("window", describe(span)),
                ]
            };
            // No data is no sample: it is never shown as zero.
            if let Some(amount) = found.amount.filter(|_| found.nothing.is_none()) {
                add(VALUE, in_base_unit(*metric, amount), name());
            }
            add(SAMPLES, real(found.samples), name());
        }
    }
    for criterion in watched_rollout.exit_criteria() {
        let verdict = match judge(criterion, evidence, now).verdict {
            Verdict::Pass => 1.0,
            Verdict::Inconclusive => 0.0,
            Verdict::Fail => -1.0,
        };
        let dry_run = KeyValue::new("dry_run", criterion.dry_run);
        add(VERDICT, verdict, vec![KeyValue::new("criterion", criterion.id.to_string()), dry_run]);
    }
    let rules = watched(watched_rollout.plan());
    for one in seen.iter().filter(|one| rules.get(one.index).is_some()) {
        let kept = watched_rollout.standings.get(&one.name);
        let state = match kept.map_or(Stands::Clear, |kept| kept.state) {
            Stands::Clear => 0.0,
            Stands::Warned => 1.0,
            Stands::Pending(_) => 2.0,
            Stands::Fired => 3.0,
        };
        add(TRIGGER, state, vec![KeyValue::new("trigger", one.name.clone())]);
    }
    add(GA_DAYS, f64::from(watched_rollout.consecutive_days()), Vec::new());
    samples
}
