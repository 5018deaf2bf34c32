//! A worker that really ingests ad exports: CSV in, daily results per campaign out.
//!
//! The v2 path validates a file, stages its rows in an embedded SQL database, aggregates them and
//! commits, behind a circuit breaker; the legacy path does it all at once. Both give the same
//! results. What Softlaunch is to know of it comes back as values: outcomes, transitions, backlog.
//!
//! **Invariant:** nothing but [`worker`] speaks to a network, reads a clock or waits by itself.

pub mod breaker;
pub mod ingest;
pub mod legacy;
pub mod machine;
pub mod parse;
pub mod platform;
pub mod samples;
pub mod stage;
pub mod worker;
