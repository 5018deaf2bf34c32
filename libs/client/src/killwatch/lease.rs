//! For how long a word is trusted, and the renewals that extend it. Pure: instants come in.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::policy::OnStale;
use killswitch_core::Policy;

const STATIC_MAX: Duration = Duration::from_secs(3_600); // Where nobody has set another bound.
const INTERVAL_MIN: Duration = Duration::from_millis(20); // However short a lease is.

/// For how long what was heard is trusted, counted from when it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trust {
    /// How long a word counts as fresh.
    pub(super) lease: Duration,
    /// How long what is not killed goes on: the lease, or more under `FAIL_STATIC`.
    pub(super) good_for: Duration,
}

impl Trust {
    /// What a process does that has been told no other policy.
    pub(super) fn of(policy: Policy) -> Self {
        let (lease, fail_closed) = (policy.stale_after, policy.fail_closed);
        Self { lease, good_for: if fail_closed { lease } else { lease.max(STATIC_MAX) } }
    }

    /// Reads what the service says. A lease that is missing or none is `otherwise`'s; what does
    /// not read as `FAIL_STATIC` fails closed, and a missing bound extends nothing.
    pub(super) fn read(wire: &pb::Policy, otherwise: Self) -> Self {
        let read = |wire: Option<prost_types::Duration>| {
            wire.and_then(|wire| Duration::try_from(wire).ok()).filter(|time| !time.is_zero())
        };
        let lease = read(wire.lease_duration).unwrap_or(otherwise.lease);
        let good_for = match wire.on_stale() {
            OnStale::FailStatic => lease.max(read(wire.static_duration_max).unwrap_or_default()),
            OnStale::FailClosed | OnStale::Unspecified => lease,
        };
        Self { lease, good_for }
    }

    /// The same, and nothing trusted for longer than `bound`.
    pub(super) fn at_most(self, bound: Option<Duration>) -> Self {
        let bound = bound.unwrap_or(Duration::MAX);
        Self { lease: self.lease.min(bound), good_for: self.good_for.min(bound) }
    }

    /// How often to renew: two more tries fit into what is left of a lease.
    pub(super) fn interval(self) -> Duration {
        (self.lease / 3).max(INTERVAL_MIN)
    }
}

/// The renewals of one stream.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    leases: bool,
    sent: i64,
    sent_at: Option<Duration>,
    answered: bool,
}

impl Renewals {
    /// Takes in what a response says of leases; returns from when contact counts, if it does. A
    /// service that leases nothing is trusted from when it was heard.
    pub(super) fn heard(
        &mut self,
        response: &pb::WatchKillSwitchesResponse,
        now: Duration,
    ) -> Option<Duration> {
        self.leases |= response.policy.is_some() || response.renewed_sequence > 0;
        if !self.leases {
            return Some(now);
        }
        // Older renewals have counted already; one that was never sent grants nothing.
        if self.sent == 0 || response.renewed_sequence != self.sent || self.answered {
            return None;
        }
        self.answered = true;
        self.sent_at
    }

    /// Whether the service leases: one that does not may refuse a renewal.
    pub(super) const fn are_expected(&self) -> bool {
        self.leases
    }

    /// When the next renewal is to be sent, or has to be answered by: a renewal is late when the
    /// next would be due, and a service may wait for its next heartbeat.
    pub(super) fn due(&self, interval: Duration, heartbeat: Duration) -> Option<Duration> {
        if !self.leases {
            return None;
        }
        let Some(sent_at) = self.sent_at else { return Some(Duration::ZERO) };
        Some(sent_at + if self.answered { interval } else { interval.max(heartbeat) })
    }

