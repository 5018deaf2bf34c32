//! What the tests of the whole house share: the house itself, and its blueprint.
//!
//! **Invariant:** nothing here decides whether a test passes; it only builds what tests look at.

mod blueprint;
mod house;
mod raw;

pub use blueprint::{Blueprint, Locked, Tree};
pub use house::{House, Journals, Person, ask};
pub use raw::{RawAnswer, frame, raw_call};
