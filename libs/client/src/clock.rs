//! The worker's clocks, handed in so that a demo or a test can run on one of its own.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vocab::Timestamp;

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The system's clock.
#[must_use]
pub fn system_clock() -> Now {
    Arc::new(real_now)
}

/// A clock that runs `factor` times as fast from `origin` on, as the services' demo clock does.
#[must_use]
pub fn demo_clock(origin: Timestamp, factor: u32) -> Now {
    Arc::new(move || origin.plus(real_now().since(origin).saturating_mul(factor)))
}

#[expect(clippy::disallowed_methods, reason = "a worker is a process of its own: its one clock")]
fn real_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

#[expect(clippy::disallowed_methods, reason = "a worker is a process of its own: its one clock")]
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Time that never jumps, since this process first asked. One origin for everybody: whoever has
/// looked at the clock can tell the next one, and a look is a good part of what an evaluation costs.
pub(crate) fn elapsed() -> Duration {
    ORIGIN.elapsed()
}
