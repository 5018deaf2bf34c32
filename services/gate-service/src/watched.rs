//! One rollout under judgement: its plan, its phase, and what was stated, sighted and decided.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use gate_core::{Day, Sighted, State as Stands, Told, Verdict, consecutive_days};
use plan::{
    Criterion, Judged, Metric, Observation, Plan, PromQuery, Quantity, TriggerCondition, Unit,
    WindowSpan,
};
use service_kit::wire::time_of;
use vocab::{Role, Timestamp};

use crate::error::Refusal;

/// Days kept of the record of general availability.
const DAYS_MAX: usize = 400;

/// A rollout under judgement.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) rollout: String,
    pub(crate) reading: Arc<Reading>,
    pub(crate) generation: u64,
    pub(crate) phase_generation: u64,
    pub(crate) phase_id: String,
    pub(crate) start_time: Timestamp,
    pub(crate) passed_gates: BTreeSet<String>,
    /// The generation in which the rollout last went on.
    pub(crate) rearm_generation: i64,
    /// What was told in this phase, by the plan's id of the message.
    pub(crate) communications: BTreeMap<String, Told>,
    /// The share the flag stands at, and since when.
    pub(crate) share: (i32, Timestamp),
    pub(crate) sighted: Sighted,
    /// Statements by criterion, withdrawn ones included.
    pub(crate) attestations: BTreeMap<String, Vec<pb::Attestation>>,
    pub(crate) reports: VecDeque<Arc<pb::GateReport>>,
    /// How many were ever kept.
    pub(crate) reports_kept: u64,
    /// Where each trigger stands, by name.
    pub(crate) standings: BTreeMap<String, Kept>,
    /// The days judged in this phase, oldest first.
    pub(crate) days: VecDeque<pb::GaDay>,
}

/// Where a trigger stands, since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) state: Stands,
    pub(crate) since: Timestamp,
}

/// A plan, read, with what counting needs to know of it.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) plan: Plan,
    pub(crate) source: Vec<u8>,
    /// Latencies that anything is judged by: uploads beyond them are counted exactly.
    pub(crate) limits_ms: Vec<u64>,
}

impl Reading {
    pub(crate) fn of(source: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(source).map_err(|error| error.to_string())?;
        let (plan, _) = Plan::parse(text).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        let limits_ms = limits(&plan);
        Ok(Self { plan, source: source.to_vec(), limits_ms })
    }
}

fn limits(plan: &Plan) -> Vec<u64> {
    let of_criteria = plan.criteria().filter_map(|criterion| match &criterion.judged {
        Judged::Metric(metric) => Some((metric.metric, metric.requirement.threshold)),
        Judged::Observed(_) | Judged::Attestation { .. } | Judged::SignOff { .. } => None,
    });
    let of_thresholds = plan.thresholds.iter().map(|one| (one.metric, one.requirement.threshold));
    let of_signals =
        plan.signals.iter().filter_map(|one| Some((one.metric, one.raised_when?.threshold)));
    let of_triggers = plan.triggers.iter().filter_map(|trigger| match &trigger.condition {
        TriggerCondition::Metric { metric, fires_when, .. } => {
            Some((*metric, fires_when.threshold))
        }
        TriggerCondition::Incident { .. } => None,
    });
    let all = of_criteria.chain(of_thresholds).chain(of_signals).chain(of_triggers);
    let latencies = all.filter(|(metric, _)| *metric == Metric::LatencyP99);
    let limits: BTreeSet<_> =
        latencies.map(|(_, threshold): (_, Quantity)| threshold.amount()).collect();
    limits.into_iter().collect()
}

/// A list of criteria with a name.
#[derive(Debug)]
pub(crate) struct GateView<'a> {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) criteria: Vec<&'a Criterion>,
    pub(crate) approvers: &'a [Role],
    /// The gate of the phase before, for entries.
    pub(crate) previous: Option<String>,
    /// The phase it ends, for exits.
    pub(crate) ends: Option<&'a str>,
}

