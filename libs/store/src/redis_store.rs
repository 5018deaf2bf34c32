//! The store on Redis 7.0 or later, for any number of replicas.
//!
//! **Invariant:** one script per change, and a script checks everything before it writes
//! anything: Redis does not undo what a failed script has written. All keys of a stream, scope
//! or pipeline share one hash tag.

mod connection;
mod counters;
mod journal;
mod leases;
mod quotas;

use std::time::Duration;

use redis::Script;

use crate::durability::Promise;
use crate::error::StoreError;

use connection::{Connection, Waiters};

/// Everything a store keeps, on one Redis server.
#[derive(Debug)]
pub(crate) struct RedisStore {
    connection: Connection,
    waiters: Waiters,
    scripts: Scripts,
}

/// One per change; sent by their digests, and loaded again where Redis has forgotten them.
#[derive(Debug)]
struct Scripts {
    append: Script,
    add: Script,
    take: Script,
    release_quota: Script,
    acquire: Script,
    release_lease: Script,
}

impl RedisStore {
    /// Connects to the server at `url`, and asks it how durable it is.
    pub(crate) async fn open(url: &str) -> Result<(Self, Promise), StoreError> {
        let client = connection::client(url)?;
        let connection = Connection::open(client.clone()).await?;
        let promise = connection.check_server().await?;
        let waiters = Waiters::new(client);
        Ok((Self { connection, waiters, scripts: Scripts::new() }, promise))
    }
}

impl Scripts {
    fn new() -> Self {
        Self {
            append: Script::new(include_str!("redis_store/append.lua")),
            add: Script::new(include_str!("redis_store/add.lua")),
            take: Script::new(include_str!("redis_store/take.lua")),
            release_quota: Script::new(include_str!("redis_store/release_quota.lua")),
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
