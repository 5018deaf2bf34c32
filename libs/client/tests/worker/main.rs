//! The SDK against services that say what a test tells them to, over real sockets.

mod asking;
mod evaluating;
mod evaluator;
mod flag_fake;
mod gate_fake;
mod half_open;
mod keeping;
mod kill_fake;
mod killing;
mod leasing;
mod platform;
mod reading;
mod reporting;
