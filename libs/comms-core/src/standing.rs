//! Where a rollout stands, as far as people are told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plan::Plan;
use vocab::{PhaseId, Timestamp};

use crate::News;

/// The subject of reminders of the reviews of a phase.
pub const REVIEW: &str = "review";

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The phase it is in; `None` before the first.
    pub phase: Option<PhaseId>,
    /// Which stay in that phase it is: rises with every change of phase.
    pub generation: u64,
    /// When it was entered.
    pub phase_since: Timestamp,
    /// Since when the clock of the phase stands still.
    pub stopped_since: Option<Timestamp>,
    /// For how long it stood still before.
    pub stopped_for: Duration,
    /// What kill switches stop, in words.
    pub kills: BTreeSet<String>,
    /// What went wrong and is not over.
    pub incident: Option<Incident>,
    /// Roles that have approved the gate at the end of the phase.
    pub approved: BTreeSet<String>,
    /// When general availability was declared.
    pub ga_declared: Option<Timestamp>,
    /// Tasks after that which are done.
    pub done_tasks: BTreeSet<String>,
    /// It is over.
    pub archived: bool,
    /// The review at the end of the phase.
    pub review: Option<Review>,
    /// What people were reminded of last, by subject.
    pub reminders: BTreeMap<String, Reminder>,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// Identifies it: the thread of everything said about it.
    pub id: String,
    /// How far it is.
    pub status: IncidentStatus,
    /// Whether clients feel it.
    pub client_facing: bool,
}

/// How far an incident is. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IncidentStatus {
    /// It is being looked into.
    Investigating,
    /// Its cause is known.
    Identified,
    /// It is mended and watched.
    Monitoring,
    /// It is over.
    Resolved,
}

/// A meeting that people are invited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Review {
    /// Rises with every change of it.
    pub sequence: u32,
    /// When it starts.
    pub start: Timestamp,
}

/// Somebody was reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reminder {
    /// Of which of its kind, counted from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// Somebody has acknowledged it.
    pub acknowledged: bool,
    /// Nobody had, and others were told.
    pub escalated: bool,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            phase: None,
            generation: 0,
            phase_since: Timestamp::EPOCH,
            stopped_since: None,
            stopped_for: Duration::ZERO,
            kills: BTreeSet::new(),
            incident: None,
            approved: BTreeSet::new(),
            ga_declared: None,
            done_tasks: BTreeSet::new(),
            archived: false,
            review: None,
            reminders: BTreeMap::new(),
        }
    }
}

