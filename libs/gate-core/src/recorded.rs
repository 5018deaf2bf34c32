//! What was recorded of a pipeline, in memory: the same windows as in service, for replays and
//! rehearsals. Minutes up to two hours, hours beyond.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::{Criterion, Judged, Metric, Plan, PromQuery, WindowSpan};
use vocab::Timestamp;

use crate::evidence::{Answer, Evidence, Gauge, SpanKey};
use crate::sighted::{BreakerState, Incident, Sighted};
use crate::tally::{Field, Outcome, Path, Ripe, Tally, reading};
use crate::watch::Watched;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MINUTES_REACH: Duration = Duration::from_secs(2 * 3_600);
const LONGEST: Duration = Duration::from_secs(8 * 86_400); // A day more than the longest window.

/// One thing that was recorded.
#[derive(Debug, Clone)]
pub enum Entry {
    /// An upload ended.
    Ended {
        /// By which path.
        path: Path,
        /// How.
        outcome: Outcome,
        /// Admission to end.
        latency_ms: u64,
    },
    /// An upload began.
    Began,
    /// A counter of the tally rose.
    Counted(Field, u64),
    /// A gauge was read.
    Gauge(Metric, String, u64),
    /// A breaker changed state.
    Breaker(String, BreakerState),
    /// A state transition was seen, as `from->to`.
    Transition(String),
    /// An incident was declared or resolved.
    Incident(String, Incident),
    /// A drill of the kill switch passed.
    Drill,
    /// A person intervened.
    Intervention,
    /// Prometheus answered.
    Answered(PromQuery, Result<Answer, String>),
}

/// What was recorded, counted up to an instant.
#[derive(Debug, Default)]
pub struct Recorded {
    minutes: BTreeMap<i64, Tally>,
    hours: BTreeMap<i64, Tally>,
    phase: Tally,
    /// By the minute of admission.
    admitted: BTreeMap<i64, Ripe>,
    gauges: BTreeMap<(Metric, String), Gauge>,
    sighted: Sighted,
    answers: BTreeMap<PromQuery, Result<Answer, String>>,
    heard: Option<Timestamp>,
    newest_outcome: Option<Timestamp>,
    number: u64,
}

impl Recorded {
    /// Adds what was recorded at an instant. `limits_ms`: see [`limits`].
    pub fn add(&mut self, at: Timestamp, entry: &Entry, limits_ms: &[u64]) {
        self.heard = self.heard.max(Some(at));
        self.number += 1;
        match entry {
            Entry::Ended { path, outcome, latency_ms } => {
                self.newest_outcome = self.newest_outcome.max(Some(at));
                for field in Field::of(*path, *outcome, *latency_ms, limits_ms) {
                    self.count(at, field, 1);
                }
                if *path == Path::New {
                    let begun = at.minus(Duration::from_millis(*latency_ms));
                    let ripe = self.admitted.entry(begun.as_millis().div_euclid(MINUTE_MS));
                    let ripe = ripe.or_default();
                    *match outcome {
                        Outcome::Succeeded => &mut ripe.succeeded,
                        Outcome::Failed => &mut ripe.failed,
                        Outcome::Invalid => &mut ripe.invalid,
                    } += 1;
                }
            }
            Entry::Began => {
                self.admitted.entry(at.as_millis().div_euclid(MINUTE_MS)).or_default().begun += 1;
            }
            Entry::Counted(field, by) => self.count(at, *field, *by),
            Entry::Gauge(metric, label, amount) => {
                if metric.is_gauge() && label.is_empty() {
                    self.count(at, reading(*metric, *amount), 1);
                }
                let newest = Gauge { amount: *amount, at };
                let known = self.gauges.entry((*metric, label.clone())).or_insert(newest);
                if known.at <= at {
                    *known = newest;
                }
            }
            Entry::Breaker(id, state) => {
                let number = self.number;
                self.sighted.breakers.entry(id.clone()).or_default().entered(*state, at, number);
            }
            Entry::Transition(name) => drop(self.sighted.transitions.insert(name.clone())),
            Entry::Incident(id, told) => {
                let known = self.sighted.incidents.entry(id.clone()).or_default();
                if told.declared.is_some() {
                    *known = Incident { resolved: known.resolved, ..told.clone() };
                }
                known.resolved = known.resolved.max(told.resolved);
            }
            Entry::Drill => self.sighted.drilled(at),
            Entry::Intervention => self.sighted.intervened(at, self.number),
            Entry::Answered(query, answer) => {
                self.answers.insert(query.clone(), answer.clone());
            }
        }
    }

    fn count(&mut self, at: Timestamp, field: Field, by: u64) {
        self.minutes.entry(at.as_millis().div_euclid(MINUTE_MS)).or_default().add(field, by);
        self.hours.entry(at.as_millis().div_euclid(HOUR_MS)).or_default().add(field, by);
        self.phase.add(field, by);
    }

