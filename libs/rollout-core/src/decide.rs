//! Decisions: what a command means for a rollout, or why not.

use plan::Phase;

use crate::event::Event;
use crate::refusal::{Missing, Refusal};
use crate::report::Report;
use crate::rollout::{Rollout, State};

mod advancing;
mod beginning;
mod closing;
mod going_back;
mod pausing;

pub use advancing::{Grounds, advance, approve, ramp, ramp_automatically, ramp_is_due};
pub use beginning::{approve_plan, change_plan, create, start, store_plan};
pub use closing::{
    announce_ga, archive, complete_task, declare_ga, note, overdue, sample, sample_is_due,
};
pub use going_back::{react, reenter, roll_back, step_done, tick_off};
pub(crate) use pausing::is_seen_to_end;
pub use pausing::{kill_switch_engaged, pause, resume};

fn unknown_phase(rollout: &Rollout, phase: &str) -> Refusal {
    let known = rollout.plan.plan.phases.iter().map(|phase| phase.id.to_string()).collect();
    Refusal::UnknownPhase { phase: phase.to_owned(), known }
}

fn missing_criteria(report: &Report) -> Option<Missing> {
    let items = || report.open_items().cloned().collect();
    (!report.is_met()).then(|| Missing::Criteria { gate: report.gate_id.clone(), items: items() })
}

fn enter(
    rollout: &Rollout,
    phase: &Phase,
    gate_id: String,
    report_digests: Vec<String>,
) -> Result<Vec<Event>, Refusal> {
    let first_step = phase.ramp.iter().map(|step| step.percentage).min();
    let exposure = first_step.unwrap_or(phase.flag.percentage);
    advancing::check_ramp(rollout.exposure, exposure)?;
    Ok(vec![Event::PhaseEntered {
        rollout: rollout.name.clone(),
        phase_id: phase.id.to_string(),
        exposure,
        left_phase_id: rollout.phase().map_or_else(String::new, |left| left.id.to_string()),
        gate_id,
        report_digests,
    }])
}

fn require_running<'a>(rollout: &'a Rollout, command: &'static str) -> Result<&'a Phase, Refusal> {
    let wrong = |needed| Refusal::WrongState { state: rollout.state.name(), command, needed };
    match rollout.state {
        State::Pending => Err(wrong("RUNNING: start it first")),
        State::Paused => Err(wrong("RUNNING: resume it first")),
        State::RollingBack => Err(wrong("RUNNING: wait until it is rolled back, then resume it")),
        State::Archived => Err(wrong("RUNNING: it is over")),
        State::Running => rollout.phase().ok_or_else(|| wrong("a phase of its plan")),
    }
}

/// Whether a link can be followed: an http or https address.
fn check_evidence_link(evidence: &str) -> Result<(), Refusal> {
    const LENGTH_MAX: usize = 2_000;
    let good = ["http://", "https://"].iter().any(|start| {
        evidence.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && !rest.contains(' '))
    });
    if good && evidence.len() <= LENGTH_MAX {
        return Ok(());
    }
    Err(Refusal::EvidenceMissing(vocab::excerpt(evidence)))
}
