//! From outcomes to counters: which buckets an outcome is counted in, and which a window reads.
//!
//! Minutes serve windows of up to two hours, hours serve up to seven days, and one bucket serves
//! the whole stay in a phase. Reading any of them costs the same after one upload as after a
//! hundred million.

use std::collections::BTreeMap;
use std::time::Duration;

use plan::WindowSpan;
use store::{Bucket, Change, Window};
use vocab::Timestamp;

use crate::state::Watched;

/// Ids of batches are remembered longer than the oldest outcome that is taken.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(9 * DAY_S);
/// Outcomes older than this are refused: no window reaches further back.
pub(crate) const PAST_MAX: Duration = Duration::from_secs(7 * DAY_S);
/// Outcomes further in the future than clocks may differ are refused.
pub(crate) const FUTURE_MAX: Duration = Duration::from_secs(60);

const DAY_S: u64 = 24 * 3_600;
const MINUTE: Resolution = Resolution { series: "m", width_s: 60, keep_s: 4 * 3_600 };
const HOUR: Resolution = Resolution { series: "h", width_s: 3_600, keep_s: 9 * DAY_S };
const MINUTES_REACH: Duration = Duration::from_secs(2 * 3_600);
const PHASE_KEPT: Duration = Duration::from_secs(400 * DAY_S);

struct Resolution {
    series: &'static str,
    width_s: u64,
    keep_s: u64,
}

impl Resolution {
    const fn width(&self) -> Duration {
        Duration::from_secs(self.width_s)
    }

    fn start(&self, at: Timestamp) -> Timestamp {
        let width_ms = i64::try_from(self.width_s * 1_000).unwrap_or(i64::MAX);
        Timestamp::from_millis(at.as_millis().div_euclid(width_ms) * width_ms)
    }

    fn bucket(&self, at: Timestamp) -> Bucket {
        let keep = Duration::from_secs(self.keep_s);
        Bucket { series: self.series.to_owned(), start: self.start(at), keep }
    }
}

/// Adds up what a batch changes.
#[derive(Debug, Default)]
pub(crate) struct Sums(BTreeMap<(Bucket, String), u64>);

impl Sums {
    /// Counts one field at an instant.
    pub(crate) fn count(&mut self, watched: &Watched, at: Timestamp, field: &str) {
        let mut buckets = vec![MINUTE.bucket(at), HOUR.bucket(at)];
        if at >= watched.start_time && !watched.phase_id.is_empty() {
            buckets.push(phase_bucket(watched));
        }
        for bucket in buckets {
            *self.0.entry((bucket, field.to_owned())).or_default() += 1;
        }
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.0.into_iter().map(|((bucket, field), by)| Change::Add { bucket, field, by }).collect()
    }
}

fn phase_series(watched: &Watched) -> String {
    let rollout = watched.rollout.trim_start_matches("rollouts/");
    format!("phase:{rollout}:{}", watched.phase_generation)
}

fn phase_bucket(watched: &Watched) -> Bucket {
    Bucket { series: phase_series(watched), start: Timestamp::EPOCH, keep: PHASE_KEPT }
}

/// The buckets that answer for a stretch of time ending at `now`.
pub(crate) fn window(watched: &Watched, span: WindowSpan, now: Timestamp) -> Window {
    match span {
        WindowSpan::SincePhaseStart => Window {
            series: phase_series(watched),
            from: Timestamp::EPOCH,
            to: Timestamp::from_millis(1),
            width: Duration::from_millis(1),
        },
        WindowSpan::Rolling(length) => {
            let resolution = if length <= MINUTES_REACH { &MINUTE } else { &HOUR };
            Window {
                series: resolution.series.to_owned(),
                from: resolution.start(now.minus(length)).plus(resolution.width()),
                to: resolution.start(now.plus(FUTURE_MAX)).plus(resolution.width()),
                width: resolution.width(),
            }
        }
    }
}
