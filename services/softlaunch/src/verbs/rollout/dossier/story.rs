//! What the records say, in the order in which people ask: each step and why it was allowed, each
//! pause and rollback and what came of it, the curves.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the document tells of some kinds of event, whatever others there are"
)]

use contracts::gate::GateReport;
use contracts::rollout::rollout_event::Kind;
use contracts::rollout::trigger_seen;
use plan::{IncidentKind, Plan, TriggerCondition};
use rollout_core::{Situation, advise};
use serde::Serialize;
use vocab::{BasisPoints, Timestamp};

use super::gather::{Gathered, Happened, digests};
use super::plot::{Curve, Mark, Tone};
use crate::failure::Failure;
use crate::output::short;

/// What the document says.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    pub(super) plan_approvals: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) stops: Vec<Stop>,
    #[serde(skip)]
    pub(super) exposure: Curve,
    #[serde(skip)]
    pub(super) error_rate: Curve,
    #[serde(skip)]
    pub(super) latency: Curve,
    #[serde(skip)]
    pub(super) marks: Vec<Mark>,
}

/// Something that changed who is on, or said that all is done.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) time: String,
    pub(super) what: String,
    pub(super) by: String,
    pub(super) approvals: Vec<String>,
    pub(super) reports: Vec<ReportShown>,
    pub(super) revision: u64,
}

/// A gate report as shown.
#[derive(Debug, Serialize)]
pub(super) struct ReportShown {
    pub(super) title: String,
    pub(super) digest: String,
    pub(super) verdict: String,
    pub(super) criteria: Vec<CriterionShown>,
}

/// A criterion as shown.
#[derive(Debug, Serialize)]
pub(super) struct CriterionShown {
    pub(super) verdict: String,
    pub(super) title: String,
    pub(super) requirement: String,
    pub(super) value: String,
    pub(super) reason: String,
    pub(super) statements: Vec<String>,
}

/// A pause or rollback.
#[derive(Debug, Serialize)]
pub(super) struct Stop {
    pub(super) time: String,
    pub(super) what: String,
    pub(super) by: String,
    pub(super) trigger: String,
    pub(super) advice: String,
    pub(super) followed: Vec<String>,
}

/// Tells the story of a rollout.
pub(super) fn tell(gathered: &Gathered) -> Result<Told, Failure> {
    let mut told = Told::default();
    let mut approvals = Vec::new();
    for one in &gathered.happened {
        approve(&mut told, &mut approvals, one);
        step(&mut told, &mut approvals, one, gathered);
        stop(&mut told, one, &gathered.plan);
        draw(&mut told, one);
    }
    if gathered.happened.is_empty() {
        return Err(Failure::refused("nothing has happened to this rollout yet".to_owned()));
    }
    Ok(told)
}

fn who(one: &Happened) -> String {
    let claimed = if one.record.actor.authenticated { "" } else { " (name claimed)" };
    format!("{}{claimed}", one.record.actor.subject)
}

fn approve(told: &mut Told, approvals: &mut Vec<String>, one: &Happened) {
    let time = one.record.time;
    if let Kind::PlanApproved(approved) = &one.kind {
        told.plan_approvals.push(format!("{} as {}, {time}", who(one), approved.role));
    }
    if let Kind::GateApproved(approved) = &one.kind {
        let seen = match approved.blast_radius_digest.as_str() {
            "" => String::new(),
            digest => format!(", blast radius {digest:.16}"),
        };
        let (by, role, digest) = (who(one), &approved.role, &approved.report_digest);
        approvals.push(format!("{by} as {role}, {time}, report {digest:.16}{seen}"));
    }
    if matches!(one.kind, Kind::RolloutPaused(_) | Kind::RollbackStarted(_)) {
        approvals.clear(); // They do not survive it.
    }
}

fn step(told: &mut Told, approvals: &mut Vec<String>, one: &Happened, gathered: &Gathered) {
    let what = match &one.kind {
        Kind::PhaseEntered(entered) => {
            let share = share(entered.exposure_basis_points);
            let past = match entered.gate_id.as_str() {
                "" => String::new(),
                gate => format!(", past {gate}"),
            };
            format!("{} entered at {share}{past}", entered.phase_id)
        }
        Kind::RampStepTaken(step) => {
            let how = if step.automatic {
                "by the plan: the hold was over and every threshold met"
            } else {
                "by hand: asked for by another person"
            };
            format!("stepped to {}, {how}", share(step.exposure_basis_points))
        }
        Kind::PhaseReentered(back) => {
            format!("back to {} at {}", back.phase_id, share(back.exposure_basis_points))
        }
        Kind::GaAnnounced(_) => "general availability announced".to_owned(),
        Kind::GaDeclared(_) => "general availability declared".to_owned(),
        _ => return,
    };
    let shown = digests(&one.kind).into_iter();
    let reports = shown.filter_map(|digest| gathered.reports.get(&digest)).map(report);
    let enters = matches!(one.kind, Kind::PhaseEntered(_) | Kind::GaDeclared(_));
    told.steps.push(Step {
        time: one.record.time.to_string(),
        what,
        by: who(one),
        approvals: if enters { std::mem::take(approvals) } else { Vec::new() },
        reports: reports.collect(),
        revision: one.record.version,
    });
}

