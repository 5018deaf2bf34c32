//! Gates: samples, criteria and the time in, a verdict out (semantics §5).
//!
//! **Invariant:** no data never passes, and missing data never improves a verdict. No I/O, no
//! clock; counts and thresholds are integers until they are printed.

mod evidence;
mod judge;
mod latency;
mod statistics;
mod tally;

pub use evidence::{Attested, Breaker, Evidence, Gauge, Sighted, SpanKey};
pub use judge::{CriterionResult, Kind, MEASURED_SPANS, Verdict, judge, overall};
pub use latency::{latency_bucket, quantile_ms};
pub use statistics::{Interval, clopper_pearson, ln_e_fail, ln_e_pass};
pub use tally::{Field, Outcome, Path, Tally};
