//! A plan's gates and triggers over what was recorded: when each would have passed or fired.
//!
//! The same judging and the same triggers as in service, evaluated step by step; windows have the
//! same resolution: minutes up to two hours, hours beyond.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::{Judged, Metric, Plan, PromQuery, WindowSpan};
use vocab::Timestamp;

use crate::evidence::{Answer, Evidence, Gauge, SpanKey};
use crate::judge::Verdict;
use crate::judge::{CriterionResult, judge, overall};
use crate::sighted::{BreakerState, Incident, Sighted};
use crate::tally::{Field, Outcome, Path, Ripe, Tally, reading};
use crate::watch::{Standing, State, observe, step, watched};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const MINUTES_REACH: Duration = Duration::from_secs(2 * 3_600);
const STEPS_MAX: usize = 200_000; // Four months of minutes.

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
    /// A person intervened.
    Intervention,
    /// Prometheus answered.
    Answered(PromQuery, Result<Answer, String>),
}

/// A verdict, or the state of a trigger, that changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The criterion, `gate` for the whole, or the trigger.
    pub what: What,
}

/// What changed.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The whole gate.
    Gate(Verdict),
    /// A criterion of it, by id.
    Criterion(String, Box<CriterionResult>),
    /// A trigger, threshold or advisory.
    Trigger {
        /// Its id; of an incident, with the incident's.
        id: String,
        /// Where it stood.
        from: State,
        /// Where it stands.
        to: State,
        /// The value found.
        value: String,
        /// Why.
        reason: String,
    },
}

/// Why nothing can be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplayable {
    /// The plan has no such phase.
    NoPhase(Vec<String>),
    /// Nothing was recorded.
    Nothing,
    /// More steps than are worth it: this many.
    TooLong(u128),
}

/// What was recorded, counted up to an instant.
#[derive(Debug, Default)]
struct Counted {
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

impl Counted {
    fn add(&mut self, at: Timestamp, entry: &Entry, limits_ms: &[u64]) {
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
}

/// Replays `entries` of one phase, which began at `start`, and tells every change. `every`: how
/// often it is evaluated; zero for as often as the plan says, but at most once a minute.
///
/// # Errors
/// Says why there is nothing to replay.
pub fn replay(
    plan: &Plan,
    phase_id: &str,
    start: Timestamp,
    entries: &mut [(Timestamp, Entry)],
    every: Duration,
) -> Result<Vec<Change>, Unplayable> {
    let Some(phase) = plan.phases.iter().find(|phase| phase.id.as_str() == phase_id) else {
        let known = plan.phases.iter().map(|phase| phase.id.to_string());
        return Err(Unplayable::NoPhase(known.collect()));
    };
    entries.sort_by_key(|(at, _)| *at);
    let Some((last, _)) = entries.last() else { return Err(Unplayable::Nothing) };
    let every = if every.is_zero() {
        plan.watching.evaluate_every.max(Duration::from_secs(60))
    } else {
        every
    };
    let steps = last.since(start).as_millis() / every.as_millis().max(1) + 1;
    if usize::try_from(steps).map_or(true, |steps| steps > STEPS_MAX) {
        return Err(Unplayable::TooLong(steps));
    }
    let criteria: Vec<_> = match &phase.gate {
        Some(gate) => gate.criteria.iter().collect(),
        None => plan.ga.quantitative.iter().collect(),
    };
    let mut play =
        Play { plan, phase: phase_id, start, counted: Counted::default(), changes: Vec::new() };
    let (mut standings, mut verdicts) = (BTreeMap::new(), BTreeMap::new());
    let limits_ms = limits(plan);
    let (mut now, mut previous, mut done) = (start, None, 0);
    loop {
        now = now.plus(every);
        while let Some((at, entry)) = entries.get(done).filter(|(at, _)| *at <= now) {
            play.counted.add(*at, entry, &limits_ms);
            done += 1;
        }
        let evidence = play.evidence(&criteria, now);
        play.judge(&criteria, &evidence, &mut verdicts, now);
        play.watch(
            &evidence,
            &mut standings,
            (previous, plan.watching.gap_max.max(every * 2)),
            now,
        );
        previous = Some(now);
        if now >= *last {
            return Ok(play.changes);
        }
    }
}

fn limits(plan: &Plan) -> Vec<u64> {
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

struct Play<'p> {
    plan: &'p Plan,
    phase: &'p str,
    start: Timestamp,
    counted: Counted,
    changes: Vec<Change>,
}

impl Play<'_> {
    fn evidence(&self, criteria: &[&plan::Criterion], now: Timestamp) -> Evidence {
        let counted = &self.counted;
        let mut evidence = Evidence {
            phase_start: self.start,
            gauges: counted.gauges.clone(),
            sighted: counted.sighted.clone(),
            expected_transitions: self.plan.state_transitions.clone(),
            gauge_age_max_ms: 86_400_000,
            heard: counted.heard,
            silent_after: self.plan.watching.silent_after,
            newest_outcome: counted.newest_outcome,
            answers: counted.answers.clone(),
            drill_valid_for: self.plan.kill_switch.drill_valid_for,
            ..Evidence::default()
        };
        let mut spans: Vec<_> = watched(self.plan).iter().flat_map(super::Watched::spans).collect();
        for criterion in criteria {
            let Judged::Metric(metric) = &criterion.judged else { continue };
            spans.push(metric.window);
            let age_ms = u64::try_from(metric.mature_after.as_millis()).unwrap_or(u64::MAX);
            if age_ms > 0 {
                let ripe = counted.ripe(metric.window, self.start, now, metric.mature_after);
                evidence.ripe.insert((SpanKey::from(metric.window), age_ms), ripe);
            }
        }
        for span in spans {
            let tally = || counted.tally(span, self.start, now);
            evidence.tallies.entry(SpanKey::from(span)).or_insert_with(tally);
        }
        evidence
    }

    fn judge(
        &mut self,
        criteria: &[&plan::Criterion],
        evidence: &Evidence,
        verdicts: &mut BTreeMap<String, Verdict>,
        now: Timestamp,
    ) {
        let found: Vec<_> = criteria.iter().map(|one| (one, judge(one, evidence, now))).collect();
        let whole = overall(found.iter().map(|(_, result)| result));
        for (criterion, result) in found {
            let known = verdicts.insert(criterion.id.to_string(), result.verdict);
            if known != Some(result.verdict) {
                let what = What::Criterion(criterion.id.to_string(), Box::new(result));
                self.changes.push(Change { at: now, what });
            }
        }
        if verdicts.insert(String::new(), whole) != Some(whole) {
            self.changes.push(Change { at: now, what: What::Gate(whole) });
        }
    }

    fn watch(
        &mut self,
        evidence: &Evidence,
        standings: &mut BTreeMap<String, Standing>,
        times: (Option<Timestamp>, Duration),
        now: Timestamp,
    ) {
        for rule in watched(self.plan).iter().filter(|rule| rule.applies_in(self.phase)) {
            for observed in observe(rule, evidence, now) {
                let id = match observed.instance.as_str() {
                    "" => rule.id.clone(),
                    incident => format!("{} {incident}", rule.id),
                };
                let before = standings.get(&id).copied().unwrap_or_default();
                let after = step(before, &rule.timing, &observed, times, now);
                if before.state != after.state {
                    let (value, reason) = (observed.value.clone(), observed.reason.clone());
                    let (from, to) = (before.state, after.state);
                    let what = What::Trigger { id: id.clone(), from, to, value, reason };
                    self.changes.push(Change { at: now, what });
                }
                standings.insert(id, after);
            }
        }
    }
}

#[cfg(test)]
mod tests;