/// Finds a gate of the plan: an exit gate by its id, `{phase}-entry`, `ga`, or `ga-unannounced`: the
/// same without what only the announcement brings.
pub(crate) fn find_gate<'a>(watched: &'a Watched, id: &str) -> Result<GateView<'a>, Refusal> {
    const GA: &str = "ga";
    const GA_UNANNOUNCED: &str = "ga-unannounced";
    let plan = watched.plan();
    let mut known = Vec::new();
    for (index, phase) in plan.phases.iter().enumerate() {
        let entry = format!("{}-entry", phase.id.as_str().to_lowercase());
        if entry == id {
            let before = index.checked_sub(1).and_then(|index| plan.phases.get(index));
            return Ok(GateView {
                id: entry,
                title: format!("Entry of {}", phase.id),
                criteria: phase.entry.iter().collect(),
                approvers: &[],
                previous: before.and_then(|phase| Some(phase.gate.as_ref()?.id.to_string())),
                ends: None,
            });
        }
        known.push(entry);
        if let Some(gate) = &phase.gate {
            if gate.id.as_str() == id {
                return Ok(GateView {
                    id: gate.id.to_string(),
                    title: gate.title.clone(),
                    criteria: gate.criteria.iter().collect(),
                    approvers: &gate.approvers,
                    previous: None,
                    ends: Some(phase.id.as_str()),
                });
            }
            known.push(gate.id.to_string());
        }
    }
    known.extend([GA.to_owned(), GA_UNANNOUNCED.to_owned()]);
    let title = match id {
        GA => "GA declaration",
        GA_UNANNOUNCED => "GA declaration, but for its announcement",
        _ => return Err(Refusal::GateNotFound { gate: id.to_owned(), known }),
    };
    let ga = &plan.ga;
    let announced = |one: &&Criterion| {
        id == GA || !matches!(one.judged, Judged::Observed(Observation::CommunicationDelivered))
    };
    let criteria = [&ga.quantitative, &ga.qualitative, &ga.checklist].into_iter().flatten();
    Ok(GateView {
        id: id.to_owned(),
        title: title.to_owned(),
        criteria: criteria.filter(announced).collect(),
        approvers: &ga.approvers,
        previous: None,
        ends: plan.phases.last().map(|phase| phase.id.as_str()),
    })
}

impl Watched {
    pub(crate) fn plan(&self) -> &Plan {
        &self.reading.plan
    }

    /// What a new phase, or the same one under a newer plan, begins with.
    pub(crate) fn follow(
        known: Option<Self>,
        applied: &pb::GatePlanApplied,
    ) -> Result<Self, String> {
        let reading = match &known {
            Some(known) if known.reading.source == applied.plan_source => {
                Arc::clone(&known.reading)
            }
            Some(_) | None => Arc::new(Reading::of(&applied.plan_source)?),
        };
        let start_time = time_of(applied.start_time.as_ref());
        let fresh = || Self {
            rollout: applied.rollout.clone(),
            reading: Arc::clone(&reading),
            generation: 0,
            phase_generation: 0,
            phase_id: String::new(),
            start_time,
            passed_gates: BTreeSet::new(),
            rearm_generation: applied.rearm_generation,
            communications: BTreeMap::new(),
            share: (0, start_time),
            sighted: Sighted::default(),
            attestations: BTreeMap::new(),
            reports: VecDeque::new(),
            reports_kept: 0,
            standings: BTreeMap::new(),
            days: VecDeque::new(),
        };
        let phase_generation = u64::try_from(applied.phase_generation).unwrap_or(0);
        let mut watched = known.unwrap_or_else(fresh);
        if watched.phase_generation != phase_generation {
            watched.sighted = std::mem::take(&mut watched.sighted).after_phase();
            watched.attestations = BTreeMap::new();
            watched.days = VecDeque::new();
            watched.communications = BTreeMap::new();
            // An incident that has fired does not fire again because the phase is another.
            watched.standings.retain(|name, _| name.contains("/incidents/"));
        }
        if watched.rearm_generation < applied.rearm_generation {
            // A rate cannot fall while nobody is on the path: what fired must be able to again.
            watched.standings.retain(|name, _| name.contains("/incidents/"));
        }
        watched.rearm_generation = applied.rearm_generation;
        watched.reading = reading;
        watched.generation = u64::try_from(applied.generation).unwrap_or(0);
        watched.phase_generation = phase_generation;
        watched.phase_id.clone_from(&applied.phase_id);
        watched.start_time = start_time;
        watched.passed_gates = applied.passed_gates.iter().cloned().collect();
        Ok(watched)
    }

