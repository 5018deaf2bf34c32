//! Communications: an event, the plan and the time in, messages out; and when to try again.
//!
//! **Invariant:** no event that the plan wants told is dropped: each either becomes messages or is
//! said to have none. No I/O, no clock, no randomness: jitter comes in as a value.

mod audience;
mod cadence;
mod compose;
mod delivery;
mod digest;
mod facts;
mod message;
mod news;
mod progress;
mod standing;
mod template;

pub use cadence::due;
pub use compose::{Context, DESTINATIONS_MAX, Told, preview, stand_ins, tell, tell_by_hand};
pub use delivery::{ATTEMPTS_MAX, AttemptOutcome, Next, Policy, after_attempt, quiet_until};
pub use digest::{DIGEST_MAX, Text, digest};
pub use message::{Content, Meeting, NewCommunication, NewMessage, Urgency};
pub use news::News;
pub use progress::{Part, PartState, Progress, Verdict, progress};
pub use standing::{Incident, IncidentStatus, REVIEW, Reminder, Review, Standing};
pub use template::{BODY_BYTES_MAX, check_plan, check_templates, html_of, one_line};
