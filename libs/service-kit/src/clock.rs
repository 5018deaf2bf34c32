//! The one place where clocks are read.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vocab::Timestamp;

/// Tells the time: as it is, or on a demo clock that runs faster.
#[derive(Debug, Clone)]
pub struct Clock {
    demo: Option<Demo>,
    started: Arc<Instant>,
}

/// A demo clock: from `origin` on, time runs `factor` times as fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demo {
    /// The instant at which both clocks agree.
    pub origin: Timestamp,
    /// How many seconds pass in one.
    pub factor: u32,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(None)
    }

    /// A demo clock where `demo` is given, the system's otherwise.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the home of clocks")]
    pub fn new(demo: Option<Demo>) -> Self {
        Self { demo, started: Arc::new(Instant::now()) }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let real = real_now();
        match self.demo {
            None => real,
            Some(demo) => demo.origin.plus(real.since(demo.origin).saturating_mul(demo.factor)),
        }
    }

    /// Real time since the clock was made. Never jumps; for leases and heartbeats.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    /// How long a stretch of this clock's time takes in reality.
    #[must_use]
    pub fn real(&self, duration: Duration) -> Duration {
        self.demo.map_or(duration, |demo| duration / demo.factor.max(1))
    }

    /// The demo clock's settings, if it is one.
    #[must_use]
    pub const fn demo(&self) -> Option<Demo> {
        self.demo
    }
}

/// The system's time, whatever the demo clock says.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the home of clocks")]
pub fn real_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_clock_agrees_at_its_origin_and_runs_faster_after_it() {
        let origin = real_now().minus(Duration::from_secs(10));
        let clock = Clock::new(Some(Demo { origin, factor: 3_600 }));
        assert!(clock.now().since(origin) >= Duration::from_secs(36_000));
        assert_eq!(clock.real(Duration::from_secs(7_200)), Duration::from_secs(2));
    }
}