    /// Notes the share the flag stands at from `at` on.
    pub(crate) fn at_share(&mut self, basis_points: i32, at: Timestamp) {
        if self.share.0 != basis_points {
            self.share = (basis_points, at);
        }
    }

    pub(crate) fn stated(&mut self, criterion: &str, attestation: pb::Attestation) {
        const STATEMENTS_MAX: usize = 20;
        let statements = self.attestations.entry(criterion.to_owned()).or_default();
        let same =
            |one: &pb::Attestation| one.role == attestation.role && one.actor == attestation.actor;
        statements.retain(|one| !same(one));
        statements.push(attestation);
        if statements.len() > STATEMENTS_MAX {
            statements.remove(0);
        }
    }

    /// Notes how far a communication is. Who has been told once has been told, whether it is said
    /// again or not.
    pub(crate) fn told(&mut self, seen: pb::CommunicationSeen) {
        let told = self.communications.entry(seen.event).or_insert(Told::Missing(String::new()));
        match (&seen.complete_time, &told) {
            (Some(time), Told::Missing(_)) => *told = Told::Complete(time_of(Some(time))),
            (None, Told::Missing(_)) => *told = Told::Missing(seen.detail),
            (_, Told::Complete(_)) => {}
        }
    }

    pub(crate) fn judged(&mut self, day: pb::GaDay) {
        self.days.push_back(day);
        while self.days.len() > DAYS_MAX {
            self.days.pop_front();
        }
    }

    /// Days in a row that were met.
    pub(crate) fn consecutive_days(&self) -> u32 {
        let days: Vec<_> = self.days.iter().filter_map(core_day).collect();
        consecutive_days(&days)
    }

    /// The criteria that end the phase; none before the first.
    pub(crate) fn exit_criteria(&self) -> Vec<&Criterion> {
        let phases = &self.plan().phases;
        let own = phases.iter().find(|phase| phase.id.as_str() == self.phase_id);
        match own {
            None => Vec::new(),
            Some(phase) => match &phase.gate {
                Some(gate) => gate.criteria.iter().collect(),
                None => self.plan().ga.quantitative.iter().collect(),
            },
        }
    }

    /// Questions to Prometheus that criteria ask, and in which unit.
    pub(crate) fn queries<'a>(criteria: &[&'a Criterion]) -> BTreeMap<&'a PromQuery, Unit> {
        criteria
            .iter()
            .filter_map(|criterion| match &criterion.judged {
                Judged::Metric(one) => Some((one.prometheus.as_ref()?, one.metric.unit())),
                Judged::Observed(_) | Judged::Attestation { .. } | Judged::SignOff { .. } => None,
            })
            .collect()
    }

    /// The windows that criteria ask for, and how old uploads must be in them.
    pub(crate) fn spans(criteria: &[&Criterion]) -> Vec<(WindowSpan, Duration)> {
        criteria
            .iter()
            .filter_map(|criterion| match &criterion.judged {
                Judged::Metric(metric) => Some((metric.window, metric.mature_after)),
                Judged::Observed(_) | Judged::Attestation { .. } | Judged::SignOff { .. } => None,
            })
            .collect()
    }
}

fn core_day(day: &pb::GaDay) -> Option<Day> {
    let begin = Timestamp::parse(&format!("{}T00:00:00Z", day.date)).ok()?;
    let verdict = match day.verdict() {
        pb::Verdict::Pass => Verdict::Pass,
        pb::Verdict::Fail => Verdict::Fail,
        pb::Verdict::Inconclusive | pb::Verdict::Unspecified => Verdict::Inconclusive,
    };
    // The verdict on the wire has the share in it already.
    Some(Day { number: Day::number_of(begin), verdict, at_full: true })
}

/// Questions to Prometheus that triggers ask, and in which unit.
pub(crate) fn trigger_queries(plan: &Plan) -> BTreeMap<&PromQuery, Unit> {
    let asked = plan.triggers.iter().filter_map(|trigger| match &trigger.condition {
        TriggerCondition::Metric { metric, prometheus, .. } => {
            Some((prometheus.as_ref()?, metric.unit()))
        }
        TriggerCondition::Incident { .. } => None,
    });
    asked.collect()
}
