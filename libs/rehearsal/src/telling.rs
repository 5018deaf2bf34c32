//! Who is told of what, by the core of communications.

use comms_core::{Context, News, tell};
use rollout_core::Event;
use vocab::PhaseId;

use crate::world::{ROLLOUT, World};

impl World<'_> {
    /// Tells what the plan wants told of an event. In a rehearsal everything is delivered at once.
    pub(crate) fn tell(&mut self, event: &Event, actor: &str) {
        let Some(news) = news(event) else { return };
        let source = format!("rehearsal-{}", self.revision);
        let context = Context {
            plan: self.plan,
            rollout: ROLLOUT.trim_start_matches("rollouts/"),
            source: &source,
            revision: self.revision,
            actor,
            time: self.now,
            affected: None,
        };
        let told = tell(&context, &self.told, &news);
        self.told = told.standing;
        for communication in told.communications {
            for message in &communication.messages {
                let line = format!("tells {}: {}", message.destination, message.subject);
                self.say("comms", line);
            }
            for lacking in &communication.lacking {
                self.say("comms", format!("cannot tell: {lacking}"));
            }
            if communication.lacking.is_empty() {
                let complete = gate_core::Told::Complete(self.now);
                self.communications.insert(communication.event, complete);
            }
        }
    }
}

/// What people may have to be told of an event.
#[expect(clippy::wildcard_enum_match_arm, reason = "nobody is told of the others")]
fn news(event: &Event) -> Option<News> {
    Some(match event.clone() {
        Event::PhaseEntered { phase_id, exposure, .. } => {
            News::PhaseStarted { phase: PhaseId::new(&phase_id).ok()?, exposure, again: false }
        }
        Event::PhaseReentered { phase_id, exposure, .. } => {
            News::PhaseStarted { phase: PhaseId::new(&phase_id).ok()?, exposure, again: true }
        }
        Event::GateApproved { role, .. } => News::GateApproved { role: role.to_string() },
        Event::Paused { reason, global, trigger_id, .. } => {
            News::RolloutPaused { reason, global, trigger: trigger_id }
        }
        Event::Resumed { reason, .. } => News::RolloutResumed { reason },
        Event::RollbackStarted { from_phase_id, to_phase_id, reason, .. } => {
            News::RollbackStarted { from: from_phase_id, to: to_phase_id, reason }
        }
        Event::RollbackStepDone { step_id, detail, .. } => {
            News::RollbackStepDone { step: step_id, detail }
        }
        Event::PhaseOverdue { phase_id, .. } => {
            News::PhaseOverdue { phase: PhaseId::new(&phase_id).ok()? }
        }
        Event::GaAnnounced { .. } => News::GaAnnounced,
        Event::GaDeclared { .. } => News::GaDeclared,
        Event::PostGaTaskDone { task_id, .. } => News::PostGaTaskDone { task: task_id },
        Event::Archived { reason, .. } => News::RolloutArchived { reason },
        _ => return None,
    })
}
