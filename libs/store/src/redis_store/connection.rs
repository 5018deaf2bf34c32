//! What the store asks of Redis: answered in time, and written as durably as was asked for.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Pipeline, RedisError, from_redis_value};
use tracing::Instrument as _;

use crate::durability::{Confirmation, Durability, Promise};
use crate::error::StoreError;
use crate::open::Options;

use super::address::{Host, RedisAddress};
use super::confirm::CONFIRM_TIMEOUT;
use super::connector::Connector;
use super::failure::failed;
use super::link::Live;
use super::request::Request;
use super::script::Call;
use super::server;
use super::topology::{Answered, Topology};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// A write may have to wait for a confirmation before its own turn.
const CONFIRMED_ANSWER_TIMEOUT: Duration =
    CONFIRM_TIMEOUT.saturating_mul(2).saturating_add(ANSWER_TIMEOUT);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5); // With a reconnection inside it.
const CONFIRMED_COMMAND_TIMEOUT: Duration =
    COMMAND_TIMEOUT.saturating_add(CONFIRM_TIMEOUT.saturating_mul(3));

/// The connections shared by all commands that Redis answers at once.
#[derive(Debug)]
pub(super) struct Connection {
    address: RedisAddress,
    wanted: Durability,
    reads: Topology,
    writes: Option<Writes>,
}

/// Writes that are confirmed have connections of their own: what is sent behind a confirmation is
/// answered after it.
#[derive(Debug)]
struct Writes {
    topology: Topology,
    confirmation: Confirmation,
}

impl Connection {
    /// Connects, and finds out what the deployment promises and what must be done for it.
    pub(super) async fn open(
        address: &RedisAddress,
        connector: &Connector,
        options: &Options,
    ) -> Result<(Self, Promise), StoreError> {
        let mut connection = Self {
            address: address.clone(),
            wanted: options.durability,
            reads: Topology::new(address, connector, ANSWER_TIMEOUT),
            writes: None,
        };
        let (promise, confirmation) = connection.check().await?;
        connection.writes = confirmation.map(|confirmation| Writes {
            topology: Topology::new(address, connector, CONFIRMED_ANSWER_TIMEOUT),
            confirmation,
        });
        Ok((connection, promise))
    }

    /// Asks the deployment again what it promises, of what is done for it now.
    pub(super) async fn probe(&self) -> Result<Promise, StoreError> {
        let (promise, needed) = self.check().await?;
        let done = self.writes.as_ref().map(|writes| writes.confirmation);
        Ok(promise.with(needed, done))
    }

    async fn check(&self) -> Result<(Promise, Option<Confirmation>), StoreError> {
        let checking = async {
            let mut servers = Vec::new();
            for live in self.reads.all().await? {
                servers.push(server::inspect(&live, &self.address).await?);
            }
            Ok(Promise::of_redis(&servers, self.wanted))
        };
        in_time(COMMAND_TIMEOUT, pin!(checking)).await
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.read(Request::Read(command)).await
    }

    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        self.read(Request::Reads(pipeline)).await
    }

    /// Runs a script, and returns once what it has written is as durable as was asked for.
    pub(super) async fn run<T: FromRedisValue>(&self, call: &Call<'_>) -> Result<T, StoreError> {
        let request = Request::Script(call);
        let Some(writes) = &self.writes else { return self.read(request).await };
        let writing = async {
            let Answered { link, live, value } = writes.topology.send(request).await?;
            live.confirm(&link, writes.confirmation, request.key()).await?;
            converted(value)
        };
        in_time(CONFIRMED_COMMAND_TIMEOUT, pin!(writing)).instrument(request.span()).await
    }

    /// Returns once everything written before is as durable as was asked for, by whomever, where
    /// it is kept with `key`.
    pub(super) async fn settle(&self, key: &Cmd) -> Result<(), StoreError> {
        let Some(writes) = &self.writes else { return Ok(()) };
        let settling = async {
            let Answered { link, live, .. } = writes.topology.send(Request::Read(key)).await?;
            live.confirm(&link, writes.confirmation, Request::Read(key).key()).await
        };
        in_time(CONFIRMED_COMMAND_TIMEOUT, pin!(settling)).await
    }

    /// Which server has `key` now.
    pub(super) async fn host_of(&self, key: &[u8]) -> Result<Host, StoreError> {
        in_time(COMMAND_TIMEOUT, pin!(self.reads.host_of(key))).await
    }

    /// Notes that `asked` does not have `key` any more, where `error` says so.
    pub(super) fn follow(&self, key: &[u8], asked: &Host, error: &RedisError) -> bool {
        self.reads.follow(key, asked, error)
    }

    /// A connection to every server that takes writes.
    pub(super) async fn all(&self) -> Result<Vec<Arc<Live>>, StoreError> {
        in_time(COMMAND_TIMEOUT, pin!(self.reads.all())).await
    }

    async fn read<T: FromRedisValue>(&self, request: Request<'_>) -> Result<T, StoreError> {
        let reading = async { converted(self.reads.send(request).await?.value) };
        in_time(COMMAND_TIMEOUT, pin!(reading)).instrument(request.span()).await
    }
}

fn converted<T: FromRedisValue>(value: redis::Value) -> Result<T, StoreError> {
    from_redis_value(value).map_err(|error| failed(error.into()))
}

/// Pinned where it was made: an async function would keep what it is given twice.
async fn in_time<T>(
    limit: Duration,
    asking: Pin<&mut impl Future<Output = Result<T, StoreError>>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {limit:?}"))),
    }
}
