//! Connections for commands that block: each waits on one of its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

use crate::error::StoreError;

use super::address::Host;
use super::connection::Connection;
use super::connector::Connector;
use super::failure::failed;
use super::request::key_of;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const LATE: Duration = Duration::from_secs(2); // Beyond what was asked for.
const SETTLE_PAUSE: Duration = Duration::from_millis(100);
const IDLE_MAX: usize = 16; // Kept for each server: more than streams are followed.

/// The longest a connection blocks: how soon a waiter notices that Redis has lost data.
pub(super) const BLOCK_MAX: Duration = Duration::from_secs(1);

/// Connections for commands that block. One that is dropped while it waits is closed.
#[derive(Debug)]
pub(super) struct Waiters {
    connector: Connector,
    idle: Mutex<HashMap<Host, Vec<MultiplexedConnection>>>,
}

impl Waiters {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, idle: Mutex::default() }
    }

    /// Waits by a command that blocks for at most [`BLOCK_MAX`], at the server that has its key.
    /// What has happened meanwhile, if anything, the caller must look up.
    pub(super) async fn wait(
        &self,
        connection: &Connection,
        command: &Cmd,
    ) -> Result<(), StoreError> {
        let key = key_of(command);
        let host = connection.host_of(key).await?;
        let idle = self.idle().entry(host.clone()).or_default().pop();
        let mut own = match idle {
            Some(own) => own,
            None => self
                .connector
                .connect(&host, CONNECT_TIMEOUT, BLOCK_MAX + LATE)
                .await
                .map_err(failed)?,
        };
        match command.query_async::<Value>(&mut own).await {
            Ok(_) => {}
            Err(error) if connection.follow(key, &host, &error) => {
                tokio::time::sleep(SETTLE_PAUSE).await; // The slot is moving.
            }
            Err(error) => {
                self.idle().remove(&host); // What broke this one has likely broken them all.
                return Err(failed(error));
            }
        }
        let mut idle = self.idle();
        let of_host = idle.entry(host).or_default();
        if of_host.len() < IDLE_MAX {
            of_host.push(own);
        }
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Host, Vec<MultiplexedConnection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
