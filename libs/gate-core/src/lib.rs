//! Gates: samples, criteria and the time in, a verdict out (semantics §5).
//!
//! **Invariant:** no data never passes, and missing data never improves a verdict. No I/O, no
//! clock; counts and thresholds are integers until they are printed.

mod judge;
mod recorded;
mod replay;
mod watch;

mod evidence;
mod ga;
mod incomplete_beta;
mod latency;
mod sighted;
mod statistics;
mod tally;

pub use evidence::{Answer, Attested, Evidence, Gauge, SpanKey, Told};
pub use ga::{Day, consecutive_days};
pub use judge::{
    CriterionResult, Kind, MEASURED_SPANS, Reason, Value, Verdict, describe, judge, overall, value,
};
pub use latency::{RELATIVE_ERROR_PPM, latency_bucket, quantile_ms};
pub use recorded::{Entry, Recorded, limits};
pub use replay::{Change, Unplayable, What, replay};
pub use sighted::{Breaker, BreakerState, Incident, Sighted};
pub use statistics::{
    Interval, certified_after, clopper_pearson, confidence_sequence, ln_e_fail, ln_e_pass,
    lower_bound, p99_upper_rank, poisson_limits, upper_bound, wilson,
};
pub use tally::{Field, Happening, Outcome, Path, Ripe, Tally, reading};
pub use watch::{
    Condition, Level, Moved, Observed, Standing, State, Subject, Watched, observe, step, watched,
};
