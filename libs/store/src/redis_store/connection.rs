//! Connections: one shared by ordinary commands, and one for each that waits.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, InfoDict,
    IntoConnectionInfo as _, Pipeline, RedisError, ScriptInvocation, ServerErrorKind,
};

use crate::durability::Promise;
use crate::error::StoreError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5); // With one reconnection inside it.
const RECONNECTS_MAX: usize = 1; // Per command; the next command tries again.
const IDLE_MAX: usize = 16; // Waiting connections kept: more than streams are followed.
const OLDEST_MAJOR: u32 = 7;

/// The longest a waiting connection blocks: how soon it notices that Redis has lost data.
pub(super) const BLOCK_MAX: Duration = Duration::from_secs(1);

/// Reads the address. Says nothing of it in errors: it may hold a password.
pub(super) fn client(url: &str) -> Result<Client, StoreError> {
    let wrong =
        |_silent: RedisError| StoreError::Settings("the Redis URL cannot be used".to_owned());
    // A peer that is gone without a word is given up when it acknowledges nothing for so long.
    let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(COMMAND_TIMEOUT);
    Client::open(url.into_connection_info().map_err(wrong)?.set_tcp_settings(tcp)).map_err(wrong)
}

/// The connection shared by all commands that Redis answers at once. Reconnects by itself.
#[derive(Debug)]
pub(super) struct Connection(ConnectionManager);

impl Connection {
    pub(super) async fn open(client: Client) -> Result<Self, StoreError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(RECONNECTS_MAX);
        let connecting = ConnectionManager::new_with_config(client, config);
        in_time(connecting).await.map(Self)
    }

    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let mut connection = self.0.clone();
        in_time(command.query_async(&mut connection)).await
    }

    pub(super) async fn pipeline<T: FromRedisValue>(
        &self,
        pipeline: &Pipeline,
    ) -> Result<T, StoreError> {
        let mut connection = self.0.clone();
        in_time(pipeline.query_async(&mut connection)).await
    }

    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        let mut connection = self.0.clone();
        in_time(script.invoke_async(&mut connection)).await
    }

    /// Refuses a server that is too old, and finds out what it promises.
    pub(super) async fn check_server(&self) -> Result<Promise, StoreError> {
        let info: InfoDict = self.query(redis::cmd("INFO").arg("server")).await?;
        let version: String = info.get("redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < OLDEST_MAJOR) {
            return Err(StoreError::Settings(format!(
                "Redis {version} is too old: expected {OLDEST_MAJOR}.0 or later"
            )));
        }
        let mut asking = redis::cmd("CONFIG");
        asking.arg("GET").arg("append*").arg("no-appendfsync-on-rewrite").arg("maxmemory-policy");
        let found = match self.query::<HashMap<String, String>>(&asking).await {
            Ok(found) => Ok(found),
            // A hosted server may know no CONFIG, or forbid it.
            Err(StoreError::Settings(why)) => Err(why),
            Err(StoreError::Unavailable(why)) if why.contains("unknown command") => Err(why),
            Err(other) => return Err(other),
        };
        Ok(Promise::of_redis(&version, |setting| match &found {
            Ok(found) => found.get(setting).cloned().ok_or_else(|| "not told".to_owned()),
            Err(why) => Err(why.clone()),
        }))
    }
}

/// Connections for commands that block. One that is dropped while it waits is closed.
#[derive(Debug)]
pub(super) struct Waiters {
    client: Client,
    idle: Mutex<Vec<MultiplexedConnection>>,
}

impl Waiters {
    pub(super) fn new(client: Client) -> Self {
        Self { client, idle: Mutex::default() }
    }

    /// Runs a command that blocks for at most [`BLOCK_MAX`], on a connection of its own.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let answer = command.query_async(&mut connection).await.map_err(failed);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Ok(_) if idle.len() < IDLE_MAX => idle.push(connection),
            Ok(_) => {}
            Err(_) => idle.clear(), // What broke this one has likely broken them all.
        }
        answer
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(BLOCK_MAX + ANSWER_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, RedisError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(COMMAND_TIMEOUT, asking).await {
        Ok(answer) => answer.map_err(failed),
        Err(_) => Err(StoreError::Unavailable(format!("no answer within {COMMAND_TIMEOUT:?}"))),
    }
}

/// Says what a failure of Redis means to a caller: anything not known to be for good is worth
/// another try.
fn failed(error: RedisError) -> StoreError {
    let text = error.to_string();
    let wrong_id = text.contains("equal or smaller"); // Records were deleted behind our back.
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _)
        | (ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::CrossSlot), _)
        | (_, Some("NOAUTH" | "WRONGPASS")) => StoreError::Settings(text),
        (ErrorKind::UnexpectedReturnType | ErrorKind::Parse, _) | (_, Some("WRONGTYPE")) => {
            StoreError::Corrupt(text)
        }
        _ if wrong_id => StoreError::Corrupt(text),
        _ => StoreError::Unavailable(text),
    }
}
