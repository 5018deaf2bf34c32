//! What is said of calls that are refused.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tokio::time::Instant;
use vocab::excerpt;

use crate::access::Rule;
use crate::fault::Fault;
use crate::metrics::meter;

const SPAN: Duration = Duration::from_secs(1);
const LINES_MAX: u64 = 200; // In a second: whoever is refused must not fill the disk either.

/// A call that was refused.
pub(super) struct Refused<'a> {
    pub(super) rule: Option<&'static Rule>,
    pub(super) path: &'a str,
    pub(super) who: &'a str,
    pub(super) address: Option<SocketAddr>,
    pub(super) fault: &'a Fault,
}

/// Says every refusal in the log, up to a bound, and counts all of them.
pub(super) struct Audit {
    refused: Counter<u64>,
    lines: Mutex<Lines>,
}

struct Lines {
    since: Instant,
    asked: u64,
}

impl Lines {
    /// Whether another line may be written, and how many were left out in the second before.
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

impl Audit {
    pub(super) fn new() -> Self {
        let refused = meter()
            .u64_counter("softlaunch.identity.refused")
            .with_description("Calls that were refused for who called them.")
            .build();
        Self { refused, lines: Mutex::new(Lines { since: Instant::now(), asked: 0 }) }
    }

    pub(super) fn note(&self, refused: &Refused<'_>) {
        let Refused { rule, path, who, address, fault } = refused;
        // Only methods we know become a label: others are whatever the caller made up.
        let method = rule.map_or("unknown", |rule| rule.path.trim_start_matches('/'));
        let why = fault.reason();
        self.refused.add(1, &[KeyValue::new("rpc", method), KeyValue::new("reason", why)]);
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let (may, left_out) = lines.next(Instant::now());
        drop(lines);
        if left_out > 0 {
            tracing::warn!(target: "audit", left_out, "more calls were refused than are said");
        }
        if may {
            let (rpc, from) = (excerpt(path), address.map(tracing::field::display));
            tracing::warn!(target: "audit", who, %rpc, why, from, "call refused");
        }
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
