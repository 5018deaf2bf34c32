//! Communications: an event, the plan and the time in, messages out; and when to try again.
//!
//! **Invariant:** no event that the plan wants told is dropped: each either becomes messages or is
//! said to have none. No I/O, no clock, no randomness: jitter comes in as a value.

mod compose;
mod delivery;
mod template;

pub use compose::{NewMessage, News, compose};
pub use delivery::{ATTEMPTS_MAX, AttemptOutcome, Next, after_attempt};
pub use template::{check_templates, one_line};
