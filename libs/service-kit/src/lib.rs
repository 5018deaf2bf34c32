//! What every service does the same way: settings, telemetry, clock, identity, server, drain.
//!
//! **Invariant:** nothing here decides anything about rollouts. The wall clock is read in
//! [`clock`] and the environment in [`settings`], and nowhere else.

pub mod access;
pub mod bootstrap;
mod calls;
pub mod clock;
pub mod deadline;
pub mod entrance;
pub mod fault;
pub mod figures;
pub mod guard;
pub mod identity;
mod incoming;
pub mod journaled;
pub mod json;
pub mod lanes;
mod logs;
pub mod metrics;
pub mod paging;
pub mod peers;
pub mod propagation;
mod reaching;
mod reload;
pub mod server;
pub mod settings;
pub mod shutdown;
mod sparing;
pub mod status;
pub mod streams;
pub mod telemetry;
pub mod tls;
pub mod tokens;
pub mod uncancelled;
pub mod wire;
