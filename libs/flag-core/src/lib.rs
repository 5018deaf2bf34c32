//! Flags: rules and context in, a decision out (semantics §3 and §4).
//!
//! **Invariant:** this crate does no I/O, reads no clock and draws no randomness: the same flag,
//! workspace and attributes give the same answer on every replica, restart and machine.

mod admission;
mod bucket;
mod change;
mod evaluate;
mod flag;

pub use admission::{Admission, Limit, LimitHit, decide_admission};
pub use bucket::bucket;
pub use change::{ChangeRefusal, check_new, check_step, check_update, raises};
pub use evaluate::{Evaluation, Reason, evaluate};
pub use flag::{Attribute, Attributes, Definition, Flag, LISTED_MAX, Limits, Patterns};
