//! What the tests of the whole house share: the house itself, its blueprint, and what tells
//! whether a recorded history could have happened in a house that keeps its promises.
//!
//! **Invariant:** nothing here injects a fault or calls a service on its own account.

mod blueprint;
mod guarded;
mod history;
mod house;
mod linearizable;
mod raw;
mod revisions;

pub use blueprint::{Blueprint, Locked, Tree};
pub use guarded::{Guarded, Guards, entry};
pub use history::{Action, Begun, Call, Fault, History, Outcome, Recorder};
pub use house::{CLIENT, House, Journals, Outlets, Person, ask};
pub use linearizable::{Model, Timed, explain};
pub use raw::{RawAnswer, frame, raw_call};
pub use revisions::check_register;
