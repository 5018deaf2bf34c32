//! The phase machine of a rollout: which step comes next, and when it may (semantics §2, §6, §9).
//!
//! **Invariant:** exposure rises only by an event that a recorded approval or ramp step caused, at
//! most doubles, and never during a pause. No I/O, no clock: time, verdicts and commands come in
//! as values, events go out as values.

mod advice;
mod decide;
mod effects;
mod event;
mod evolve;
mod refusal;
mod report;
mod rollback;
mod rollout;
mod trigger;
mod words;

pub use advice::{Advice, Situation, advise};
pub use decide::{
    Grounds, advance, announce_ga, approve, approve_plan, archive, change_plan, complete_task,
    create, declare_ga, kill_switch_engaged, note, overdue, pause, ramp, ramp_automatically,
    ramp_is_due, react, reenter, resume, roll_back, sample, sample_is_due, start, step_done,
    store_plan, tick_off,
};
pub use effects::{Application, Effect, FlagApplication, next_effect, pending_application};
pub use event::{Event, Sample};
pub use evolve::Stamp;
pub use refusal::{Missing, Refusal};
pub use report::{Item, Report, Standing};
pub use rollback::{DoneStep, Rollback, SystemStep};
pub use rollout::{
    Approval, EndGate, GA_GATE, GA_UNANNOUNCED_GATE, Pause, PlanApproval, ProposedStep, Rollout,
    Rollouts, State, StoredPlan,
};
pub use trigger::{Firing, Outcome, Watched};
pub use words::action_name;
