//! The rollouts as a fold of the journal.

use contracts::rollout as pb;
use contracts::rollout::rollout_event::Kind;
use prost::Message as _;
use rollout_core::{Event, Rollouts, Stamp};
use store::{Draft, Projection, Record};

use crate::convert;

/// Everything the journal says.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) rollouts: Rollouts,
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        let event = convert::event(decode(record)?)?;
        let stamp = Stamp {
            time: record.time,
            actor: record.actor.subject.clone(),
            revision: record.version,
        };
        self.rollouts.apply(&event, &stamp);
        Ok(())
    }
}

pub(crate) fn decode(record: &Record) -> Result<pb::RolloutEvent, String> {
    pb::RolloutEvent::decode(record.payload.as_slice()).map_err(|error| error.to_string())
}

pub(crate) fn draft(event: &Event) -> Draft {
    let stored = convert::stored(event);
    let name = match &stored.kind {
        Some(Kind::PlanStored(_)) => "PlanStored",
        Some(Kind::RolloutCreated(_)) => "RolloutCreated",
        Some(Kind::PhaseEntered(_)) => "PhaseEntered",
        Some(Kind::GateApproved(_)) => "GateApproved",
        Some(Kind::RampStepTaken(_)) => "RampStepTaken",
        Some(Kind::RolloutPaused(_)) => "RolloutPaused",
        Some(Kind::RolloutResumed(_)) => "RolloutResumed",
        Some(Kind::GenerationApplied(_)) => "GenerationApplied",
        Some(Kind::PlanApproved(_)) => "PlanApproved",
        Some(Kind::PlanChanged(_)) => "PlanChanged",
        Some(Kind::RampProposed(_)) => "RampProposed",
        Some(Kind::HoldBroken(_)) => "HoldBroken",
        Some(Kind::HoldMended(_)) => "HoldMended",
        Some(Kind::TriggerSeen(_)) => "TriggerSeen",
        Some(Kind::RollbackStarted(_)) => "RollbackStarted",
        Some(Kind::RollbackStepDone(_)) => "RollbackStepDone",
        Some(Kind::PhaseReentered(_)) => "PhaseReentered",
        Some(Kind::KillSwitchEngaged(_)) => "KillSwitchEngaged",
        Some(Kind::TimelineNoted(_)) => "TimelineNoted",
        Some(Kind::PhaseOverdue(_)) => "PhaseOverdue",
        Some(Kind::GaAnnounced(_)) => "GaAnnounced",
        Some(Kind::GaDeclared(_)) => "GaDeclared",
        Some(Kind::PostGaTaskDone(_)) => "PostGaTaskDone",
        Some(Kind::RolloutArchived(_)) => "RolloutArchived",
        Some(Kind::MetricsSampled(_)) => "MetricsSampled",
        None => "",
    };
    Draft { kind: name.to_owned(), payload: stored.encode_to_vec() }
}
