//! What one process knows of the switches: newest state, last contact, and what to do in silence.

use std::time::Duration;

use crate::ramp::waits;
use crate::scope::{Scope, Target};

/// What a process does when it has lost the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long the last known state is trusted without contact.
    pub stale_after: Duration,
    /// Whether everything counts as killed after that.
    pub fail_closed: bool,
}

/// An engaged switch as far as enforcement goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engaged {
    /// What is stopped.
    pub scope: Scope,
    /// Since which epoch.
    pub epoch: u64,
}

/// A released scope that is let go on bit by bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reopening {
    /// What was released.
    pub scope: Scope,
    /// The epoch of the release.
    pub epoch: u64,
    /// Time since the release, when this was said.
    pub elapsed: Duration,
    /// Time from the release until everybody goes on.
    pub ramp: Duration,
}

impl Reopening {
    /// Whether the scope covers the target, and its share of the ramp is still to come once
    /// `later` more has passed.
    fn holds(&self, target: Target<'_>, later: Duration) -> bool {
        let elapsed = self.elapsed.saturating_add(later);
        elapsed < self.ramp
            && self.scope.covers(target)
            && elapsed < waits(target.workspace, self.epoch, self.ramp)
    }
}

/// The newest state a process has heard of. Instants are the process's own monotonic clock, as
/// time since it started. Reading it takes no lock and no memory.
#[derive(Debug, Clone, Default)]
pub struct View {
    epoch: u64,
    engaged: Vec<Engaged>,
    reopening: Vec<(Reopening, Duration)>,
    last_contact: Option<Duration>,
}

impl View {
    /// Takes in a state in which nothing is let go on bit by bit; see
    /// [`accept_state`](Self::accept_state).
    pub fn accept(&mut self, epoch: u64, engaged: Vec<Engaged>, now: Duration) -> bool {
        self.accept_state(epoch, engaged, Vec::new(), now)
    }

    /// Takes in a state as [`take_state`](Self::take_state) does, as a sign of life at `now`.
    pub fn accept_state(
        &mut self,
        epoch: u64,
        engaged: Vec<Engaged>,
        reopening: Vec<Reopening>,
        now: Duration,
    ) -> bool {
        let newest = epoch >= self.epoch;
        let changed = self.take_state(epoch, engaged, reopening, now);
        if newest {
            self.renew(now);
        }
        changed
    }

    /// Takes in a state that is no sign of life: what it stops is stopped, and nothing is trusted
    /// for longer because of it. Nothing of it is let go on bit by bit.
    pub fn take(&mut self, epoch: u64, engaged: Vec<Engaged>) -> bool {
        self.take_state(epoch, engaged, Vec::new(), Duration::ZERO)
    }

    /// Takes in a state, as heard at `now`, that is no sign of life. Returns whether it changed
    /// anything. An older state is refused; at the same epoch what either of the two stops stays
    /// stopped. A workspace that has gone on stays on, however late a message is.
    pub fn take_state(
        &mut self,
        epoch: u64,
        engaged: Vec<Engaged>,
        reopening: Vec<Reopening>,
        now: Duration,
    ) -> bool {
        if epoch < self.epoch {
            return false;
        }
        let mut changed = self.take_reopening(epoch, reopening, now);
        if epoch > self.epoch {
            self.epoch = epoch;
            self.engaged = engaged;
            return true;
        }
        let missing: Vec<_> =
            engaged.into_iter().filter(|switch| !self.engaged.contains(switch)).collect();
        changed |= !missing.is_empty();
        self.engaged.extend(missing);
        changed
    }

