//! The service as operators and workers see it: real sockets, a real Redis that fails on demand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod breaking;
mod losing;
mod outages;
mod site;
mod watching;
