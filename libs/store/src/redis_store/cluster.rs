//! A cluster: each request goes to the node that has its slot, and after it where it has moved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::{Pipeline, RedisError, Value};

use crate::error::StoreError;

use super::address::{Host, RedisAddress};
use super::connector::Connector;
use super::failure::failed;
use super::link::{Link, Live, Target};
use super::request::Request;
use super::slots::{Slots, redirect, slot_of};
use super::topology::Answered;

const TRIES_MAX: usize = 200; // A deadline ends them first.
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// The nodes of a cluster, and who has which slot.
#[derive(Debug)]
pub(super) struct Cluster {
    seeds: Vec<Host>,
    connector: Connector,
    answer_timeout: Duration,
    slots: RwLock<Arc<Slots>>,
    links: Mutex<HashMap<Host, Arc<Link>>>,
    refreshing: tokio::sync::Mutex<()>,
}

/// What to do about a request that was not carried out.
enum Next {
    /// Send it to this node.
    Ask(Host),
    /// Look again who has the slot.
    Again,
    /// Wait for the cluster to settle, then look again.
    Settle,
}

impl Cluster {
    pub(super) fn new(
        address: &RedisAddress,
        connector: Connector,
        answer_timeout: Duration,
    ) -> Self {
        Self {
            seeds: address.hosts.clone(),
            connector,
            answer_timeout,
            slots: RwLock::default(),
            links: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        }
    }

