//! What follows from an attempt to deliver.

use std::time::Duration;

use vocab::Timestamp;

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
    /// Whether the channel took it cannot be known. It is sent again: told twice beats not told.
    Unknown,
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
}

/// Decides after attempt number `attempts` (from 1). `jitter` in `0..=1000` spreads retries over
/// half of the delay.
#[must_use]
pub fn after_attempt(
    outcome: &AttemptOutcome,
    attempts: usize,
    jitter: u32,
    now: Timestamp,
) -> Next {
    let asked = match outcome {
        AttemptOutcome::Sent => return Next::Sent,
        AttemptOutcome::Permanent => return Next::Dead,
        AttemptOutcome::Transient { retry_after } => retry_after.unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_channel_asks_for_is_respected_in_full() {
        let asked = Duration::from_secs(3_600);
        let outcome = AttemptOutcome::Transient { retry_after: Some(asked) };
        let next = after_attempt(&outcome, 1, 0, Timestamp::EPOCH);
        assert_eq!(next, Next::RetryAt(Timestamp::EPOCH.plus(asked)));
    }

    #[test]
    fn a_permanent_refusal_is_not_tried_again() {
        assert_eq!(after_attempt(&AttemptOutcome::Permanent, 1, 0, Timestamp::EPOCH), Next::Dead);
    }

    proptest! {
        #[test]
        fn every_message_ends(jitter in 0_u32..=1_000) {
            let outcome = AttemptOutcome::Unknown;
            let last = after_attempt(&outcome, ATTEMPTS_MAX, jitter, Timestamp::EPOCH);
            prop_assert_eq!(last, Next::Dead);
            for attempt in 1..ATTEMPTS_MAX {
                let Next::RetryAt(at) = after_attempt(&outcome, attempt, jitter, Timestamp::EPOCH)
                else { panic!("gave up early") };
                prop_assert!(at > Timestamp::EPOCH && at <= Timestamp::EPOCH.plus(DELAY_MAX));
            }
        }
    }
}
