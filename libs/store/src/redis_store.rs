//! The store on Redis 7.0 or later, or Valkey, for any number of replicas of a service.
//!
//! **Invariant:** one script per change, and a script checks everything before it writes
//! anything: Redis does not undo what a failed script has written. All keys of a stream, scope
//! or pipeline share one hash tag.

mod address;
mod cluster;
mod confirm;
mod connection;
mod connector;
mod counters;
mod failure;
mod journal;
mod leases;
mod link;
mod load;
mod quotas;
mod request;
mod script;
mod sentinel;
mod server;
mod slots;
mod topology;
mod transfer;
mod waiters;

use std::time::Duration;

use async_trait::async_trait;

use crate::durability::Promise;
use crate::error::StoreError;
use crate::open::{Options, Probe};

pub use address::RedisAddress;

use connection::Connection;
use connector::Connector;
use script::Script;
use waiters::Waiters;

/// Everything a store keeps, on Redis: one server, one behind sentinels, or a cluster.
#[derive(Debug)]
pub(crate) struct RedisStore {
    connection: Connection,
    waiters: Waiters,
    scripts: Scripts,
}

/// One per change.
#[derive(Debug)]
struct Scripts {
    append: Script,
    add: Script,
    take: Script,
    release_quota: Script,
    acquire: Script,
    load: Script,
    release_lease: Script,
}

impl RedisStore {
    /// Connects to the deployment at `address`, and asks it how durable it is.
    pub(crate) async fn open(
        address: &RedisAddress,
        options: &Options,
    ) -> Result<(Self, Promise), StoreError> {
        let connector = Connector::of(address, &options.tls)?;
        let (connection, promise) = Connection::open(address, &connector, options).await?;
        let waiters = Waiters::new(connector);
        Ok((Self { connection, waiters, scripts: Scripts::new() }, promise))
    }
}

#[async_trait]
impl Probe for RedisStore {
    async fn probe(&self) -> Result<Promise, StoreError> {
        self.connection.probe().await
    }
}

impl Scripts {
    fn new() -> Self {
        Self {
            append: Script::new(include_str!("redis_store/append.lua")),
            add: Script::new(include_str!("redis_store/add.lua")),
            take: Script::new(include_str!("redis_store/take.lua")),
            release_quota: Script::new(include_str!("redis_store/release_quota.lua")),
            load: Script::new(include_str!("redis_store/load.lua")),
            acquire: Script::new(include_str!("redis_store/acquire.lua")),
            release_lease: Script::new(include_str!("redis_store/release_lease.lua")),
        }
    }
}

/// A time to live that Redis accepts: 1 ms to a hundred years.
fn ttl_ms(duration: Duration) -> u64 {
    const CENTURY_MS: u64 = 100 * 366 * 24 * 60 * 60 * 1000;
    u64::try_from(duration.as_millis()).unwrap_or(CENTURY_MS).clamp(1, CENTURY_MS)
}
