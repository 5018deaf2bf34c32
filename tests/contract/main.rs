//! Real servers, called over real sockets: every refusal has its code, its reason, and a message
//! that says what would be right, and leaves the store as it was.

#![recursion_limit = "256"] // The futures of whole journeys are deep.

mod advancing;
mod approving;
mod attesting;
mod ending;
mod flags;
mod flags_exposed;
mod going_back;
mod journey;
mod kills;
mod outcomes;
mod plans;
mod refusal;
mod repeating;
mod signals;
mod story;
mod touched;
mod wire;
