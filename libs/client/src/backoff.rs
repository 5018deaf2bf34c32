//! How long to wait before trying again.

use std::time::Duration;

const DELAY_FIRST: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(2);

/// Delays that double, and of which a part is drawn: workers that lost the service together do
/// not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    delay: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { delay: DELAY_FIRST }
    }

    /// Begins anew after a word.
    pub(crate) const fn reset(&mut self) {
        self.delay = DELAY_FIRST;
    }

    /// Whether nothing has failed since the last word.
    pub(crate) fn is_fresh(&self) -> bool {
        self.delay == DELAY_FIRST
    }

    /// The next delay: between half of the full one and all of it.
    pub(crate) fn next(&mut self, drawn: u64) -> Duration {
        let full = self.delay;
        self.delay = (full * 2).min(DELAY_MAX);
        let share = u32::try_from(drawn % 1_000).unwrap_or(0);
        full / 2 + full / 2 * share / 1_000
    }
}

/// A number nobody can guess.
pub(crate) fn draw() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_bound_and_begin_anew_after_a_word() {
        let mut backoff = Backoff::new();
        let lowest: Vec<_> = (0..8).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(lowest, [25, 50, 100, 200, 400, 800, 1_000, 1_000]);
        assert!(!backoff.is_fresh());
        backoff.reset();
        assert_eq!(backoff.next(999), Duration::from_micros(49_975));
    }
}
