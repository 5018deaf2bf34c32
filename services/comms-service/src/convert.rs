//! Between the wire, the journal and the core.

pub(crate) mod told;

use comms_core::{AttemptOutcome, News};
use contracts::comms as pb;
use contracts::killswitch::kill_switch::State as SwitchState;
use contracts::killswitch::scope::Kind as ScopeKind;
use contracts::killswitch::watch_kill_switch_events_response::Event as SwitchEvent;
use contracts::killswitch::{KillSwitch, Scope, WatchKillSwitchEventsResponse};
use contracts::rollout::WatchRolloutEventsResponse;
use contracts::rollout::rollout_event::Kind;
use contracts::rollout::trigger_seen::{Outcome, Watched};
use service_kit::clock::Clock;
use service_kit::wire::{time_of, wire_time};
use vocab::{BasisPoints, PhaseId, PipelineId, Timestamp};

use crate::state::Stored;

/// Something that happened in another service.
#[derive(Debug, Clone)]
pub(crate) struct Occurrence {
    /// The service, e.g. `rollout`.
    pub(crate) source: &'static str,
    /// Position on its stream.
    pub(crate) revision: u64,
    pub(crate) time: Timestamp,
    pub(crate) actor: String,
    pub(crate) what: What,
}

/// What it means here.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A rollout goes by this plan version from now on.
    PlanChosen { rollout: String, plan_version: String },
    /// It is news for those whom the plan names.
    News(Concern, News),
    /// Nobody is told.
    Nothing,
}

/// Whose plan says who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Concern {
    Rollout(String),
    Pipeline(PipelineId),
    Everything,
}

/// Reads an event of the rollout service. One that does not read is said so and told nobody: it
/// must not stop those behind it.
pub(crate) fn of_rollout(response: WatchRolloutEventsResponse) -> Occurrence {
    let event = response.event.unwrap_or_default();
    let concern = Concern::Rollout(event.rollout.clone());
    let what = match event.kind {
        Some(Kind::RolloutCreated(created)) => {
            What::PlanChosen { rollout: event.rollout, plan_version: created.plan_version }
        }
        Some(Kind::PlanChanged(changed)) => {
            What::PlanChosen { rollout: event.rollout, plan_version: changed.plan_version }
        }
        Some(kind) => match news_of(kind) {
            Ok(Some(news)) => What::News(concern, news),
            Ok(None) => What::Nothing,
            Err(why) => unreadable("rollout", response.revision, &why),
        },
        None => What::Nothing,
    };
    Occurrence {
        source: "rollout",
        revision: unsigned(response.revision),
        time: time_of(response.occur_time.as_ref()),
        actor: response.actor,
        what,
    }
}

/// What an event of a rollout is to people; `None` where they are told by another or not at all.
fn news_of(kind: Kind) -> Result<Option<News>, vocab::Invalid> {
    Ok(Some(match kind {
        Kind::PhaseEntered(entered) => {
            started(&entered.phase_id, entered.exposure_basis_points, false)?
        }
        Kind::PhaseReentered(entered) => {
            started(&entered.phase_id, entered.exposure_basis_points, true)?
        }
        Kind::GateApproved(approved) => News::GateApproved { role: approved.role },
        Kind::RolloutPaused(paused) => News::RolloutPaused {
            reason: paused.reason,
            global: paused.global,
            trigger: paused.trigger_id,
        },
        Kind::RolloutResumed(resumed) => News::RolloutResumed { reason: resumed.reason },
        Kind::RollbackStarted(started) => News::RollbackStarted {
            from: started.from_phase_id,
            to: started.to_phase_id,
            reason: started.reason,
        },
        Kind::RollbackStepDone(done) => {
            News::RollbackStepDone { step: done.step_id, detail: done.detail }
        }
        Kind::PhaseOverdue(overdue) => {
            News::PhaseOverdue { phase: PhaseId::new(&overdue.phase_id)? }
        }
        Kind::GaAnnounced(_) => News::GaAnnounced,
        Kind::GaDeclared(_) => News::GaDeclared,
        Kind::PostGaTaskDone(done) => News::PostGaTaskDone { task: done.task_id },
        Kind::RolloutArchived(archived) => News::RolloutArchived { reason: archived.reason },
        Kind::TriggerSeen(seen) if seen.outcome() != Outcome::Stale => News::WatchedChanged {
            trigger: matches!(seen.watched(), Watched::Trigger | Watched::Unspecified),
            acted: seen.outcome() == Outcome::Acted,
            firing: seen.firing,
            id: seen.watched_id,
            title: seen.title,
            evidence: seen.evidence,
        },
        Kind::TriggerSeen(_) // Of a phase that was left.
        | Kind::KillSwitchEngaged(_) // The kill-switch service says so itself.
        | Kind::RolloutCreated(_)
        | Kind::PlanChanged(_)
        | Kind::PlanStored(_)
        | Kind::PlanApproved(_)
        | Kind::RampProposed(_)
        | Kind::HoldBroken(_)
        | Kind::HoldMended(_)
        | Kind::TimelineNoted(_)
        | Kind::MetricsSampled(_)
        | Kind::RampStepTaken(_)
        | Kind::GenerationApplied(_) => return Ok(None),
    }))
}