    /// Of two words on the same release the one that is further on is right: messages are late,
    /// never early.
    fn take_reopening(&mut self, epoch: u64, told: Vec<Reopening>, now: Duration) -> bool {
        let known = std::mem::take(&mut self.reopening);
        let same = |one: &Reopening, other: &Reopening| {
            one.scope == other.scope && one.epoch == other.epoch
        };
        let elapsed = |one: &Reopening, heard: Duration| {
            one.elapsed.saturating_add(now.saturating_sub(heard))
        };
        let mut changed = false;
        for one in told {
            let before = known.iter().find(|(known, _)| same(known, &one));
            changed |= before.is_none();
            let kept = before.filter(|(known, heard)| elapsed(known, *heard) > one.elapsed);
            self.reopening.push(kept.cloned().unwrap_or((one, now)));
        }
        if epoch == self.epoch {
            let untold: Vec<_> = known
                .into_iter()
                .filter(|(known, _)| !self.reopening.iter().any(|(one, _)| same(one, known)))
                .filter(|(known, heard)| elapsed(known, *heard) < known.ramp)
                .collect();
            self.reopening.extend(untold);
        }
        changed
    }

    /// Counts contact from `at`: when what was answered had been asked. Never goes back.
    pub fn renew(&mut self, at: Duration) {
        self.last_contact = self.last_contact.max(Some(at));
    }

    /// The highest epoch heard of.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When contact was counted from last; `None` before the first word.
    #[must_use]
    pub const fn last_contact(&self) -> Option<Duration> {
        self.last_contact
    }

    /// What is engaged.
    #[must_use]
    pub fn engaged(&self) -> &[Engaged] {
        &self.engaged
    }

    /// Every scope of which somebody may be stopped: engaged, or not yet let go on altogether.
    pub fn scopes(&self, now: Duration) -> impl Iterator<Item = &Scope> {
        let reopening = self.reopening.iter().filter(move |(one, heard)| {
            one.elapsed.saturating_add(now.saturating_sub(*heard)) < one.ramp
        });
        let engaged = self.engaged.iter().map(|switch| &switch.scope);
        engaged.chain(reopening.map(|(one, _)| &one.scope))
    }

    /// Whether no scope is engaged or being let go on: then nothing is stopped but by silence.
    #[must_use]
    pub fn stops_nothing(&self) -> bool {
        self.engaged.is_empty() && self.reopening.is_empty()
    }

    /// Whether a switch stops the target, whatever the time of the last contact.
    #[must_use]
    pub fn stops(&self, target: Target<'_>, now: Duration) -> bool {
        self.engaged.iter().any(|switch| switch.scope.covers(target))
            || self
                .reopening
                .iter()
                .any(|(reopening, heard)| reopening.holds(target, now.saturating_sub(*heard)))
    }

    /// As [`stops`](Self::stops), where a switch on a cohort counts only if the phase is known.
    #[must_use]
    pub fn stops_for_certain(&self, target: Target<'_>, now: Duration) -> bool {
        let certain = |scope: &Scope| target.phase.is_some() || !matches!(scope, Scope::Cohort(..));
        let mut engaged = self.engaged.iter().filter(|switch| certain(&switch.scope));
        let mut reopening = self.reopening.iter().filter(|(one, _)| certain(&one.scope));
        engaged.any(|switch| switch.scope.covers(target))
            || reopening.any(|(one, heard)| one.holds(target, now.saturating_sub(*heard)))
    }

    /// Whether the last word is older than the policy trusts, or there was none.
    #[must_use]
    pub fn is_stale(&self, policy: Policy, now: Duration) -> bool {
        self.last_contact.is_none_or(|contact| now.saturating_sub(contact) > policy.stale_after)
    }

    /// Whether the target is stopped, as far as this process may assume.
    #[must_use]
    pub fn is_killed(&self, target: Target<'_>, policy: Policy, now: Duration) -> bool {
        let never_heard = self.last_contact.is_none();
        let silent = never_heard || (policy.fail_closed && self.is_stale(policy, now));
        silent || self.stops(target, now)
    }
}

#[cfg(test)]
mod tests {
    use vocab::{PipelineId, WorkspaceId};

    use super::*;

    const CLOSED: Policy = Policy { stale_after: Duration::from_secs(10), fail_closed: true };
    const STATIC: Policy = Policy { fail_closed: false, ..CLOSED };

