//! Log lines that others can cause: bounded, so that they cannot fill the disk, with what was left
//! out said later.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const SPAN: Duration = Duration::from_secs(1);
const LINES_MAX: u64 = 200; // In a span.

/// Says when a line may be written.
#[derive(Debug)]
pub(crate) struct Sparing(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    since: Instant,
    asked: u64,
}

impl Sparing {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Lines { since: Instant::now(), asked: 0 }))
    }

    /// Whether a line may be written now. What was left out before is said first.
    pub(crate) fn may_say(&self) -> bool {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (may, left_out) = lines.next(Instant::now());
        drop(lines);
        if left_out > 0 {
            tracing::warn!(target: "audit", left_out, "more was refused than is said");
        }
        may
    }
}

impl Lines {
    /// Whether another line may be written, and how many were left out in the span before.
    fn next(&mut self, now: Instant) -> (bool, u64) {
        let mut left_out = 0;
        if now.saturating_duration_since(self.since) >= SPAN {
            left_out = self.asked.saturating_sub(LINES_MAX);
            *self = Self { since: now, asked: 0 };
        }
        self.asked += 1;
        (self.asked <= LINES_MAX, left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_bound_a_log_says_how_much_it_left_out() {
        let start = Instant::now();
        let mut lines = Lines { since: start, asked: 0 };
        let said = (0..LINES_MAX + 50).filter(|_| lines.next(start).0).count();
        assert_eq!(u64::try_from(said), Ok(LINES_MAX));
        assert_eq!(lines.next(start + SPAN), (true, 50));
        assert_eq!(lines.next(start + SPAN * 2), (true, 0));
    }
}
