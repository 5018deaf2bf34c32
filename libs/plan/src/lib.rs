//! The plan file: everything a rollout is bound by, as data.
//!
//! A plan names phases, gates, ramp steps, limits, triggers, communications and post-GA tasks of
//! one pipeline. [`Plan::parse`] reads it whole and reports every problem at once, each with its
//! path, line and what is allowed; [`schema`] gives the same shape to editors. Text goes through
//! a tree that knows its lines, a check against the shape, the rules between parts, and only then
//! becomes a `Plan`.
//!
//! **Invariant:** a `Plan` has passed every check. This crate reads no files and no clock.

mod parse;

mod check;
mod decode;
mod node;
mod schema;
mod shape;
mod validate;

mod closest;
mod problem;

mod closing;
mod communication;
mod criterion;
mod named;
mod phase;
mod quantity;
mod response;
mod whole;

pub use closing::{DocumentChange, DocumentControl, Enhancement, GaRules, PostGaTask, Reference};
pub use communication::{
    Audience, Channel, ChannelKind, Clients, Communication, CommunicationEvent, Contact,
    Escalation, Message, OnUnknown, QuietHours, Template,
};
pub use criterion::{
    Assurance, Baseline, Criterion, Judged, MetricCriterion, Observation, PromQuery, Statistic,
    WindowSpan,
};
pub use parse::read_contacts;
pub use phase::{
    Activity, Exclusion, ExclusionTest, FlagForm, Gate, Limits, Parameter, Phase, RampStep, Review,
    ReviewInterval,
};
pub use problem::{Problem, Severity};
pub use quantity::{Comparison, Metric, Quantity, Requirement, Unit};
pub use response::{
    Growth, IncidentKind, KillSwitchRules, MatrixRow, OnStale, RollbackStep, SYSTEM_STEPS, Signal,
    Threshold, Timing, Trigger, TriggerAction, TriggerCondition, Watching,
};
pub use schema::schema;
pub use whole::{Plan, RoleTitle};

/// D7 as a plan file: the plan of `ingestion_v2`.
pub const SHIPPED: &str = include_str!("../../../deploy/plans/ingestion_v2.yaml");