impl Standing {
    /// For how long the phase has run, pauses not counted.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> Duration {
        let end = self.stopped_since.unwrap_or(now);
        end.since(self.phase_since).saturating_sub(self.stopped_for)
    }

    /// Where it stands after some news. `revision` orders changes of phase; `source` names an
    /// incident that begins with it. An incident that ends with it is still there, as resolved.
    #[must_use]
    pub fn after(
        &self,
        plan: &Plan,
        news: &News,
        revision: u64,
        source: &str,
        time: Timestamp,
    ) -> Self {
        let felt = |id: &str| plan.communication.client_facing.iter().any(|one| one.as_str() == id);
        let mut next = self.clone();
        if next.incident.as_ref().is_some_and(|one| one.status == IncidentStatus::Resolved) {
            next.incident = None;
        }
        match news {
            News::PhaseStarted { phase, .. } => next.enter(phase, revision, time),
            News::GateApproved { role } => drop(next.approved.insert(role.clone())),
            News::RolloutPaused { global, trigger, .. } => {
                next.stopped_since.get_or_insert(time);
                next.worsen(source, *global || felt(trigger));
            }
            News::RollbackStarted { .. } => {
                next.stopped_since.get_or_insert(time);
                next.worsen(source, true);
            }
            News::KillSwitchEngaged { scope, .. } => {
                next.kills.insert(scope.clone());
                next.worsen(source, true);
            }
            News::KillSwitchReleased { scope, .. } => {
                next.kills.remove(scope);
                next.improve(IncidentStatus::Monitoring);
                next.end_incident();
            }
            News::RolloutResumed { .. } => {
                if let Some(since) = next.stopped_since.take() {
                    next.stopped_for += time.since(since);
                }
                next.improve(IncidentStatus::Monitoring);
                next.end_incident();
            }
            News::RollbackStepDone { step, .. } => match step.as_str() {
                "investigate-root-cause" => next.improve(IncidentStatus::Identified),
                "fix-and-verify" => next.improve(IncidentStatus::Monitoring),
                _ => {}
            },
            News::WatchedChanged { id, firing: true, .. } => {
                if let Some(incident) = &mut next.incident {
                    incident.client_facing |= felt(id);
                }
            }
            News::GaDeclared => next.ga_declared = Some(time),
            News::PostGaTaskDone { task } => drop(next.done_tasks.insert(task.clone())),
            News::RolloutArchived { .. } => next.archived = true,
            News::ReviewDue { number } => next.reminded(REVIEW, *number, time),
            News::TaskDue { task } => next.reminded(task, 1, time),
            News::ReviewUnanswered { .. } => {
                if let Some(reminder) = next.reminders.get_mut(REVIEW) {
                    reminder.escalated = true;
                }
            }
            News::PhaseOverdue { .. }
            | News::GaAnnounced
            | News::WatchedChanged { .. }
            | News::CommunicationIncomplete { .. } => {}
        }
        next
    }

    fn reminded(&mut self, subject: &str, number: u32, at: Timestamp) {
        let reminder = Reminder { number, at, acknowledged: false, escalated: false };
        self.reminders.insert(subject.to_owned(), reminder);
    }

    fn enter(&mut self, phase: &PhaseId, revision: u64, time: Timestamp) {
        self.phase = Some(phase.clone());
        self.generation = revision;
        self.phase_since = time;
        self.stopped_for = Duration::ZERO;
        self.stopped_since = self.stopped_since.map(|_| time); // A rollback ends paused.
        self.approved.clear();
        self.review = None;
        self.reminders.remove(REVIEW);
    }

    fn worsen(&mut self, source: &str, client_facing: bool) {
        let incident = self.incident.get_or_insert_with(|| Incident {
            id: format!("incident-{source}"),
            status: IncidentStatus::Investigating,
            client_facing: false,
        });
        incident.client_facing |= client_facing;
    }

    fn improve(&mut self, status: IncidentStatus) {
        if let Some(incident) = &mut self.incident {
            incident.status = incident.status.max(status);
        }
    }

    /// It is over once the rollout goes on and nothing is stopped.
    fn end_incident(&mut self) {
        if self.stopped_since.is_none() && self.kills.is_empty() {
            self.improve(IncidentStatus::Resolved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.plus(Duration::from_secs(seconds))
    }

    fn paused() -> News {
        News::RolloutPaused { reason: "look".into(), global: false, trigger: String::new() }
    }

    fn shipped() -> Plan {
        Plan::parse(plan::SHIPPED).expect("the shipped plan is valid").0
    }

    #[test]
    fn time_in_a_pause_is_not_time_in_the_phase() {
        let (plan, phase) = (shipped(), PhaseId::new("P1").unwrap());
        let entered =
            News::PhaseStarted { phase, exposure: vocab::BasisPoints::ZERO, again: false };
        let standing = Standing::default().after(&plan, &entered, 1, "a", at(0));
        let standing = standing.after(&plan, &paused(), 2, "b", at(10));
        assert_eq!(standing.active(at(100)), Duration::from_secs(10));
        let resumed = News::RolloutResumed { reason: "found".into() };
        let standing = standing.after(&plan, &resumed, 3, "c", at(60));
        assert_eq!(standing.active(at(100)), Duration::from_secs(50));
    }

    #[test]
    fn an_incident_is_over_once_the_rollout_goes_on_and_nothing_is_stopped() {
        let plan = shipped();
        let kill = News::KillSwitchEngaged { scope: "all".into(), reason: "bad".into() };
        let standing = Standing::default().after(&plan, &paused(), 1, "a", at(0));
        let standing = standing.after(&plan, &kill, 2, "b", at(1));
        let id = standing.incident.clone().unwrap().id;
        let resumed = News::RolloutResumed { reason: "found".into() };
        let standing = standing.after(&plan, &resumed, 3, "c", at(2));
        let incident = standing.incident.clone().unwrap();
        assert_eq!((incident.status, &incident.id), (IncidentStatus::Monitoring, &id));
        let released = News::KillSwitchReleased { scope: "all".into(), reason: "good".into() };
        let standing = standing.after(&plan, &released, 4, "d", at(3));
        assert_eq!(standing.incident.clone().unwrap().status, IncidentStatus::Resolved);
        let standing = standing.after(&plan, &paused(), 5, "e", at(4));
        assert_ne!(standing.incident.unwrap().id, id, "the next one is another");
    }
}
