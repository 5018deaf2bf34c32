//! What people may have to be told of, and as which events of the plan.

use plan::CommunicationEvent;
use vocab::{BasisPoints, PhaseId};

/// Something people may have to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A phase started.
    PhaseStarted {
        /// The phase.
        phase: PhaseId,
        /// The share that is on by percentage.
        exposure: BasisPoints,
        /// After a rollback.
        again: bool,
    },
    /// The gate at the end of the phase was approved in one role.
    GateApproved {
        /// The role.
        role: String,
    },
    /// The rollout was paused.
    RolloutPaused {
        /// Why.
        reason: String,
        /// The kill switch is engaged as well.
        global: bool,
        /// The trigger that asked for it; empty where a person did.
        trigger: String,
    },
    /// The rollout goes on.
    RolloutResumed {
        /// Why it is safe.
        reason: String,
    },
    /// A rollback began.
    RollbackStarted {
        /// The phase left.
        from: String,
        /// The phase it goes back to.
        to: String,
        /// Why.
        reason: String,
    },
    /// A step of a rollback's checklist is done.
    RollbackStepDone {
        /// The step.
        step: String,
        /// What came of it.
        detail: String,
    },
    /// A kill switch was engaged.
    KillSwitchEngaged {
        /// What it stops, in words.
        scope: String,
        /// Why.
        reason: String,
    },
    /// A kill switch was released.
    KillSwitchReleased {
        /// What goes on, in words.
        scope: String,
        /// Why it is safe.
        reason: String,
    },
    /// The phase takes longer than planned.
    PhaseOverdue {
        /// The phase.
        phase: PhaseId,
    },
    /// General availability is announced.
    GaAnnounced,
    /// General availability was declared.
    GaDeclared,
    /// A task after that is done.
    PostGaTaskDone {
        /// The task.
        task: String,
    },
    /// The rollout is over.
    RolloutArchived {
        /// Why.
        reason: String,
    },
    /// A review is due.
    ReviewDue {
        /// Which in this phase, counted from 1.
        number: u32,
    },
    /// A review is due and nobody has said that they know.
    ReviewUnanswered {
        /// Which in this phase, counted from 1.
        number: u32,
    },
    /// A task after the declaration is due.
    TaskDue {
        /// The task.
        task: String,
    },
    /// Not everybody was told who must be.
    CommunicationIncomplete {
        /// What the plan calls it.
        event: String,
        /// Who was not, and why.
        detail: String,
    },
    /// Something that is watched changed.
    WatchedChanged {
        /// Its id in the plan.
        id: String,
        /// Whether it can pause or roll back, and not only warn.
        trigger: bool,
        /// Whether its condition holds now, or not any more.
        firing: bool,
        /// What it is, in the words of the plan.
        title: String,
        /// What it rests on, in words.
        evidence: String,
        /// The pause or rollback it led to is news by itself.
        acted: bool,
    },
}

impl News {
    /// The events of the plan that this is. `client_facing`: of an incident that clients feel.
    #[must_use]
    pub fn events(&self, client_facing: bool) -> Vec<CommunicationEvent> {
        use CommunicationEvent as Event;
        let incident = || {
            let client = client_facing.then_some(Event::ClientIncident);
            std::iter::once(Event::Incident).chain(client).collect()
        };
        match self {
            Self::PhaseStarted { .. } => {
                vec![Event::PhaseStart, Event::BetaAnnouncement, Event::GateReview]
            }
            Self::GateApproved { .. } => vec![Event::CanaryInvitation],
            Self::RolloutPaused { .. }
            | Self::KillSwitchEngaged { .. }
            | Self::KillSwitchReleased { .. }
            | Self::RollbackStepDone { .. } => incident(),
            Self::RolloutResumed { .. } => {
                let mut events: Vec<_> = incident();
                events.push(Event::GateReview);
                events
            }
            Self::RollbackStarted { .. } => {
                let mut events: Vec<_> = incident();
                events.extend([Event::RollbackNotice, Event::BetaAnnouncement, Event::GateReview]);
                events
            }
            Self::PhaseOverdue { .. } => vec![Event::PhaseOverdue],
            Self::GaAnnounced => vec![Event::GaAnnouncement],
            Self::GaDeclared => vec![Event::GaDeclaration],
            Self::ReviewDue { .. } => vec![Event::ReviewReminder],
            Self::ReviewUnanswered { .. } => Vec::new(), // Told to those whom the plan names for it.
            Self::CommunicationIncomplete { .. } => vec![Event::Incident],
            Self::PostGaTaskDone { .. } | Self::TaskDue { .. } => vec![Event::PostGaFollowUp],
            Self::RolloutArchived { .. } => vec![Event::RolloutArchived],
            // The pause or rollback that follows says the rest.
            Self::WatchedChanged { trigger: true, acted: true, .. } => Vec::new(),
            Self::WatchedChanged { trigger: true, .. } => incident(),
            Self::WatchedChanged { trigger: false, firing: true, .. } => vec![Event::Advisory],
            Self::WatchedChanged { .. } => Vec::new(),
        }
    }
}
