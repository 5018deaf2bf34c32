//! From the last phase to the end: announcement, declaration, tasks, archive.

use std::time::Duration;

use vocab::{Actor, Timestamp};

use crate::decide::advancing::{
    Grounds, check_report, digests, missing_for, missing_time_and_ramp,
};
use crate::decide::{check_evidence_link, missing_criteria, require_running};
use crate::event::{Event, Sample};
use crate::refusal::{Missing, Refusal};
use crate::report::Report;
use crate::rollout::{GA_UNANNOUNCED_GATE, Rollout, State};

/// Sends the announcement of general availability out. Nothing to do where it went out.
///
/// # Errors
/// Refuses before the last phase, before everybody is on, and while anything but the announcement
/// and what it brings is missing: `judged` is the gate without those.
pub fn announce_ga(
    rollout: &Rollout,
    judged: &Report,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if rollout.ga_announced_at.is_some() {
        return Ok(Vec::new());
    }
    let phase = require_last(rollout, "AnnounceGa")?;
    check_report(rollout, GA_UNANNOUNCED_GATE, judged)?;
    let mut missing: Vec<_> = missing_criteria(judged).into_iter().collect();
    missing.extend(missing_time_and_ramp(rollout, phase, now));
    if !missing.is_empty() {
        return Err(Refusal::NotReady { phase: "GA".to_owned(), missing });
    }
    let (rollout, report_digest) = (rollout.name.clone(), judged.digest.clone());
    Ok(vec![Event::GaAnnounced { rollout, report_digest }])
}

/// Declares general availability (D7 §6.3). Nothing to do where it was.
///
/// # Errors
/// Refuses before the last phase, and names everything that is missing.
pub fn declare_ga(
    rollout: &Rollout,
    actor: &Actor,
    approved: &[Report],
    fresh: &Report,
    now: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    if rollout.ga_declared_at.is_some() {
        return Ok(Vec::new());
    }
    let phase = require_last(rollout, "DeclareGa")?;
    let gate = rollout.end_gate().ok_or_else(|| Refusal::NoGate(phase.id.to_string()))?;
    let grounds = Grounds { approved, fresh, entry: fresh };
    let mut missing = missing_for(rollout, &gate, actor, grounds)?;
    missing.extend(missing_time_and_ramp(rollout, phase, now));
    if !missing.is_empty() {
        return Err(Refusal::NotReady { phase: "GA".to_owned(), missing });
    }
    let report_digests = digests(approved, &[fresh]);
    Ok(vec![Event::GaDeclared { rollout: rollout.name.clone(), report_digests }])
}

fn require_last<'a>(
    rollout: &'a Rollout,
    command: &'static str,
) -> Result<&'a plan::Phase, Refusal> {
    let phase = require_running(rollout, command)?;
    match rollout.next_phase() {
        None => Ok(phase),
        Some(next) => Err(Refusal::NotLastPhase {
            phase: phase.id.to_string(),
            next: next.id.to_string(),
            command,
        }),
    }
}

/// Ticks off a task of the time after the declaration (D7 §8). Nothing to do where it is done.
///
/// # Errors
/// Refuses unknown tasks, before the declaration, and missing evidence.
pub fn complete_task(
    rollout: &Rollout,
    task_id: &str,
    evidence: &str,
) -> Result<Vec<Event>, Refusal> {
    let tasks = &rollout.plan.plan.post_ga;
    if !tasks.iter().any(|task| task.id.as_str() == task_id) {
        let known = tasks.iter().map(|task| task.id.to_string()).collect();
        return Err(Refusal::UnknownTask { task: vocab::excerpt(task_id), known });
    }
    if rollout.ga_declared_at.is_none() {
        let (state, command) = (rollout.state.name(), "CompletePostGaTask");
        let needed = "general availability to have been declared";
        return Err(Refusal::WrongState { state, command, needed });
    }
    if rollout.post_ga_done.contains(task_id) {
        return Ok(Vec::new());
    }
    check_evidence_link(evidence)?;
    Ok(vec![Event::PostGaTaskDone {
        rollout: rollout.name.clone(),
        task_id: task_id.to_owned(),
        evidence: evidence.to_owned(),
    }])
}

/// Ends a rollout. Nothing to do where it is over. One that was declared generally available ends
/// when its tasks are done; another ends where it exposes nobody by percentage.
///
/// # Errors
/// Names the tasks that are open, or the share that is on.
pub fn archive(rollout: &Rollout, reason: &str) -> Result<Vec<Event>, Refusal> {
    if rollout.state == State::Archived {
        return Ok(Vec::new());
    }
    let mut missing = Vec::new();
    if rollout.state == State::RollingBack {
        let step = rollout.rollback.as_ref();
        let step = step.and_then(|rollback| rollback.next_system_step(&rollout.plan.plan));
        missing.push(Missing::RollbackSteps(
            step.map(|step| step.id().to_owned()).into_iter().collect(),
        ));
    } else if rollout.ga_declared_at.is_some() {
        let tasks = rollout.plan.plan.post_ga.iter();
        let open = tasks.filter(|task| !rollout.post_ga_done.contains(task.id.as_str()));
        let open: Vec<_> = open.map(|task| task.id.to_string()).collect();
        if !open.is_empty() {
            missing.push(Missing::PostGaTasks(open));
        }
    } else if rollout.exposure > vocab::BasisPoints::ZERO {
        missing.push(Missing::NobodyExposed(rollout.exposure));
    }
    if !missing.is_empty() {
        return Err(Refusal::NotArchivable { missing });
    }
    Ok(vec![Event::Archived { rollout: rollout.name.clone(), reason: reason.to_owned() }])
}

/// Adds to the timeline.
#[must_use]
pub fn note(rollout: &Rollout, text: &str) -> Vec<Event> {
    vec![Event::Noted { rollout: rollout.name.clone(), text: text.to_owned() }]
}

/// Says once of a stay in a phase that it lasts for longer than planned.
#[must_use]
pub fn overdue(rollout: &Rollout, now: Timestamp) -> Vec<Event> {
    let late = rollout.state == State::Running && rollout.is_overdue(now);
    match rollout.phase().filter(|_| late && !rollout.overdue_told) {
        Some(phase) => {
            let (rollout, phase_id) = (rollout.name.clone(), phase.id.to_string());
            vec![Event::PhaseOverdue { rollout, phase_id }]
        }
        None => Vec::new(),
    }
}

/// How often it is written down how the pipeline does.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(3_600);

/// Whether it is time to write down how the pipeline does.
#[must_use]
pub fn sample_is_due(rollout: &Rollout, now: Timestamp) -> bool {
    let in_a_phase = !matches!(rollout.state, State::Pending | State::Archived);
    in_a_phase && now.since(rollout.sampled_at) >= SAMPLE_INTERVAL
}

/// Writes down how the pipeline does, where it is time to.
#[must_use]
pub fn sample(rollout: &Rollout, sample: Sample, now: Timestamp) -> Vec<Event> {
    let sampled = || Event::MetricsSampled { rollout: rollout.name.clone(), sample };
    sample_is_due(rollout, now).then(sampled).into_iter().collect()
}
