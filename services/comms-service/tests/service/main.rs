//! The service as its peers and channels see it: real sockets, a store on disk, fakes around it.

#![recursion_limit = "256"] // The futures of whole stories are deep.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod api;
mod communications;
mod delivery;
mod events;
mod fakes;
mod settings;
mod site;
