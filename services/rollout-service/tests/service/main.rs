//! The conductor over real sockets: rollbacks cut at every effect, triggers, steps of the ramp.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![recursion_limit = "256"] // Futures of tests are made of futures of clients.

mod fakes;
mod rollback;
mod site;
mod stepping;
mod triggers;