    fn killed(view: &View, policy: Policy, now_s: u64) -> bool {
        let pipeline = PipelineId::new("ingestion_v2").unwrap();
        let workspace = WorkspaceId::new("ws-1").unwrap();
        let target = Target { pipeline: &pipeline, phase: None, workspace: &workspace };
        view.is_killed(target, policy, Duration::from_secs(now_s))
    }

    fn global(epoch: u64) -> Vec<Engaged> {
        vec![Engaged { scope: Scope::Global, epoch }]
    }

    #[test]
    fn a_process_that_never_heard_anything_treats_everything_as_killed() {
        assert!(killed(&View::default(), CLOSED, 0));
        assert!(killed(&View::default(), STATIC, 0));
    }

    #[test]
    fn silence_closes_or_keeps_the_last_state_as_the_policy_says() {
        let mut view = View::default();
        view.accept(1, Vec::new(), Duration::ZERO);
        assert!(!killed(&view, CLOSED, 10));
        assert!(killed(&view, CLOSED, 11));
        assert!(!killed(&view, STATIC, 1_000));
    }

    #[test]
    fn a_state_that_is_no_sign_of_life_stops_and_lets_nothing_go_on() {
        let mut view = View::default();
        assert!(view.take(1, Vec::new()));
        assert!(killed(&view, STATIC, 0), "nothing was granted");
        view.renew(Duration::from_secs(5));
        view.renew(Duration::from_secs(2));
        assert!(!killed(&view, CLOSED, 15));
        assert!(view.take(2, global(2)));
        assert!(killed(&view, CLOSED, 6));
    }

    #[test]
    fn an_older_state_is_refused_and_at_equal_epochs_the_kill_wins() {
        let mut view = View::default();
        view.accept(3, global(3), Duration::ZERO);
        assert!(!view.accept(2, Vec::new(), Duration::ZERO));
        assert!(!view.accept(3, Vec::new(), Duration::ZERO));
        assert!(killed(&view, STATIC, 0));
        assert!(view.accept(4, Vec::new(), Duration::ZERO));
        assert!(!killed(&view, STATIC, 0));
    }

    fn released(elapsed_s: u64) -> Vec<Reopening> {
        let (scope, elapsed) = (Scope::Global, Duration::from_secs(elapsed_s));
        vec![Reopening { scope, epoch: 2, elapsed, ramp: Duration::from_secs(60) }]
    }

    fn open(view: &View, now_s: u64) -> usize {
        let pipeline = PipelineId::new("ingestion_v2").unwrap();
        let ids = (0..1_000).map(|n| WorkspaceId::new(&format!("ws-{n}")).unwrap());
        let now = Duration::from_secs(now_s);
        ids.filter(|workspace| {
            let target = Target { pipeline: &pipeline, phase: None, workspace };
            !view.is_killed(target, STATIC, now)
        })
        .count()
    }

    #[test]
    fn a_released_scope_goes_on_bit_by_bit_and_never_back() {
        let mut view = View::default();
        view.accept(1, global(1), Duration::ZERO);
        assert_eq!(open(&view, 0), 0);
        assert!(view.accept_state(2, Vec::new(), released(0), Duration::ZERO));
        let half = open(&view, 30);
        assert!((300..700).contains(&half), "{half}");
        // A heartbeat that was on its way for long tells of an earlier time.
        view.accept_state(2, Vec::new(), released(10), Duration::from_secs(30));
        assert_eq!(open(&view, 30), half);
        assert!(open(&view, 45) > half);
        assert_eq!(open(&view, 60), 1_000);
        // The end of the ramp is not waited for beyond it, though nobody says that it is over.
        view.accept(2, Vec::new(), Duration::from_secs(60));
        assert!(view.stops_nothing());
    }

    #[test]
    fn a_kill_during_the_ramp_stops_everybody_again() {
        let mut view = View::default();
        view.accept_state(2, Vec::new(), released(50), Duration::ZERO);
        assert!(open(&view, 0) > 0);
        view.accept(3, global(3), Duration::ZERO);
        assert_eq!(open(&view, 0), 0);
    }
}
