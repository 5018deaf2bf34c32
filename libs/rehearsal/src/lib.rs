//! Rehearsals: a whole plan carried out by the real cores on virtual time, with a simulated fleet and
//! simulated people. Forty days take seconds, and the same seed gives the same bytes.
//!
//! **Invariant:** nothing is decided here that a service would decide: phases, triggers, verdicts, kills
//! and bucketing are those of the cores. No I/O, no clock; randomness comes from the seed alone.

mod fleet;
mod gates;
mod outcome;
mod people;
mod play;
mod scenario;
mod telling;
mod trouble;
mod world;

pub use fleet::{Fleet, generate};
pub use outcome::{Line, Rehearsal};
pub use play::rehearse;
pub use scenario::{Fault, FaultKind, Malformed, Scenario};
