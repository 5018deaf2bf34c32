//! Where everything that must survive is kept: journal, counters, quotas, leases.
//!
//! One set of traits, two implementations: an embedded database for one process, and Redis for
//! any number of replicas of a service. Both pass the same conformance suite.
//!
//! **Invariant:** what is acknowledged is as durable as promised ([`Promise`]). An append, a counted
//! batch or a taken quota returns only then; nothing here decides anything.

mod chain;
mod counters;
mod durability;
mod embedded;
mod error;
mod journal;
mod leases;
mod open;
mod quotas;
mod record;
mod redis_store;
mod replica;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
mod snapshot;
mod transfer;

use std::sync::Arc;

pub use counters::{Added, Batch, BatchId, Bucket, Change, Counters, Reading, Scope, Window};
pub use durability::{Durability, Promise};
pub use error::{AppendError, StoreError};
pub use journal::{Append, Appended, Head, Journal, RequestKey};
pub use leases::{Lease, Leases};
pub use open::{Clock, Location, Options, TlsFiles};
pub use quotas::{Quota, Quotas, Taken};
pub use record::{Draft, Hash, Record, StreamName, Version};
pub use redis_store::RedisAddress;
pub use replica::{Command, Condition, Executed, Replica, WriteError};
pub use snapshot::{Projection, Snapshot};
pub use transfer::{Import, Item};

/// A store, opened. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    /// The append-only streams of events.
    pub journal: Arc<dyn Journal>,
    /// Windowed counters and gauges.
    pub counters: Arc<dyn Counters>,
    /// Daily quotas.
    pub quotas: Arc<dyn Quotas>,
    /// Leases for loops that should run once.
    pub leases: Arc<dyn Leases>,
    /// What it promises of what it has acknowledged, as found when it was opened.
    pub promise: Promise,
    probe: Arc<dyn open::Probe>,
    transfer: Arc<dyn transfer::Transfer>,
}