fn started(phase: &str, exposure: i32, again: bool) -> Result<News, vocab::Invalid> {
    let exposure = BasisPoints::new(i64::from(exposure))?;
    Ok(News::PhaseStarted { phase: PhaseId::new(phase)?, exposure, again })
}

/// Reads an event of the kill-switch service. Drills are nobody's news.
pub(crate) fn of_kill_switch(response: WatchKillSwitchEventsResponse) -> Occurrence {
    let what = match response.event {
        Some(SwitchEvent::Change(change)) if !change.drill => {
            changed(change).unwrap_or_else(|why| unreadable("killswitch", response.revision, &why))
        }
        Some(SwitchEvent::Change(_) | SwitchEvent::Drill(_)) | None => What::Nothing,
    };
    Occurrence {
        source: "killswitch",
        revision: unsigned(response.revision),
        time: time_of(response.occur_time.as_ref()),
        actor: response.actor,
        what,
    }
}

fn changed(switch: KillSwitch) -> Result<What, vocab::Invalid> {
    let state = switch.state();
    let (concern, scope) = concern(&switch.scope.unwrap_or_default())?;
    let reason = switch.reason;
    let news = match state {
        SwitchState::Released => News::KillSwitchReleased { scope, reason },
        // Not said is read as engaged.
        SwitchState::Engaged | SwitchState::Unspecified => {
            News::KillSwitchEngaged { scope, reason }
        }
    };
    Ok(What::News(concern, news))
}

/// Whom a scope concerns, and the scope in words.
fn concern(scope: &Scope) -> Result<(Concern, String), vocab::Invalid> {
    let pipeline = || PipelineId::new(&scope.pipeline).map(Concern::Pipeline);
    Ok(match scope.kind() {
        ScopeKind::Unspecified | ScopeKind::Global => {
            (Concern::Everything, "everything".to_owned())
        }
        ScopeKind::Pipeline => (pipeline()?, format!("all of {}", scope.pipeline)),
        ScopeKind::Cohort => {
            (pipeline()?, format!("the cohort of {} of {}", scope.phase_id, scope.pipeline))
        }
        ScopeKind::Workspace => {
            let words = format!("workspaces {} of {}", scope.workspace_pattern, scope.pipeline);
            (pipeline()?, words)
        }
    })
}

fn unreadable(source: &str, revision: i64, why: &vocab::Invalid) -> What {
    tracing::error!(source, revision, %why, "an event that cannot be read: nobody is told");
    What::Nothing
}

/// A message as shown: real times on the clock everything else is shown on.
pub(crate) fn shown(stored: &Stored, clock: &Clock) -> pb::Message {
    shown_message(stored.message.clone(), clock)
}

pub(crate) fn shown_message(mut message: pb::Message, clock: &Clock) -> pb::Message {
    for time in [&mut message.next_attempt_time, &mut message.deadline_time].into_iter().flatten() {
        *time = wire_time(on(clock, time_of(Some(time))));
    }
    message
}

/// A communication as shown: its deadline on the clock everything else is shown on.
pub(crate) fn shown_communication(
    communication: &pb::Communication,
    clock: &Clock,
) -> pb::Communication {
    let mut shown = communication.clone();
    shown.deadline_time =
        shown.deadline_time.map(|time| wire_time(on(clock, time_of(Some(&time)))));
    shown
}

/// A real time on a clock.
fn on(clock: &Clock, real: Timestamp) -> Timestamp {
    clock
        .demo()
        .map_or(real, |demo| demo.origin.plus(real.since(demo.origin).saturating_mul(demo.factor)))
}

pub(crate) const fn wire_outcome(outcome: &AttemptOutcome) -> pb::attempt::Outcome {
    match outcome {
        AttemptOutcome::Sent => pb::attempt::Outcome::Sent,
        AttemptOutcome::Transient { .. } => pb::attempt::Outcome::Transient,
        AttemptOutcome::Permanent => pb::attempt::Outcome::Permanent,
        AttemptOutcome::Unknown => pb::attempt::Outcome::Unknown,
    }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_nobodys_news() {
        let change = KillSwitch { drill: true, ..KillSwitch::default() };
        let event = Some(SwitchEvent::Change(change));
        let read = of_kill_switch(WatchKillSwitchEventsResponse {
            event,
            ..WatchKillSwitchEventsResponse::default()
        });
        assert!(matches!(read.what, What::Nothing));
    }
}
