//! Judging: each criterion by its kind, the whole by its parts.

mod measure;
mod metric;
mod observed;
mod stated;
mod value;

use std::time::Duration;

use plan::{Assurance, Criterion, Judged};
use vocab::{Role, Timestamp};

use crate::evidence::{Attested, Evidence};
use crate::statistics::Interval;

pub(crate) use measure::{Measured, Question, measure};
pub(crate) use metric::{in_unit, p99_is_below};
pub use value::{MEASURED_SPANS, Value, describe, value};

/// A verdict, from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Not met.
    Fail,
    /// It cannot be said.
    Inconclusive,
    /// Met.
    Pass,
}

/// How a criterion is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By a number.
    Metric,
    /// By something the system saw.
    Observed,
    /// By a person's statement.
    Attestation,
    /// By approvals.
    SignOff,
}

/// Why a verdict is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The rule holds, as sure as asked.
    Met,
    /// The rule does not hold.
    NotMet,
    /// The rule holds as it stands, but the data disproves it.
    Disproved,
    /// A count is still growing towards its goal.
    NotThereYet,
    /// Nobody reports.
    NoTelemetry,
    /// Reporters are alive, and there was nothing to report.
    Idle,
    /// There is data, and too little of it.
    Insufficient,
    /// The rule holds, but not as surely as asked.
    Uncertain,
    /// The newest data is too old.
    Stale,
    /// The source did not answer with one number.
    SourceUnavailable,
    /// Nobody has stated it, or not everybody who must.
    NotStated,
    /// It was stated too long ago.
    Expired,
    /// The system has not seen it yet.
    NotObserved,
}

/// The verdict on one criterion, with what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct CriterionResult {
    /// How it was judged.
    pub kind: Kind,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, for machines.
    pub code: Reason,
    /// Why, as a lowercase fragment.
    pub reason: String,
    /// The value found, for people; empty for none.
    pub value: String,
    /// What it must be, for people; empty for none.
    pub requirement: String,
    /// The interval around a rate at the criterion's confidence.
    pub interval: Option<Interval>,
    /// Observations it rests on.
    pub sample_count: u64,
    /// The stretch of time.
    pub window: String,
    /// Where the value comes from.
    pub source: String,
    /// Who may attest or must sign.
    pub roles: Vec<Role>,
    /// How sure the data makes it; `None` where the rule does not hold or nothing was measured.
    pub assurance: Option<Assurance>,
    /// How sure the plan asks it to be.
    pub required: Option<Assurance>,
    /// When the newest data was made.
    pub data_time: Option<Timestamp>,
    /// How exactly the window's ends are kept.
    pub resolution: Option<Duration>,
    /// About how many more good observations a certificate needs.
    pub certified_after: Option<u64>,
    /// The largest relative error of the value.
    pub relative_error_ppm: u64,
    /// The statements it rests on.
    pub statements: Vec<Attested>,
    /// Judged and shown, but not counted.
    pub dry_run: bool,
}

impl CriterionResult {
    fn new(kind: Kind, verdict: Verdict, code: Reason, reason: impl Into<String>) -> Self {
        Self {
            kind,
            verdict,
            code,
            reason: reason.into(),
            value: String::new(),
            requirement: String::new(),
            interval: None,
            sample_count: 0,
            window: String::new(),
            source: String::new(),
            roles: Vec::new(),
            assurance: None,
            required: None,
            data_time: None,
            resolution: None,
            certified_after: None,
            relative_error_ppm: 0,
            statements: Vec::new(),
            dry_run: false,
        }
    }
}

/// Judges one criterion at `now`.
#[must_use]
pub fn judge(criterion: &Criterion, evidence: &Evidence, now: Timestamp) -> CriterionResult {
    let statements = || evidence.attested.get(criterion.id.as_str()).map_or(&[][..], Vec::as_slice);
    let mut result = match &criterion.judged {
        Judged::Metric(metric) => metric::judge(metric, evidence, now),
        Judged::Observed(observation) => observed::judge(criterion, *observation, evidence, now),
        Judged::Attestation { roles } => {
            stated::attested(roles, statements(), criterion.expires_after, now)
        }
        Judged::SignOff { roles } => {
            stated::signed_off(roles, statements(), criterion.expires_after, now)
        }
    };
    result.dry_run = criterion.dry_run;
    result
}

/// The verdict on the whole: the worst of its parts that count; nothing to judge cannot pass.
#[must_use]
pub fn overall<'a>(results: impl IntoIterator<Item = &'a CriterionResult>) -> Verdict {
    let counted = results.into_iter().filter(|result| !result.dry_run);
    counted.map(|result| result.verdict).min().unwrap_or(Verdict::Inconclusive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_counts_cannot_pass() {
        let pass = CriterionResult::new(Kind::Metric, Verdict::Pass, Reason::Met, "met");
        let fail = CriterionResult::new(Kind::Metric, Verdict::Fail, Reason::NotMet, "not met");
        let dry = |result: &CriterionResult| CriterionResult { dry_run: true, ..result.clone() };
        assert_eq!(overall([]), Verdict::Inconclusive);
        assert_eq!(overall([&dry(&pass)]), Verdict::Inconclusive);
        assert_eq!(overall([&pass, &dry(&fail)]), Verdict::Pass);
        assert_eq!(overall([&pass, &fail]), Verdict::Fail);
    }
}