    /// Sends `request` to the node that has its slot, until it is carried out or fails.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answered, StoreError> {
        let slot = slot_of(request.key());
        let mut ask = None;
        for attempt in 0..TRIES_MAX {
            let asking = ask.is_some();
            let host = match ask.take() {
                Some(host) => host,
                None => self.primary_of(slot).await?,
            };
            let link = self.link(&host);
            let live = match link.live().await {
                Ok(live) => live,
                Err(error) => match Box::pin(self.gone(slot, &host)).await {
                    true => continue, // Somebody else has the slot by now.
                    false => return Err(error),
                },
            };
            let answer = request.send(&live.connection, asking).await;
            link.note(&live, &answer);
            match answer {
                Ok(value) => return Ok(Answered { link, live, value }),
                Err(error) if error.is_connection_dropped() => {
                    if attempt > 0 || !request.is_repeatable() {
                        return Err(failed(error));
                    }
                }
                Err(error) => match self.next(slot, &live, &error) {
                    Some(Next::Ask(host)) => match request {
                        Request::Read(_) | Request::Script(_) => ask = Some(host),
                        Request::Reads(pipeline) => {
                            let value = self.one_by_one(pipeline).await?;
                            return Ok(Answered { link, live, value });
                        }
                    },
                    Some(Next::Again) => {}
                    Some(Next::Settle) => tokio::time::sleep(SETTLE_PAUSE).await,
                    None => return Err(failed(error)),
                },
            }
        }
        Err(StoreError::Unavailable(format!("slot {slot} of the cluster does not settle")))
    }

    /// Reads each by itself: while a slot moves, one key may be here and the next one there.
    async fn one_by_one(&self, pipeline: &Pipeline) -> Result<Value, StoreError> {
        let mut values = Vec::new();
        for command in pipeline.cmd_iter() {
            let answered = Box::pin(self.send(Request::Read(command))).await?;
            values.push(answered.value);
        }
        Ok(Value::Array(values))
    }

    /// The node that has the slot of `key`.
    pub(super) async fn host_of(&self, key: &[u8]) -> Result<Host, StoreError> {
        self.primary_of(slot_of(key)).await
    }

    /// Notes what `live` said of the slot of `key`. False where it said nothing of it.
    pub(super) fn follow(&self, key: &[u8], asked: &Host, error: &RedisError) -> bool {
        let slot = slot_of(key);
        match error.code() {
            Some("MOVED") => {
                self.learn(slot, asked, error);
                true
            }
            code => matches!(code, Some("ASK" | "TRYAGAIN" | "CLUSTERDOWN")),
        }
    }

    /// A connection to each node that has slots.
    pub(super) async fn all(&self) -> Result<Vec<Arc<Live>>, StoreError> {
        self.refresh(&Slots::default()).await?;
        let mut nodes = Vec::new();
        for host in self.slots().primaries() {
            nodes.push(self.link(&host).live().await?);
        }
        Ok(nodes)
    }

    fn next(&self, slot: u16, live: &Live, error: &RedisError) -> Option<Next> {
        match error.code() {
            Some("MOVED") => {
                self.learn(slot, &live.host, error);
                Some(Next::Again)
            }
            Some("ASK") => {
                let target = error.redirect_node().and_then(|(to, _)| redirect(to, &live.host));
                Some(Next::Ask(target.unwrap_or_else(|| live.host.clone())))
            }
            Some("TRYAGAIN" | "CLUSTERDOWN") => Some(Next::Settle),
            Some("READONLY" | "MASTERDOWN") => {
                self.forget(); // Not a primary any more.
                None
            }
            _ => None,
        }
    }

    fn learn(&self, slot: u16, asked: &Host, error: &RedisError) {
        match error.redirect_node().and_then(|(to, _)| redirect(to, asked)) {
            Some(host) => {
                tracing::debug!(slot, %asked, %host, "slot has moved");
                let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
                Arc::make_mut(&mut slots).learn(slot, host);
            }
            None => self.forget(),
        }
    }

    fn forget(&self) {
        *self.slots.write().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// Asks who has `slot` now that `host` cannot be reached. True where it is somebody else.
    async fn gone(&self, slot: u16, host: &Host) -> bool {
        let known = self.slots();
        let refreshed = self.refresh(&known).await.is_ok();
        refreshed && self.slots().primary_of(slot).is_some_and(|primary| primary != host)
    }

    async fn primary_of(&self, slot: u16) -> Result<Host, StoreError> {
        let known = self.slots();
        if let Some(host) = known.primary_of(slot) {
            return Ok(host.clone());
        }
        Box::pin(self.refresh(&known)).await?; // Rarely: no room is kept for it beside every command.
        self.slots().primary_of(slot).cloned().ok_or_else(|| {
            StoreError::Unavailable(format!("no node of the cluster has slot {slot}"))
        })
    }

    /// Asks any node who has what, unless that has become known since it was `known`.
    async fn refresh(&self, known: &Slots) -> Result<(), StoreError> {
        let _one_at_a_time = self.refreshing.lock().await;
        let current = self.slots();
        if *current != *known && *current != Slots::default() {
            return Ok(());
        }
        let mut hosts = current.primaries();
        hosts.extend(self.seeds.iter().cloned());
        let mut whys = Vec::new();
        for host in hosts {
            match self.ask(&host).await {
                Ok(slots) => {
                    *self.slots.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(slots);
                    return Ok(());
                }
                Err(StoreError::Settings(why)) => return Err(StoreError::Settings(why)),
                Err(error) => whys.push(error.to_string()),
            }
        }
        let whys = whys.join("; ");
        Err(StoreError::Unavailable(format!("no node of the cluster says who has what: {whys}")))
    }

    async fn ask(&self, host: &Host) -> Result<Slots, StoreError> {
        let link = self.link(host);
        let live = link.live().await?;
        let mut connection = live.connection.clone();
        let answer = redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await;
        link.note(&live, &answer);
        match answer {
            Ok(answer) => match Slots::read(&answer, host) {
                Some(slots) if slots != Slots::default() => Ok(slots),
                _ => Err(StoreError::Unavailable(format!("{host} knows of no slots"))),
            },
            Err(error) if error.to_string().contains("cluster support disabled") => {
                Err(StoreError::Settings(format!(
                    "{host} is no node of a cluster: expected redis://{host}"
                )))
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn slots(&self) -> Arc<Slots> {
        Arc::clone(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn link(&self, host: &Host) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let link = links.entry(host.clone()).or_insert_with(|| {
            let target = Target::Host(host.clone());
            Arc::new(Link::new(target, self.connector.clone(), self.answer_timeout))
        });
        Arc::clone(link)
    }
}
