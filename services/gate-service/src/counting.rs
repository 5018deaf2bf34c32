//! From outcomes to counters: which buckets an outcome is counted in, and which a window reads.
//!
//! Minutes serve windows of up to two hours, hours serve up to seven days, and one bucket serves
//! the whole stay in a phase. Reading any of them costs the same after one upload as after a
//! hundred million. Kinds of series: what happened when it happened; uploads by when they were
//! admitted, so that those that never ended are found; outcomes by platform and by workspace.

mod sums;
mod window;

use std::time::Duration;

use store::Bucket;
use vocab::Timestamp;

pub(crate) use sums::{Sums, Upload};
pub(crate) use window::{Reach, reaches};

use crate::watched::Watched;

/// Ids of batches are remembered longer than the oldest outcome that is taken.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(9 * DAY_S);
/// Outcomes older than this are refused: no window reaches further back.
pub(crate) const PAST_MAX: Duration = Duration::from_secs(7 * DAY_S);
/// Outcomes further in the future than clocks may differ are refused.
pub(crate) const FUTURE_MAX: Duration = Duration::from_secs(60);

const DAY_S: u64 = 24 * 3_600;
const MINUTE: Resolution = Resolution { width_s: 60, keep_s: 4 * 3_600 };
const HOUR: Resolution = Resolution { width_s: 3_600, keep_s: 9 * DAY_S };
/// Windows up to this long are read in minutes.
const MINUTES_REACH: Duration = Duration::from_secs(2 * 3_600);
const PHASE_KEPT: Duration = Duration::from_secs(400 * DAY_S);

/// What a series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Series {
    /// What happened, when it happened.
    Happened,
    /// Uploads, by when they were admitted.
    Admitted,
    /// Outcomes by platform.
    Platform,
    /// Outcomes by workspace.
    Workspace,
}

impl Series {
    /// Names in the store; the first is as it always was.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Happened => "",
            Self::Admitted => "admitted:",
            Self::Platform => "platform:",
            Self::Workspace => "workspace:",
        }
    }

    fn minutes(self) -> String {
        format!("{}m", self.prefix())
    }

    fn hours(self) -> String {
        format!("{}h", self.prefix())
    }

    fn phase(self, watched: &Watched) -> String {
        let rollout = watched.rollout.trim_start_matches("rollouts/");
        format!("{}phase:{rollout}:{}", self.prefix(), watched.phase_generation)
    }

    fn phase_bucket(self, watched: &Watched) -> Bucket {
        Bucket { series: self.phase(watched), start: Timestamp::EPOCH, keep: PHASE_KEPT }
    }
}

struct Resolution {
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

    fn bucket(&self, series: String, at: Timestamp) -> Bucket {
        Bucket { series, start: self.start(at), keep: Duration::from_secs(self.keep_s) }
    }
}
