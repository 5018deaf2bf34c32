//! What follows from an attempt to deliver.

use std::time::Duration;

use plan::{Channel, OnUnknown, QuietHours};
use vocab::Timestamp;

use crate::Urgency;

/// Attempts before a message is given up: with the delays below, about two hours.
pub const ATTEMPTS_MAX: usize = 12;
const DELAY_FIRST: Duration = Duration::from_secs(1);
const DELAY_MAX: Duration = Duration::from_secs(30 * 60);

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The channel took it.
    Sent,
    /// The channel did not take it. `retry_after`: no sooner than this.
    Transient {
        /// What the channel asked for.
        retry_after: Option<Duration>,
    },
    /// No attempt will help.
    Permanent,
    /// Whether the channel took it cannot be known.
    Unknown,
}

/// How a channel's messages are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What becomes of a message of which nobody knows whether it was taken.
    pub on_unknown: OnUnknown,
}

impl Policy {
    /// As the plan says; where it does not, incidents are told twice rather than not, and clients
    /// get no mail twice.
    #[must_use]
    pub fn of(channel: Option<&Channel>, urgency: Urgency, to_clients: bool) -> Self {
        let usual = match urgency {
            Urgency::Incident => OnUnknown::Resend,
            Urgency::Normal | Urgency::Low if to_clients => OnUnknown::Park,
            Urgency::Normal | Urgency::Low => OnUnknown::Resend,
        };
        Self { on_unknown: channel.and_then(|one| one.on_unknown).unwrap_or(usual) }
    }
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was sent.
    Sent,
    /// Another attempt at this time.
    RetryAt(Timestamp),
    /// It goes to the dead-letter list.
    Dead,
    /// It goes there too, though it may have been told.
    Parked,
}

/// Decides after attempt number `attempts` (from 1). `jitter` in `0..=1000` spreads retries over
/// half of the delay.
#[must_use]
pub fn after_attempt(
    outcome: &AttemptOutcome,
    attempts: usize,
    jitter: u32,
    now: Timestamp,
    policy: Policy,
) -> Next {
    let asked = match outcome {
        AttemptOutcome::Sent => return Next::Sent,
        AttemptOutcome::Permanent => return Next::Dead,
        AttemptOutcome::Transient { retry_after } => retry_after.unwrap_or_default(),
        AttemptOutcome::Unknown if policy.on_unknown == OnUnknown::Park => return Next::Parked,
        AttemptOutcome::Unknown => Duration::ZERO,
    };
    if attempts >= ATTEMPTS_MAX {
        return Next::Dead;
    }
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
    let delay = DELAY_FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(DELAY_MAX);
    let spread = delay / 2 * jitter.min(1_000) / 1_000;
    Next::RetryAt(now.plus((delay / 2 + spread).max(asked)))
}

/// When a message of low urgency is sent that is made at `now`: after quiet hours, and together with
/// others made in the same stretch of `digest_every`.
#[must_use]
pub fn quiet_until(
    hours: Option<QuietHours>,
    digest_every: Option<Duration>,
    now: Timestamp,
) -> Timestamp {
    let together = digest_every.filter(|every| !every.is_zero()).map_or(now, |every| {
        let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
        let slot = now.as_millis().div_euclid(every).saturating_add(1);
        Timestamp::from_millis(slot.saturating_mul(every))
    });
    hours.map_or(together, |hours| after_quiet(hours, together))
}

fn after_quiet(hours: QuietHours, at: Timestamp) -> Timestamp {
    const DAY: i64 = 24 * 60;
    const MINUTE_MS: i64 = 60_000;
    let (from, to) = (i64::from(hours.from_minute), i64::from(hours.to_minute));
    let local = at.as_millis().div_euclid(MINUTE_MS) + i64::from(hours.offset_minutes);
    let minute = local.rem_euclid(DAY);
    let quiet =
        if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to };
    if !quiet {
        return at;
    }
    let wait = (to - minute).rem_euclid(DAY);
    let whole = at.as_millis().div_euclid(MINUTE_MS).saturating_add(wait);
    Timestamp::from_millis(whole.saturating_mul(MINUTE_MS))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RESEND: Policy = Policy { on_unknown: OnUnknown::Resend };

    #[test]
    fn what_nobody_knows_is_parked_where_the_policy_is_not_to_tell_twice() {
        let policy = Policy { on_unknown: OnUnknown::Park };
        let next = after_attempt(&AttemptOutcome::Unknown, 1, 0, Timestamp::EPOCH, policy);
        assert_eq!(next, Next::Parked);
        assert_eq!(Policy::of(None, Urgency::Incident, true), RESEND);
        assert_eq!(Policy::of(None, Urgency::Normal, true), policy);
    }

    #[test]
    fn low_urgency_waits_for_the_morning_and_for_its_kind() {
        let hours = QuietHours { offset_minutes: 120, from_minute: 22 * 60, to_minute: 6 * 60 };
        let until = |at: &str| {
            let every = Some(Duration::from_secs(1_800));
            quiet_until(Some(hours), every, Timestamp::parse(at).unwrap()).to_string()
        };
        assert_eq!(until("2026-01-10T12:10:00Z"), "2026-01-10T12:30:00Z");
        assert_eq!(until("2026-01-10T21:10:00Z"), "2026-01-11T04:00:00Z");
        assert_eq!(until("2026-01-11T03:10:00Z"), "2026-01-11T04:00:00Z");
        let now = Timestamp::parse("2026-01-10T12:10:00Z").unwrap();
        assert_eq!(quiet_until(None, None, now), now);
    }

    #[test]
    fn what_the_channel_asks_for_is_respected_in_full() {
        let asked = Duration::from_secs(3_600);
        let outcome = AttemptOutcome::Transient { retry_after: Some(asked) };
        let next = after_attempt(&outcome, 1, 0, Timestamp::EPOCH, RESEND);
        assert_eq!(next, Next::RetryAt(Timestamp::EPOCH.plus(asked)));
    }

    #[test]
    fn a_permanent_refusal_is_not_tried_again() {
        assert_eq!(
            after_attempt(&AttemptOutcome::Permanent, 1, 0, Timestamp::EPOCH, RESEND),
            Next::Dead
        );
    }

    proptest! {
        #[test]
        fn every_message_ends(jitter in 0_u32..=1_000) {
            let outcome = AttemptOutcome::Unknown;
            let last = after_attempt(&outcome, ATTEMPTS_MAX, jitter, Timestamp::EPOCH, RESEND);
            prop_assert_eq!(last, Next::Dead);
            for attempt in 1..ATTEMPTS_MAX {
                let Next::RetryAt(at) = after_attempt(&outcome, attempt, jitter, Timestamp::EPOCH, RESEND)
                else { panic!("gave up early") };
                prop_assert!(at > Timestamp::EPOCH && at <= Timestamp::EPOCH.plus(DELAY_MAX));
            }
        }
    }
}
