//! What one process knows of the switches: newest state, last contact, and what to do in silence.

use std::time::Duration;

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

/// The newest state a process has heard of. Instants are the process's own monotonic clock, as
/// time since it started.
#[derive(Debug, Clone, Default)]
pub struct View {
    epoch: u64,
    engaged: Vec<Engaged>,
    last_contact: Option<Duration>,
}

impl View {
    /// Takes in a state, as heard at `now`. Returns whether it changed anything. An older state is
    /// refused; at the same epoch what either of the two stops stays stopped.
    pub fn accept(&mut self, epoch: u64, engaged: Vec<Engaged>, now: Duration) -> bool {
        let newest = epoch >= self.epoch;
        let changed = self.take(epoch, engaged);
        if newest {
            self.renew(now);
        }
        changed
    }

    /// Takes in a state that is no sign of life: what it stops is stopped, and nothing is trusted
    /// for longer because of it.
    pub fn take(&mut self, epoch: u64, engaged: Vec<Engaged>) -> bool {
        if epoch < self.epoch {
            return false;
        }
        if epoch > self.epoch {
            self.epoch = epoch;
            self.engaged = engaged;
            return true;
        }
        let missing: Vec<_> =
            engaged.into_iter().filter(|switch| !self.engaged.contains(switch)).collect();
        let changed = !missing.is_empty();
        self.engaged.extend(missing);
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

    /// What is engaged.
    #[must_use]
    pub fn engaged(&self) -> &[Engaged] {
        &self.engaged
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
        silent || self.engaged.iter().any(|switch| switch.scope.covers(target))
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
}
