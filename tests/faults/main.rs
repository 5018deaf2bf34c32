//! Faults under load: processes killed, stores killed, replicas racing, and what clients saw of it.
//!
//! Each scenario asserts that its faults struck while calls were in flight and that enough calls
//! ran: a run that shows nothing fails. `tests/long` runs the same with more rounds.

mod clients;
mod installation;
mod order;
mod race;
mod seeded;
mod storm;
mod told;
mod trace;
mod truth;
