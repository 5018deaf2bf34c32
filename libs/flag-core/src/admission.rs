//! Admission: what a worker does with one upload (semantics §4).

use crate::evaluate::{Evaluation, Reason};
use crate::flag::Limits;

/// What a worker does with an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Process with the new pipeline.
    Admit,
    /// Process with the old pipeline.
    Legacy,
    /// Keep it and ask again.
    Defer,
    /// Refuse it.
    Reject(LimitHit),
    /// Ask for a unit of this daily quota first; granted means admit.
    TakeQuota(u32),
}

/// A limit that refuses an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitHit {
    /// Which limit.
    pub limit: Limit,
    /// Its value.
    pub value: u64,
    /// What was observed.
    pub observed: u64,
}

/// Limits that refuse uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The file is too large.
    FileSize,
    /// The day's quota is used up.
    UploadsPerDay,
}

/// Decides on an upload of `file_size_bytes` by a workspace so evaluated.
#[must_use]
pub fn decide_admission(
    evaluation: Evaluation<'_>,
    limits: &Limits,
    file_size_bytes: u64,
) -> Admission {
    match evaluation.reason {
        Reason::Killed | Reason::Paused => return Admission::Defer,
        Reason::Denylisted
        | Reason::Allowlisted
        | Reason::Disabled
        | Reason::Excluded
        | Reason::Targeted
        | Reason::Percentage
        | Reason::Default
        | Reason::Static => {}
    }
    if !evaluation.enabled {
        return Admission::Legacy;
    }
    match limits.file_size_max_bytes {
        Some(value) if file_size_bytes > value => {
            let hit = LimitHit { limit: Limit::FileSize, value, observed: file_size_bytes };
            return Admission::Reject(hit);
        }
        Some(_) | None => {}
    }
    limits.uploads_per_day.map_or(Admission::Admit, Admission::TakeQuota)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MB: u64 = 10 * 1024 * 1024;

    fn decide(enabled: bool, reason: Reason, file_size_bytes: u64) -> Admission {
        let limits = Limits { uploads_per_day: Some(10), file_size_max_bytes: Some(TEN_MB) };
        decide_admission(Evaluation { enabled, reason, variant: None }, &limits, file_size_bytes)
    }

    #[test]
    fn a_killed_or_paused_upload_waits_and_an_excluded_one_takes_the_old_path() {
        assert_eq!(decide(false, Reason::Killed, 1), Admission::Defer);
        assert_eq!(decide(false, Reason::Paused, 1), Admission::Defer);
        assert_eq!(decide(false, Reason::Disabled, 1), Admission::Legacy);
    }

    #[test]
    fn a_file_of_exactly_the_limit_is_within_it() {
        assert_eq!(decide(true, Reason::Allowlisted, TEN_MB), Admission::TakeQuota(10));
        assert!(matches!(decide(true, Reason::Allowlisted, TEN_MB + 1), Admission::Reject(_)));
    }
}