    /// The sequence of the renewal to send now; `None` where the last one was not answered.
    pub(super) fn send(&mut self, now: Duration) -> Option<i64> {
        if self.sent_at.is_some() && !self.answered {
            return None;
        }
        self.sent += 1;
        self.sent_at = Some(now);
        self.answered = false;
        Some(self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const CLOSED: Trust = Trust { lease: SECOND, good_for: SECOND };

    fn wire(on_stale: OnStale, lease: Duration, bound: Option<Duration>) -> pb::Policy {
        pb::Policy {
            lease_duration: lease.try_into().ok(),
            on_stale: on_stale.into(),
            static_duration_max: bound.and_then(|bound| bound.try_into().ok()),
        }
    }

    fn response(renewed_sequence: i64) -> pb::WatchKillSwitchesResponse {
        let policy = Some(pb::Policy::default());
        pb::WatchKillSwitchesResponse { renewed_sequence, policy, ..Default::default() }
    }

    #[test]
    fn a_policy_that_is_not_plainly_static_is_closed_and_a_static_one_is_bounded() {
        let lease = SECOND * 9;
        let good_for = |wire: &pb::Policy| Trust::read(wire, CLOSED).good_for;
        assert_eq!(good_for(&wire(OnStale::FailClosed, lease, Some(SECOND * 60))), lease);
        assert_eq!(good_for(&wire(OnStale::Unspecified, lease, Some(SECOND * 60))), lease);
        assert_eq!(good_for(&pb::Policy { on_stale: 77, ..pb::Policy::default() }), SECOND);
        assert_eq!(good_for(&wire(OnStale::FailStatic, lease, Some(SECOND * 60))), SECOND * 60);
        assert_eq!(good_for(&wire(OnStale::FailStatic, lease, Some(SECOND))), lease);
        assert_eq!(good_for(&wire(OnStale::FailStatic, lease, None)), lease);
        let told_nothing = Policy { stale_after: SECOND, fail_closed: false };
        assert_eq!(Trust::of(told_nothing).good_for, STATIC_MAX);
    }

    #[test]
    fn a_process_may_trust_less_than_it_is_told_to_and_never_more() {
        let told = Trust { lease: SECOND * 5, good_for: SECOND * 60 };
        let strict = Trust { lease: SECOND * 2, good_for: SECOND * 2 };
        assert_eq!(told.at_most(Some(SECOND * 2)), strict);
        assert_eq!(told.at_most(Some(SECOND * 99)), told);
        assert_eq!(told.at_most(None), told);
    }

    #[test]
    fn a_service_that_leases_nothing_is_trusted_from_when_it_was_heard_and_asked_for_nothing() {
        let mut renewals = Renewals::default();
        let said = pb::WatchKillSwitchesResponse::default();
        assert_eq!(renewals.heard(&said, SECOND * 3), Some(SECOND * 3));
        assert_eq!(renewals.due(SECOND, SECOND), None);
    }

    #[test]
    fn a_lease_counts_from_when_its_renewal_was_sent_and_once() {
        let mut renewals = Renewals::default();
        assert_eq!(renewals.heard(&response(0), SECOND), None, "a hello asks for no lease");
        assert_eq!(renewals.due(SECOND * 3, SECOND), Some(Duration::ZERO));
        assert_eq!(renewals.send(SECOND * 2), Some(1));
        assert_eq!(renewals.heard(&response(2), SECOND * 3), None, "it was never sent");
        assert_eq!(renewals.heard(&response(1), SECOND * 4), Some(SECOND * 2));
        assert_eq!(renewals.heard(&response(1), SECOND * 9), None, "a heartbeat repeats it");
        assert_eq!(renewals.due(SECOND * 3, SECOND), Some(SECOND * 5));
        assert_eq!(renewals.send(SECOND * 5), Some(2));
        assert_eq!(renewals.heard(&response(1), SECOND * 6), None, "it is older");
    }

    #[test]
    fn a_renewal_is_late_when_the_next_is_due_but_not_before_a_heartbeat() {
        let mut renewals = Renewals::default();
        renewals.heard(&response(0), SECOND);
        renewals.send(SECOND);
        assert_eq!(renewals.due(SECOND * 3, SECOND), Some(SECOND * 4));
        assert_eq!(renewals.due(SECOND, SECOND * 5), Some(SECOND * 6));
        assert_eq!(renewals.send(SECOND * 4), None);
    }
}
