//! The phase machine of a rollout: which step comes next, and when it may (semantics §2, §6, §9).
//!
//! **Invariant:** exposure rises only by an event that a recorded approval or ramp step caused, at
//! most doubles, and never during a pause. No I/O, no clock: time, verdicts and commands come in
//! as values, events go out as values.

mod decide;
mod effects;
mod evolve;
mod refusal;
mod report;
mod rollout;

pub use decide::{advance, approve, create, pause, ramp, resume, start, store_plan};
pub use effects::{Application, pending_application};
pub use evolve::Stamp;
pub use refusal::{Missing, Refusal};
pub use report::{Item, Report, Standing};
pub use rollout::{Approval, Event, Rollout, Rollouts, State, StoredPlan};
