//! What is read on the hot path: no lock, no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use killswitch_core::{Policy, Scope, Target, View};

use super::lease::Trust;
use crate::clock::{elapsed, nanoseconds};

/// What is known, and for how long it is trusted.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) view: View,
    pub(super) trust: Trust,
}

impl Known {
    fn is_stale(&self, now: Duration) -> bool {
        let policy = Policy { stale_after: self.trust.lease, fail_closed: true };
        self.view.is_stale(policy, now)
    }

    fn is_killed(&self, target: Target<'_>, now: Duration) -> bool {
        let policy = Policy { stale_after: self.trust.good_for, fail_closed: true };
        self.view.is_killed(target, policy, now)
    }

    /// Until when everybody goes on, whoever asks; zero where it depends, or nobody does.
    fn open_until(&self) -> Duration {
        let contact = self.view.last_contact().filter(|_| self.view.stops_nothing());
        contact.map_or(Duration::ZERO, |contact| contact.saturating_add(self.trust.good_for))
    }
}

/// What is known, shared with whoever asks.
///
/// While nothing is engaged or let go on bit by bit, one atomic load says both that and until when
/// the lease is good; the time it is compared with comes from the system's monotonic clock.
/// Otherwise the whole state is looked at through one pointer that is never locked.
#[derive(Debug)]
pub(super) struct Reading {
    open_until_ns: AtomicU64,
    known: ArcSwap<Known>,
}

impl Reading {
    pub(super) fn new(known: Known) -> Self {
        Self { open_until_ns: AtomicU64::new(0), known: ArcSwap::from_pointee(known) }
    }

    /// Replaces what is known. For one writer.
    pub(super) fn publish(&self, known: Known) {
        let open_until = nanoseconds(known.open_until());
        // Nobody may find "everybody goes on" beside a state that says otherwise.
        self.open_until_ns.store(0, Ordering::Release);
        self.known.store(Arc::new(known));
        self.open_until_ns.store(open_until, Ordering::Release);
    }

    /// At a time that [`at_latest_ns`](crate::clock::at_latest_ns) told just now.
    #[inline]
    pub(super) fn is_killed(&self, target: Target<'_>, now_ns: u64) -> bool {
        if now_ns < self.open_until_ns.load(Ordering::Acquire) {
            return false;
        }
        self.known.load().is_killed(target, elapsed()) // The exact clock has the last word.
    }

    /// The epoch of a state by which everybody goes on at a time that
    /// [`at_latest_ns`](crate::clock::at_latest_ns) told just now.
    pub(super) fn everybody_goes_on(&self, now_ns: u64) -> Option<u64> {
        let known = self.known.load();
        (now_ns < nanoseconds(known.open_until())).then(|| known.view.epoch())
    }

    /// As [`Reading::is_killed`], and the epoch of the state that says so.
    pub(super) fn answer(&self, target: Target<'_>) -> (bool, u64) {
        let known = self.known.load();
        (known.is_killed(target, elapsed()), known.view.epoch())
    }

    /// Which scopes somebody may be stopped by; `None` where everybody is, for want of a permission.
    pub(super) fn scopes(&self) -> Option<Vec<Scope>> {
        let (known, now) = (self.known.load(), elapsed());
        let policy = Policy { stale_after: known.trust.good_for, fail_closed: true };
        let silent = known.view.is_stale(policy, now);
        (!silent).then(|| known.view.scopes(now).cloned().collect())
    }

    pub(super) fn covers_without_phase(&self, target: Target<'_>) -> bool {
        self.known.load().view.stops_for_certain(target, elapsed())
    }

    pub(super) fn is_stale(&self) -> bool {
        self.known.load().is_stale(elapsed())
    }

    pub(super) fn epoch(&self) -> u64 {
        self.known.load().view.epoch()
    }
}

#[cfg(test)]
mod tests {
    use killswitch_core::Engaged;
    use vocab::{PipelineId, WorkspaceId};

    use super::*;
    use crate::clock::at_latest_ns;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn view(epoch: u64, engaged: Vec<Engaged>) -> View {
        let mut view = View::default();
        view.accept(epoch, engaged, Duration::ZERO);
        view
    }

    fn killed(reading: &Reading) -> bool {
        let pipeline = PipelineId::new("ingestion_v2").unwrap();
        let workspace = WorkspaceId::new("ws-1").unwrap();
        let target = Target { pipeline: &pipeline, phase: None, workspace: &workspace };
        let killed = reading.is_killed(target, at_latest_ns());
        let open = reading.everybody_goes_on(at_latest_ns());
        assert_eq!(open, (!killed).then(|| reading.epoch()), "nobody is stopped by its name here");
        assert_eq!(reading.answer(target), (killed, reading.epoch()), "both say the same");
        killed
    }

    #[test]
    fn the_short_answer_is_that_of_the_whole_state() {
        let trust = Trust { lease: HOUR, good_for: HOUR };
        let reading = Reading::new(Known { view: View::default(), trust });
        assert!(killed(&reading), "nothing was heard");
        reading.publish(Known { view: view(1, Vec::new()), trust });
        assert!(!killed(&reading));
        let engaged = vec![Engaged { scope: Scope::Global, epoch: 2 }];
        reading.publish(Known { view: view(2, engaged), trust });
        assert!(killed(&reading));
        reading.publish(Known { view: view(3, Vec::new()), trust });
        assert!(!killed(&reading));
        let over = Trust { lease: Duration::ZERO, good_for: Duration::ZERO };
        reading.publish(Known { view: view(3, Vec::new()), trust: over });
        assert!(killed(&reading), "its lease is over");
    }
}