fn report(report: &GateReport) -> ReportShown {
    let criteria = report.criteria.iter().map(|one| CriterionShown {
        verdict: short(one.verdict().as_str_name()),
        title: one.title.clone(),
        requirement: one.requirement.clone(),
        value: one.value.clone(),
        reason: one.reason.clone(),
        statements: one
            .attestations
            .iter()
            .map(|said| format!("{} as {}: {}", said.actor, said.role, said.evidence))
            .collect(),
    });
    let verdict = short(report.verdict().as_str_name());
    let (title, digest) = (report.title.clone(), report.digest.clone());
    ReportShown { title, digest, verdict, criteria: criteria.collect() }
}

fn stop(told: &mut Told, one: &Happened, plan: &Plan) {
    let (what, trigger) = match &one.kind {
        Kind::RolloutPaused(paused) => {
            let how = if paused.global { "Paused globally" } else { "Paused" };
            (format!("{how}: {}", paused.reason), paused.trigger_id.clone())
        }
        Kind::RollbackStarted(started) => {
            let (from, to) = (&started.from_phase_id, &started.to_phase_id);
            let what = format!("Rolled back from {from} to {to}: {}", started.reason);
            (what, started.trigger_id.clone())
        }
        Kind::RollbackStepDone(done) => {
            let line =
                format!("{} {}: {}, by {}", one.record.time, done.step_id, done.detail, who(one));
            return follow(told, line);
        }
        Kind::RolloutResumed(resumed) => {
            let over = match resumed.overridden_triggers.as_slice() {
                [] => String::new(),
                triggers => format!(", overriding {}", triggers.join(", ")),
            };
            let (time, why, evidence) = (one.record.time, &resumed.reason, &resumed.evidence);
            return follow(told, format!("{time} resumed by {}{over}: {why} {evidence}", who(one)));
        }
        Kind::TriggerSeen(seen) if seen.outcome() == trigger_seen::Outcome::InForce => {
            return follow(told, format!("{} fired as well: {}", one.record.time, seen.title));
        }
        _ => return,
    };
    let advice = advice(plan, &trigger);
    let time = one.record.time.to_string();
    told.stops.push(Stop { time, what, by: who(one), trigger, advice, followed: Vec::new() });
}

fn follow(told: &mut Told, line: String) {
    if let Some(stop) = told.stops.last_mut() {
        stop.followed.push(line);
    }
}

/// What the decision matrix says of a trigger: of an incident by its kind, of a number that went wrong
/// as of an issue nobody knows yet.
fn advice(plan: &Plan, trigger: &str) -> String {
    let Some(found) = plan.triggers.iter().find(|one| one.id.as_str() == trigger) else {
        return String::new();
    };
    let kind = match &found.condition {
        TriggerCondition::Incident { kind } => *kind,
        TriggerCondition::Metric { .. } => IncidentKind::P1,
    };
    let situation = Situation { incident: Some(kind), ..Situation::default() };
    let Some(advice) = advise(plan, situation) else { return String::new() };
    let word = if advice.row.rollback { "roll back" } else { "pause" };
    format!("{word} ({}: {})", advice.row.id, advice.row.condition)
}

fn share(basis_points: i32) -> String {
    BasisPoints::new(basis_points.into())
        .map_or_else(|_e| "?".to_owned(), |share| share.to_string())
}

/// Curves and marks.
fn draw(told: &mut Told, one: &Happened) {
    let time = one.record.time;
    match &one.kind {
        Kind::PhaseEntered(entered) => {
            told.exposure.push(time, percent(entered.exposure_basis_points));
            told.marks.push(Mark::new(time, Tone::Gate, &entered.phase_id));
        }
        Kind::RampStepTaken(step) => told.exposure.push(time, percent(step.exposure_basis_points)),
        Kind::PhaseReentered(back) => {
            told.exposure.push(time, percent(back.exposure_basis_points));
        }
        Kind::RolloutPaused(_) => told.marks.push(Mark::new(time, Tone::Pause, "pause")),
        Kind::RolloutResumed(_) => told.marks.push(Mark::new(time, Tone::Resume, "resumed")),
        Kind::RollbackStarted(back) => {
            let label = format!("back to {}", back.to_phase_id);
            told.marks.push(Mark::new(time, Tone::Rollback, &label));
        }
        Kind::GaDeclared(_) => told.marks.push(Mark::new(time, Tone::Gate, "GA")),
        Kind::MetricsSampled(sample) => sampled(told, time, sample),
        _ => {}
    }
}

fn sampled(told: &mut Told, time: Timestamp, sample: &contracts::rollout::MetricsSampled) {
    if let Some(ppm) = sample.error_rate_ppm {
        told.error_rate.push(time, figure(ppm) / 10_000.0);
    }
    if let Some(ms) = sample.latency_p99_ms {
        told.latency.push(time, figure(ms) / 1_000.0);
    }
}

fn percent(basis_points: i32) -> f64 {
    f64::from(basis_points) / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "for a picture")]
const fn figure(amount: i64) -> f64 {
    amount as f64
}
