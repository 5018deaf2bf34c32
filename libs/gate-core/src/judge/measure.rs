//! From evidence to a number, or to the reason why there is none.

use std::time::Duration;

use plan::{Metric, PromQuery, Statistic, Unit, WindowSpan};
use vocab::{Timestamp, format_duration};

use super::Reason;
use crate::evidence::{Evidence, SpanKey};
use crate::sighted::Breaker;
use crate::tally::{Happening, Tally};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) metric: Metric,
    pub(crate) label: &'a str,
    pub(crate) window: WindowSpan,
    pub(crate) mature_after: Duration,
    pub(crate) statistic: Statistic,
    pub(crate) prometheus: Option<&'a PromQuery>,
    /// The threshold, in the metric's smallest unit: uploads slower than it are counted exactly.
    pub(crate) limit: u64,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Measured {
    /// Nothing can be said, and why.
    Nothing(Reason, String),
    /// `part` of `whole`, judged as an exact fraction.
    Rate { part: u64, whole: u64 },
    /// A number, resting on so many observations. `trials`: slow and all uploads, for p99.
    Amount { amount: u64, samples: u64, trials: Option<(u64, u64)>, approximate: bool },
}

/// Measures, and says why data that is there is too old to be relied on.
pub(crate) fn measure(
    question: &Question<'_>,
    evidence: &Evidence,
    now: Timestamp,
) -> (Measured, Option<Timestamp>) {
    if let Some(query) = question.prometheus {
        return answered(question, query, evidence, now);
    }
    let found = counted(question, evidence, now);
    if question.metric.is_gauge() {
        let key = (question.metric, question.label.to_owned());
        return (found, evidence.gauges.get(&key).map(|gauge| gauge.at));
    }
    let of_outcomes = matches!(
        question.metric,
        Metric::UploadsProcessed
            | Metric::UploadsSucceeded
            | Metric::ErrorRate
            | Metric::SuccessRate
            | Metric::LatencyP99
    );
    let newest = if of_outcomes { evidence.newest_outcome } else { evidence.heard };
    // A number from the past is not one of now: nobody reports any more.
    let found = match (found, evidence.silence(now)) {
        (nothing @ Measured::Nothing(..), _) | (nothing, None) => nothing,
        (_, Some(why)) if evidence.heard.is_none() => {
            Measured::Nothing(Reason::NoTelemetry, format!("no telemetry: {why}"))
        }
        (_, Some(why)) => Measured::Nothing(Reason::Stale, format!("stale: {why}")),
    };
    (found, newest)
}

fn answered(
    question: &Question<'_>,
    query: &PromQuery,
    evidence: &Evidence,
    now: Timestamp,
) -> (Measured, Option<Timestamp>) {
    let unavailable = |why: String| (Measured::Nothing(Reason::SourceUnavailable, why), None);
    let answer = match evidence.answers.get(query) {
        None => return unavailable("prometheus was not asked".to_owned()),
        Some(Err(why)) => return unavailable(format!("prometheus: {why}")),
        Some(Ok(answer)) => *answer,
    };
    let age = now.since(answer.at);
    if age > query.age_max {
        let why = format!("stale: prometheus measured it {} ago", format_duration(age));
        return (Measured::Nothing(Reason::Stale, why), Some(answer.at));
    }
    let measured = match question.metric.unit() {
        Unit::Rate => {
            let part = u128::from(answer.amount) * u128::from(answer.samples);
            let part = u64::try_from((part + 500_000) / 1_000_000).unwrap_or(u64::MAX);
            let part = part.min(answer.samples);
            match answer.samples {
                // One sample is a reading, not a fraction.
                0 | 1 => amount(answer.amount, answer.samples, true),
                whole => Measured::Rate { part, whole },
            }
        }
        Unit::Time | Unit::Count => amount(answer.amount, answer.samples, true),
    };
    (measured, Some(answer.at))
}

const fn amount(amount: u64, samples: u64, approximate: bool) -> Measured {
    Measured::Amount { amount, samples, trials: None, approximate }
}

