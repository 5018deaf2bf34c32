//! What tests share: a Redis server of their own, waiting on a condition, our own binaries.
//!
//! **Invariant:** a dev-dependency only. It panics where a test could not go on, and says why.

mod binary;
mod eventually;
mod redis;

pub use binary::binary;
pub use eventually::{Outcome, eventually};
pub use redis::RedisServer;
