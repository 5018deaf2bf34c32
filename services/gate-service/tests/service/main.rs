//! The gate service on real sockets: what is reported, what it is judged to mean, and what is
//! watched.

mod bad;
mod ga;
mod prometheus;
mod reported;
mod site;
mod stated;
mod triggers;
