//! How fast a channel takes messages: so many a second, after a few at once, and none while it asks
//! for quiet.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use comms_core::AttemptOutcome;

use crate::channels::Answer;

const BURST: u32 = 3; // Fewer than are let through: on their way they catch up with each other.
const WAIT_MAX: Duration = Duration::from_secs(4); // An attempt has other things to do as well.

/// The pace of one channel.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next one is due if all come evenly: the one number of the generic cell rate algorithm.
    due: Mutex<Option<Instant>>,
}

impl Pace {
    /// `per_second` messages a second; 0 for no limit.
    pub(super) fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Self { interval, due: Mutex::new(None) }
    }

    /// Waits for the turn of one message.
    ///
    /// # Errors
    /// The answer to give where it would take too long: not now, but later.
    pub(super) async fn turn(&self) -> Result<(), Answer> {
        let wait = self.reserve(Instant::now());
        match wait {
            Ok(wait) => {
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Err(wait) => {
                let outcome = AttemptOutcome::Transient { retry_after: Some(wait) };
                Err(Answer::new(outcome, "not asked: the channel wants quiet"))
            }
        }
    }

    /// Keeps quiet where the channel has asked for it.
    pub(super) fn heed(&self, answer: &Answer) {
        if let AttemptOutcome::Transient { retry_after: Some(asked) } = answer.outcome {
            self.rest(Instant::now(), asked);
        }
    }

    fn rest(&self, now: Instant, asked: Duration) {
        let Some(until) = now.checked_add(asked + self.interval * (BURST - 1)) else { return };
        let mut due = self.lock();
        *due = Some(due.map_or(until, |due| due.max(until)));
    }

    /// How long to wait; an error where that is too long, and nothing is reserved then.
    fn reserve(&self, now: Instant) -> Result<Duration, Duration> {
        let mut due = self.lock();
        let even = due.map_or(now, |due| due.max(now));
        let ahead = even.saturating_duration_since(now);
        let wait = ahead.saturating_sub(self.interval * (BURST - 1));
        if wait > WAIT_MAX {
            return Err(wait);
        }
        *due = even.checked_add(self.interval);
        Ok(wait)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_few_go_at_once_and_then_one_a_second() {
        let (pace, now) = (Pace::new(1), Instant::now());
        for _at_once in 0..BURST {
            assert_eq!(pace.reserve(now), Ok(Duration::ZERO));
        }
        assert_eq!([pace.reserve(now), pace.reserve(now)], [Ok(SECOND), Ok(2 * SECOND)]);
        // An hour later the burst is there again, and no more than that.
        let later = now + 3_600 * SECOND;
        let waits: Vec<_> = (0..=BURST).map(|_| pace.reserve(later)).collect();
        assert_eq!(waits.last(), Some(&Ok(SECOND)));
    }

    #[test]
    fn a_turn_that_is_far_off_is_not_waited_for_and_not_reserved() {
        let (pace, now) = (Pace::new(1), Instant::now());
        for _taken in 0..BURST + 4 {
            assert!(pace.reserve(now).is_ok());
        }
        assert_eq!(pace.reserve(now), Err(5 * SECOND));
        assert_eq!(pace.reserve(now), Err(5 * SECOND));
    }

    #[test]
    fn quiet_is_kept_as_long_as_asked_for() {
        let (pace, now) = (Pace::new(1), Instant::now());
        pace.rest(now, 30 * SECOND);
        assert_eq!(pace.reserve(now), Err(30 * SECOND));
        assert_eq!(pace.reserve(now + 30 * SECOND), Ok(Duration::ZERO));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let (pace, now) = (Pace::new(0), Instant::now());
        assert!((0..1_000).all(|_| pace.reserve(now) == Ok(Duration::ZERO)));
    }
}
