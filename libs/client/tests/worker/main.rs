//! The SDK against services that say what a test tells them to, over real sockets.

mod asking;
mod flag_fake;
mod gate_fake;
mod kill_fake;
mod killing;
mod platform;
mod reporting;
