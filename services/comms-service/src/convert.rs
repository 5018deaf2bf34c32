//! Between the wire, the journal and the core.

use comms_core::{AttemptOutcome, News};
use contracts::comms as pb;
use contracts::killswitch::kill_switch::State as SwitchState;
use contracts::killswitch::scope::Kind as ScopeKind;
use contracts::killswitch::watch_kill_switch_events_response::Event as SwitchEvent;
use contracts::killswitch::{KillSwitch, Scope, WatchKillSwitchEventsResponse};
use contracts::rollout::WatchRolloutEventsResponse;
use contracts::rollout::rollout_event::Kind;
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
    let concern = || Concern::Rollout(event.rollout.clone());
    let what = match event.kind {
        Some(Kind::RolloutCreated(created)) => {
            What::PlanChosen { rollout: event.rollout, plan_version: created.plan_version }
        }
        Some(Kind::PhaseEntered(entered)) => {
            let phase = PhaseId::new(&entered.phase_id);
            let exposure = BasisPoints::new(i64::from(entered.exposure_basis_points));
            match (phase, exposure) {
                (Ok(phase), Ok(exposure)) => {
                    What::News(concern(), News::PhaseStarted { phase, exposure })
                }
                (Err(why), _) | (_, Err(why)) => unreadable("rollout", response.revision, &why),
            }
        }
        Some(Kind::RolloutPaused(paused)) => {
            What::News(concern(), News::RolloutPaused { reason: paused.reason })
        }
        Some(Kind::RollbackStarted(started)) => {
            let (from, to, why) = (started.from_phase_id, started.to_phase_id, started.reason);
            let reason = format!("it is rolled back from {from} to {to}: {why}");
            What::News(concern(), News::RolloutPaused { reason })
        }
        Some(Kind::PlanChanged(changed)) => {
            What::PlanChosen { rollout: event.rollout, plan_version: changed.plan_version }
        }
        Some(
            Kind::PlanStored(_)
            | Kind::PlanApproved(_)
            | Kind::RampProposed(_)
            | Kind::HoldBroken(_)
            | Kind::HoldMended(_)
            | Kind::TriggerSeen(_)
            | Kind::RollbackStepDone(_)
            | Kind::PhaseReentered(_)
            | Kind::KillSwitchEngaged(_)
            | Kind::TimelineNoted(_)
            | Kind::PhaseOverdue(_)
            | Kind::GaAnnounced(_)
            | Kind::GaDeclared(_)
            | Kind::PostGaTaskDone(_)
            | Kind::RolloutArchived(_)
            | Kind::MetricsSampled(_)
            | Kind::GateApproved(_)
            | Kind::RampStepTaken(_)
            | Kind::RolloutResumed(_)
            | Kind::GenerationApplied(_),
        )
        | None => What::Nothing,
    };
    Occurrence {
        source: "rollout",
        revision: unsigned(response.revision),
        time: time_of(response.occur_time.as_ref()),
        actor: response.actor,
        what,
    }
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

/// A message as shown: its next attempt on the clock everything else is shown on.
pub(crate) fn shown(stored: &Stored, clock: &Clock) -> pb::Message {
    let mut message = stored.message.clone();
    if let (Some(due), Some(demo)) = (stored.due(), clock.demo()) {
        let elapsed = due.since(demo.origin).saturating_mul(demo.factor);
        message.next_attempt_time = Some(wire_time(demo.origin.plus(elapsed)));
    }
    message
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
