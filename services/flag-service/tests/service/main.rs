//! The service as operators, workers and OpenFeature clients see it: real sockets, a real Redis that
//! fails on demand, and a kill switch that says what it is told to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod admitting;
mod changing;
mod kill_fake;
mod malformed;
mod openfeature;
mod outages;
mod reports;
mod site;
mod watching;
mod worker_sdk;
