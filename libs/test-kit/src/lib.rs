//! What tests share: Redis in every shape it runs in, a network that fails on demand, waiting on a
//! condition, our own binaries.
//!
//! **Invariant:** a dev-dependency only. It panics where a test could not go on, and says why.

mod binary;
mod certificates;
mod disk;
mod eventually;
mod proxy;
mod redis;
mod rounds;

pub use binary::binary;
pub use certificates::Certificates;
pub use disk::SmallDisk;
pub use eventually::{Outcome, eventually};
pub use proxy::Proxy;
pub use redis::{Cluster, RedisServer, Sentinels, valkey};
pub use rounds::rounds;
