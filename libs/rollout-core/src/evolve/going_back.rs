//! Pauses and rollbacks, as they happened.

use plan::TriggerAction;
use vocab::{BasisPoints, Timestamp};

use crate::decide::is_seen_to_end;
use crate::event::Event;
use crate::rollback::{DoneStep, Rollback};
use crate::rollout::{Pause, Rollout, State};
use crate::trigger::{Firing, Watched};

impl Rollout {
    pub(super) fn apply_pause(
        &mut self,
        reason: &str,
        global: bool,
        trigger: &str,
        now: Timestamp,
    ) {
        self.generation += 1;
        self.state = State::Paused;
        let (reason, trigger_id) = (reason.to_owned(), trigger.to_owned());
        self.hold_still(now, Pause { reason, global, trigger_id, since: now, kill_epoch: None });
    }

    pub(super) fn apply_resume(&mut self, now: Timestamp) {
        self.generation += 1;
        self.state = State::Running;
        self.pause = None;
        let plan = &self.plan.plan;
        self.firing.retain(|trigger| is_seen_to_end(plan, trigger)); // The others are armed anew.
        self.rearm_generation = self.generation;
        self.start_clock(now);
    }

    /// Goes back to a phase. Gates before it stay passed; its own and later ones do not.
    pub(super) fn reenter(&mut self, phase_id: &str, exposure: BasisPoints, now: Timestamp) {
        self.enter(phase_id, exposure, now);
        let phases = self.plan.plan.phases.iter().take(self.phase_index.unwrap_or(0));
        let before: Vec<_> = phases.filter_map(|phase| phase.gate.as_ref()).collect();
        self.passed_gates.retain(|gate| before.iter().any(|one| one.id.as_str() == gate));
        (self.ga_announced_at, self.ga_declared_at) = (None, None);
        self.post_ga_done.clear();
        if let Some(rollback) = &mut self.rollback {
            rollback.reentered = true;
        }
    }

    pub(super) const fn note_kill(&mut self, epoch: u64) {
        if let Some(pause) = &mut self.pause {
            pause.kill_epoch = Some(epoch);
        }
    }

    pub(super) fn note_firing(&mut self, firing: &Firing) {
        let current = firing.phase_generation >= self.phase_generation;
        if firing.kind == Watched::Trigger && current {
            if firing.firing {
                self.firing.insert(firing.name());
            } else {
                self.firing.remove(&firing.name());
            }
        }
    }

    pub(super) fn begin_rollback(&mut self, event: &Event, now: Timestamp) {
        let Event::RollbackStarted {
            rollback_id,
            action,
            from_phase_id,
            to_phase_id,
            reason,
            trigger_id,
            ..
        } = event
        else {
            return;
        };
        self.generation += 1;
        self.state = State::RollingBack;
        self.rollback = Some(Rollback {
            id: rollback_id.clone(),
            action: *action,
            from_phase_id: from_phase_id.clone(),
            to_phase_id: to_phase_id.clone(),
            reason: reason.clone(),
            trigger_id: trigger_id.clone(),
            started_at: now,
            reentered: false,
            done: Vec::new(),
        });
        let global = *action >= TriggerAction::GlobalPause;
        let (reason, trigger_id) = (reason.clone(), trigger_id.clone());
        self.hold_still(now, Pause { reason, global, trigger_id, since: now, kill_epoch: None });
    }

    pub(super) fn tick_off(&mut self, rollback_id: &str, step: DoneStep) {
        let Some(rollback) = self.rollback.as_mut().filter(|one| one.id == rollback_id) else {
            return;
        };
        if !rollback.is_done(&step.id) {
            rollback.done.push(step);
        }
        let over = rollback.reentered && rollback.next_system_step(&self.plan.plan).is_none();
        if self.state == State::RollingBack && over {
            self.state = State::Paused; // What is left is for people.
        }
    }
}