    fn tally(&self, span: WindowSpan, start: Timestamp, now: Timestamp) -> Tally {
        let WindowSpan::Rolling(length) = span else { return self.phase.clone() };
        let from = now.minus(length);
        if start >= from {
            return self.phase.clone();
        }
        let (buckets, width) = if length <= MINUTES_REACH {
            (&self.minutes, MINUTE_MS)
        } else {
            (&self.hours, HOUR_MS)
        };
        let first = from.as_millis().div_euclid(width) + 1;
        let mut total = Tally::default();
        buckets.range(first..).for_each(|(_, tally)| total.absorb(tally));
        total
    }

    fn ripe(&self, span: WindowSpan, start: Timestamp, now: Timestamp, age: Duration) -> Ripe {
        let from = match span {
            WindowSpan::SincePhaseStart => start,
            WindowSpan::Rolling(length) => now.minus(length).max(start),
        };
        let until = now.minus(age).as_millis().div_euclid(MINUTE_MS);
        let from = from.as_millis().div_euclid(MINUTE_MS).min(until);
        let mut total = Ripe::default();
        self.admitted.range(from..until).for_each(|(_, ripe)| total.absorb(ripe));
        total
    }

    /// Adds uploads that began and ended about an instant, counted beforehand.
    pub fn absorb(&mut self, at: Timestamp, uploads: &Tally) {
        self.heard = self.heard.max(Some(at));
        if uploads.processed() + uploads.invalid > 0 {
            self.newest_outcome = self.newest_outcome.max(Some(at));
        }
        self.minutes.entry(at.as_millis().div_euclid(MINUTE_MS)).or_default().absorb(uploads);
        self.hours.entry(at.as_millis().div_euclid(HOUR_MS)).or_default().absorb(uploads);
        self.phase.absorb(uploads);
        let ripe = self.admitted.entry(at.as_millis().div_euclid(MINUTE_MS)).or_default();
        ripe.succeeded += uploads.succeeded;
        ripe.failed += uploads.failed;
        ripe.invalid += uploads.invalid;
    }

    /// Begins a stay in a phase: what is open stays open, the rest is over.
    pub fn enter_phase(&mut self) {
        self.phase = Tally::default();
        self.sighted = std::mem::take(&mut self.sighted).after_phase();
    }

    /// Forgets what no window that ends at `now` or later reaches.
    pub fn forget(&mut self, now: Timestamp) {
        let before = |age: Duration, width: i64| now.minus(age).as_millis().div_euclid(width);
        self.minutes = self.minutes.split_off(&before(MINUTES_REACH, MINUTE_MS));
        self.hours = self.hours.split_off(&before(LONGEST, HOUR_MS));
    }

    /// What a verdict at `now` may rest on, of a phase that began at `start`: windows, gauges and
    /// what was sighted. `rules` are those of the plan. What people said and which gates were passed
    /// is not recorded here.
    #[must_use]
    pub fn evidence(
        &self,
        (plan, rules): (&Plan, &[Watched<'_>]),
        start: Timestamp,
        criteria: &[&Criterion],
        now: Timestamp,
    ) -> Evidence {
        let mut evidence = Evidence {
            phase_start: start,
            gauges: self.gauges.clone(),
            sighted: self.sighted.clone(),
            expected_transitions: plan.state_transitions.clone(),
            gauge_age_max_ms: 86_400_000,
            heard: self.heard,
            silent_after: plan.watching.silent_after,
            newest_outcome: self.newest_outcome,
            answers: self.answers.clone(),
            drill_valid_for: plan.kill_switch.drill_valid_for,
            ..Evidence::default()
        };
        let mut spans: Vec<_> = rules.iter().flat_map(Watched::spans).collect();
        for criterion in criteria {
            let Judged::Metric(metric) = &criterion.judged else { continue };
            spans.push(metric.window);
            let age_ms = u64::try_from(metric.mature_after.as_millis()).unwrap_or(u64::MAX);
            if age_ms > 0 {
                let ripe = self.ripe(metric.window, start, now, metric.mature_after);
                evidence.ripe.insert((SpanKey::from(metric.window), age_ms), ripe);
            }
        }
        for span in spans {
            let tally = || self.tally(span, start, now);
            evidence.tallies.entry(SpanKey::from(span)).or_insert_with(tally);
        }
        evidence
    }
}

/// The latencies that are judged, in milliseconds: uploads slower than these are counted exactly.
#[must_use]
pub fn limits(plan: &Plan) -> Vec<u64> {
    let of_criteria = plan.criteria().filter_map(|criterion| match &criterion.judged {
        Judged::Metric(metric) if metric.metric == Metric::LatencyP99 => {
            Some(metric.requirement.threshold.amount())
        }
        Judged::Metric(_)
        | Judged::Observed(_)
        | Judged::Attestation { .. }
        | Judged::SignOff { .. } => None,
    });
    of_criteria.collect()
}
