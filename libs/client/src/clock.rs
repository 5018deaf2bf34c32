//! The worker's clocks, handed in so that a demo or a test can run on one of its own.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use rustix::time::{ClockId, Timespec};
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

/// Ticks of the coarse clock by which it may be behind: one, but of a virtual machine the processor
/// that keeps the time may not run; after five ticks another one keeps it.
#[cfg(target_os = "linux")]
const TICKS_BEHIND: u32 = 10;

/// One origin for everybody: whoever has looked at the clock can tell the next one.
#[cfg(target_os = "linux")]
static ORIGIN: LazyLock<(Duration, u64)> = LazyLock::new(|| {
    let tick = since(rustix::time::clock_getres(ClockId::MonotonicCoarse), Duration::ZERO);
    let origin = since(rustix::time::clock_gettime(ClockId::Monotonic), Duration::ZERO);
    (origin, nanoseconds(origin.saturating_sub(tick.saturating_mul(TICKS_BEHIND))))
});

#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "a worker is a process of its own: its one clock")]
static ORIGIN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

/// Time that never jumps, since this process first asked.
#[cfg(target_os = "linux")]
pub(crate) fn elapsed() -> Duration {
    since(rustix::time::clock_gettime(ClockId::Monotonic), ORIGIN.0)
}

/// As [`elapsed`], in nanoseconds by the clock's last tick: not earlier than it is, and later by ten
/// ticks at most, which are 10 to 100 ms. Where a permission is good by this one it is good, and only
/// otherwise the exact one has to be asked, which takes as long as an evaluation.
#[cfg(target_os = "linux")]
#[inline]
pub(crate) fn at_latest_ns() -> u64 {
    let at = rustix::time::clock_gettime(ClockId::MonotonicCoarse);
    // Neither is negative, and 2^64 ns are 584 years.
    let (seconds, nanos) = (at.tv_sec.cast_unsigned(), at.tv_nsec.cast_unsigned());
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos).saturating_sub(ORIGIN.1)
}

#[cfg(target_os = "linux")]
fn since(at: Timespec, origin: Duration) -> Duration {
    // Neither is negative: these clocks begin when the machine does.
    let (seconds, nanos) = (at.tv_sec.cast_unsigned(), at.tv_nsec.cast_unsigned());
    let nanos = u32::try_from(nanos).unwrap_or(0);
    Duration::new(seconds, nanos).saturating_sub(origin)
}

/// Time that never jumps, since this process first asked.
#[cfg(not(target_os = "linux"))]
pub(crate) fn elapsed() -> Duration {
    ORIGIN.elapsed()
}

/// As [`elapsed`], in nanoseconds.
#[cfg(not(target_os = "linux"))]
pub(crate) fn at_latest_ns() -> u64 {
    nanoseconds(elapsed())
}

/// As many nanoseconds, or as there can be.
pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_tick_is_not_earlier_than_it_is() {
        for _ in 0..200_000 {
            let before = nanoseconds(elapsed());
            let at = at_latest_ns();
            assert!(before <= at, "{at} is before {before}");
            let after = nanoseconds(elapsed() + Duration::from_millis(100));
            assert!(at <= after, "{at} is later than {after}");
        }
    }
}
