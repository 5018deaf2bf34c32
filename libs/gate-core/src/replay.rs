//! A plan's gates and triggers over what was recorded: when each would have passed or fired.
//!
//! The same judging and the same triggers as in service, evaluated step by step; windows have the
//! same resolution: minutes up to two hours, hours beyond.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::Plan;
use vocab::Timestamp;

use crate::evidence::Evidence;
use crate::judge::{CriterionResult, Verdict, judge, overall};
use crate::recorded::{Entry, Recorded, limits};
use crate::watch::{Standing, State, Watched, observe, step, watched};

const STEPS_MAX: usize = 200_000; // Four months of minutes.

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
    let rules = watched(plan);
    let mut play =
        Play { rules: &rules, phase: phase_id, counted: Recorded::default(), changes: Vec::new() };
    let (mut standings, mut verdicts) = (BTreeMap::new(), BTreeMap::new());
    let limits_ms = limits(plan);
    let (mut now, mut previous, mut done) = (start, None, 0);
    loop {
        now = now.plus(every);
        while let Some((at, entry)) = entries.get(done).filter(|(at, _)| *at <= now) {
            play.counted.add(*at, entry, &limits_ms);
            done += 1;
        }
        let evidence = play.counted.evidence((plan, &rules), start, &criteria, now);
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

struct Play<'p> {
    rules: &'p [Watched<'p>],
    phase: &'p str,
    counted: Recorded,
    changes: Vec<Change>,
}

impl Play<'_> {
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
        for rule in self.rules.iter().filter(|rule| rule.applies_in(self.phase)) {
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