fn counted(question: &Question<'_>, evidence: &Evidence, now: Timestamp) -> Measured {
    let no_tally = Tally::default();
    let tally = evidence.tallies.get(&SpanKey::from(question.window)).unwrap_or(&no_tally);
    match question.metric {
        Metric::UploadsProcessed => growing(tally.processed(), question, evidence, now),
        Metric::UploadsSucceeded => growing(tally.succeeded, question, evidence, now),
        Metric::ErrorRate | Metric::SuccessRate => ended(question, evidence, tally, now),
        Metric::LatencyP99 => match tally.latency_p99_ms() {
            None => empty(question, evidence, now, "no upload has been timed"),
            Some(amount) => {
                let (slow, timed) = tally.slower_than(question.limit);
                let trials = Some((slow, timed));
                Measured::Amount { amount, samples: timed, trials, approximate: true }
            }
        },
        Metric::CircuitBreakerEvents
        | Metric::ManualInterventions
        | Metric::Incidents
        | Metric::CircuitBreakerOpenTime => sighted(question, evidence, tally, now),
        Metric::StateTransitionCoverage => {
            let expected = &evidence.expected_transitions;
            let seen = |one: &&String| evidence.sighted.transitions.contains(*one);
            let (seen, whole) =
                (number(expected.iter().filter(seen).count()), number(expected.len()));
            Measured::Rate { part: seen, whole }
        }
        Metric::SupportTickets => looked(Happening::SupportTicket, question, evidence, tally, now),
        Metric::OnCallPages => looked(Happening::OnCallPage, question, evidence, tally, now),
        Metric::ConcurrencyBreaches => {
            looked(Happening::ConcurrencyBreach, question, evidence, tally, now)
        }
        Metric::ComplaintRate => match tally.happened.get(&Happening::Complaint) {
            None | Some((_, 0)) => gauge(question, evidence, tally, now),
            Some((complaints, _)) => {
                let whole = tally.processed();
                Measured::Rate { part: (*complaints).min(whole), whole }
            }
        },
        Metric::Availability => match tally.probes_good + tally.probes_bad {
            0 => gauge(question, evidence, tally, now),
            whole => Measured::Rate { part: tally.probes_good, whole },
        },
        Metric::StagingBacklog | Metric::OpenBugs | Metric::OpenIncidents | Metric::DbCpu => {
            gauge(question, evidence, tally, now)
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Why there is nothing: nobody reports, or there is nothing to report.
fn empty(question: &Question<'_>, evidence: &Evidence, now: Timestamp, what: &str) -> Measured {
    if let Some(why) = evidence.silence(now) {
        return Measured::Nothing(Reason::NoTelemetry, format!("no telemetry: {why}"));
    }
    let heard_within = |length| evidence.heard.is_some_and(|heard| now.since(heard) <= length);
    match question.window {
        WindowSpan::Rolling(length) if !heard_within(length) => {
            let why = format!("no telemetry: nobody has reported for {}", format_duration(length));
            Measured::Nothing(Reason::NoTelemetry, why)
        }
        WindowSpan::Rolling(_) | WindowSpan::SincePhaseStart => {
            Measured::Nothing(Reason::Idle, format!("idle: reporters are alive, and {what}"))
        }
    }
}

fn growing(count: u64, question: &Question<'_>, evidence: &Evidence, now: Timestamp) -> Measured {
    match count {
        0 => empty(question, evidence, now, "no upload has ended"),
        count => amount(count, count, false),
    }
}

fn ended(question: &Question<'_>, evidence: &Evidence, tally: &Tally, now: Timestamp) -> Measured {
    let age_ms = u64::try_from(question.mature_after.as_millis()).unwrap_or(u64::MAX);
    let (good, bad) = if age_ms == 0 {
        (tally.succeeded, tally.failed)
    } else {
        let ripe = evidence.ripe.get(&(SpanKey::from(question.window), age_ms));
        ripe.map_or((0, 0), |ripe| (ripe.succeeded, ripe.failed_or_lost()))
    };
    let whole = good + bad;
    if whole == 0 {
        let what =
            if tally.judged() > 0 { "no upload is old enough" } else { "no upload has ended" };
        return empty(question, evidence, now, what);
    }
    let part = if question.metric == Metric::SuccessRate { good } else { bad };
    Measured::Rate { part, whole }
}

/// A count of bad events means something only where somebody was there to report them.
fn sighted(
    question: &Question<'_>,
    evidence: &Evidence,
    tally: &Tally,
    now: Timestamp,
) -> Measured {
    let since = match question.window {
        WindowSpan::SincePhaseStart => Timestamp::from_millis(i64::MIN),
        WindowSpan::Rolling(length) => now.minus(length),
    };
    let seen = &evidence.sighted;
    let count = if question.metric == Metric::ManualInterventions {
        number(seen.interventions.iter().filter(|(at, _)| *at >= since).count())
    } else if question.metric == Metric::CircuitBreakerEvents {
        let opened = seen.breakers.values().flat_map(Breaker::opened);
        number(opened.filter(|at| *at >= since).count())
    } else if question.metric == Metric::Incidents {
        let own = seen
            .incidents
            .values()
            .filter(|incident| question.label.is_empty() || incident.kind == question.label);
        number(own.filter(|one| one.is_open() || one.declared >= Some(since)).count())
    } else {
        let open = seen.breakers.values().filter_map(Breaker::open_since);
        let longest = open.map(|since| now.since(since)).max().unwrap_or_default();
        u64::try_from(longest.as_millis()).unwrap_or(u64::MAX)
    };
    let samples = tally.processed() + tally.legacy;
    if samples == 0
        && count == 0
        && let nothing @ Measured::Nothing(Reason::NoTelemetry, _) =
            empty(question, evidence, now, "nothing has happened")
    {
        return nothing;
    }
    amount(count, samples, false)
}

/// A count of things that somebody counts: where nobody has looked, none is not known.
fn looked(
    what: Happening,
    question: &Question<'_>,
    evidence: &Evidence,
    tally: &Tally,
    now: Timestamp,
) -> Measured {
    match tally.happened.get(&what) {
        None | Some((_, 0)) => gauge(question, evidence, tally, now),
        Some((count, looks)) => amount(*count, *looks, false),
    }
}

fn gauge(question: &Question<'_>, evidence: &Evidence, tally: &Tally, now: Timestamp) -> Measured {
    let Some(gauge) = evidence.gauges.get(&(question.metric, question.label.to_owned())) else {
        let why = "no telemetry: it has never been reported".to_owned();
        return Measured::Nothing(Reason::NoTelemetry, why);
    };
    let age = now.since(gauge.at);
    if age > Duration::from_millis(evidence.gauge_age_max_ms) {
        let why = format!("stale: last reported {} ago", format_duration(age));
        return Measured::Nothing(Reason::Stale, why);
    }
    match question.statistic {
        Statistic::Newest => amount(gauge.amount, 1, false),
        Statistic::Max => {
            let most = tally.reading_max(question.metric).unwrap_or(0).max(gauge.amount);
            amount(most, tally.reading_median(question.metric).map_or(1, |(_, count)| count), true)
        }
        Statistic::Median => match tally.reading_median(question.metric) {
            Some((median, count)) => amount(median, count, true),
            None => amount(gauge.amount, 1, false),
        },
    }
}
