//! The plan file: everything a rollout is bound by, as data.
//!
//! A plan names phases, gates, ramp steps, limits, triggers, communications and post-GA tasks of
//! one pipeline. `Plan::parse` reads it whole and reports every problem at once, each with its
//! path, line and what is allowed; [`schema`] gives the same rules to editors.
//!
//! **Invariant:** a `Plan` has passed every check. This crate reads no files and no clock.

mod criterion;
mod quantity;
mod types;

pub use criterion::{Assurance, Criterion, Judged, MetricCriterion, Observation, WindowSpan};
pub use quantity::{Comparison, Metric, Quantity, Requirement, Unit};
pub use types::*;
