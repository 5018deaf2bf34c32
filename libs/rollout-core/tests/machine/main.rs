//! The rules of the phase machine, told as stories on the shipped plan; its invariants, tried on
//! random stories; and every story there is, told once.

mod advancing;
mod approving;
mod beginning;
mod closing;
mod commands;
mod exploration;
mod going_back;
mod invariant;
mod pausing;
mod properties;
mod ramping;
mod story;
