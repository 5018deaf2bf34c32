//! The rollback checklist (D7 §5.3): what the system does, and what people tick off.

use plan::{Plan, RollbackStep, TriggerAction};
use vocab::Timestamp;

use crate::evolve::Stamp;

/// A rollback and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Identifies it within the rollout.
    pub id: String,
    /// How far it goes.
    pub action: TriggerAction,
    /// The phase left.
    pub from_phase_id: String,
    /// The phase it goes back to.
    pub to_phase_id: String,
    /// Why.
    pub reason: String,
    /// The trigger that asked for it; empty where a person did.
    pub trigger_id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Whether the phase it goes back to has been entered.
    pub reentered: bool,
    /// The steps that are done, in the order in which they were.
    pub done: Vec<DoneStep>,
}

/// A step that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneStep {
    /// The step.
    pub id: String,
    /// Who did it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub detail: String,
    /// The evidence, a link; empty for steps of the system.
    pub evidence: String,
}

impl DoneStep {
    pub(crate) fn new(id: &str, detail: &str, evidence: &str, stamp: &Stamp) -> Self {
        Self {
            id: id.to_owned(),
            actor: stamp.actor.clone(),
            at: stamp.time,
            detail: detail.to_owned(),
            evidence: evidence.to_owned(),
        }
    }
}

/// A step that the system does, by its id in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemStep {
    /// Engage the kill switch of the pipeline.
    ActivateKillSwitch,
    /// Have the affected clients told.
    NotifyAffectedClients,
    /// Write down how everything stands.
    CaptureState,
    /// Write the timeline.
    IncidentTimeline,
    /// Take the flag back.
    RollBackFlag,
}

impl SystemStep {
    /// Every step that the system can do.
    pub const ALL: [Self; 5] = [
        Self::ActivateKillSwitch,
        Self::NotifyAffectedClients,
        Self::CaptureState,
        Self::IncidentTimeline,
        Self::RollBackFlag,
    ];

    /// Its id in a plan.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::ActivateKillSwitch => "activate-kill-switch",
            Self::NotifyAffectedClients => "notify-affected-clients",
            Self::CaptureState => "capture-state",
            Self::IncidentTimeline => "incident-timeline",
            Self::RollBackFlag => "roll-back-flag",
        }
    }

    /// The step with this id.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.id() == id)
    }
}

impl Rollback {
    /// Whether a step is done.
    #[must_use]
    pub fn is_done(&self, step: &str) -> bool {
        self.done.iter().any(|done| done.id == step)
    }

    /// The next step of the system; `None` where all are done. Whatever else a plan may list for the
    /// system, the flag always goes back, last.
    #[must_use]
    pub fn next_system_step(&self, plan: &Plan) -> Option<SystemStep> {
        let listed = plan.rollback_steps.iter().filter(|step| step.by_system);
        let listed = listed.filter_map(|step| SystemStep::of(step.id.as_str()));
        let back = SystemStep::RollBackFlag;
        let steps = listed.filter(|step| *step != back).chain([back]);
        steps.into_iter().find(|step| !self.is_done(step.id()))
    }

    /// The steps that people have yet to tick off.
    pub fn open_steps<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a RollbackStep> {
        let of_people = plan.rollback_steps.iter().filter(|step| !step.by_system);
        of_people.filter(|step| !self.is_done(step.id.as_str()))
    }

    /// What people must have ticked off before anything goes on: all but the last of their steps,
    /// which is to go on.
    #[must_use]
    pub fn open_before_resume<'a>(&'a self, plan: &'a Plan) -> Vec<&'a RollbackStep> {
        let last = plan.rollback_steps.iter().rfind(|step| !step.by_system);
        let is_last = |step: &RollbackStep| last.is_some_and(|last| last.id == step.id);
        self.open_steps(plan).filter(|step| !is_last(step)).collect()
    }
}
