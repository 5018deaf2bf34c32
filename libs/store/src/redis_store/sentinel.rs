//! Asking sentinels where the primary is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::StoreError;

use super::address::{Host, RedisAddress};
use super::connector::Connector;
use super::failure::failed;

const ASK_TIMEOUT: Duration = Duration::from_millis(700); // Three silent ones fit into a command.

/// The sentinels of one primary.
#[derive(Debug)]
pub(super) struct Sentinels {
    hosts: Vec<Host>,
    name: String,
    connector: Connector,
    last_good: AtomicUsize,
}

impl Sentinels {
    pub(super) fn new(address: &RedisAddress, name: &str, connector: &Connector) -> Self {
        Self {
            hosts: address.hosts.clone(),
            name: name.to_owned(),
            connector: connector.for_sentinels(address),
            last_good: AtomicUsize::new(0),
        }
    }

    /// Where the primary is, by the first sentinel that knows it.
    ///
    /// # Errors
    /// `Unavailable` where none answers; `Settings` where those that answer know no such primary
    /// or are no sentinels.
    pub(super) async fn primary(&self) -> Result<Host, StoreError> {
        let first = self.last_good.load(Ordering::Relaxed);
        let mut whys = Vec::new();
        let mut wrong = false;
        for step in 0..self.hosts.len() {
            let at = (first + step) % self.hosts.len();
            match self.ask(&self.hosts[at]).await {
                Ok(primary) => {
                    self.last_good.store(at, Ordering::Relaxed);
                    return Ok(primary);
                }
                Err(error) => {
                    wrong |= matches!(error, StoreError::Settings(_));
                    whys.push(format!("{}: {error}", self.hosts[at]));
                }
            }
        }
        let why = format!("no sentinel knows where {} is: {}", self.name, whys.join("; "));
        Err(if wrong { StoreError::Settings(why) } else { StoreError::Unavailable(why) })
    }

    async fn ask(&self, sentinel: &Host) -> Result<Host, StoreError> {
        let mut connection =
            self.connector.connect(sentinel, ASK_TIMEOUT, ASK_TIMEOUT).await.map_err(failed)?;
        let mut asking = redis::cmd("SENTINEL");
        asking.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        match asking.query_async::<Option<(String, u16)>>(&mut connection).await {
            Ok(Some((name, port))) => Ok(Host { name, port }),
            Ok(None) => Err(StoreError::Settings(format!("knows no primary {}", self.name))),
            Err(error) if error.to_string().contains("unknown command") => {
                Err(StoreError::Settings(
                    "is no sentinel: expected redis://HOST:PORT for a server".to_owned(),
                ))
            }
            Err(error) => Err(failed(error)),
        }
    }
}
