//! The servers of a deployment, whatever its shape: each request reaches the one it is for.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisError, Value};

use crate::error::StoreError;

use super::address::{Host, RedisAddress, Shape};
use super::cluster::Cluster;
use super::connector::Connector;
use super::failure::failed;
use super::link::{Link, Live, Target};
use super::request::Request;
use super::sentinel::Sentinels;

/// How requests reach the server they are for.
#[derive(Debug)]
pub(super) enum Topology {
    /// There is one, or one primary.
    One(Arc<Link>),
    /// The slot of a request's key says which.
    Cluster(Box<Cluster>),
}

/// An answer, and the connection it came over.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) link: Arc<Link>,
    pub(super) live: Arc<Live>,
    pub(super) value: Value,
}

impl Topology {
    /// Connects to nothing yet. An answer that takes longer than `answer_timeout` is none.
    pub(super) fn new(
        address: &RedisAddress,
        connector: &Connector,
        answer_timeout: Duration,
    ) -> Self {
        let target = match (&address.shape, address.hosts.first()) {
            (Shape::Sentinel(name), _) => {
                Target::Primary(Arc::new(Sentinels::new(address, name, connector)))
            }
            (Shape::Single, Some(host)) => Target::Host(host.clone()),
            (Shape::Cluster, _) | (Shape::Single, None) => {
                let cluster = Cluster::new(address, connector.clone(), answer_timeout);
                return Self::Cluster(Box::new(cluster));
            }
        };
        Self::One(Arc::new(Link::new(target, connector.clone(), answer_timeout)))
    }

    /// Sends `request` where it belongs. One that changes nothing is sent a second time where the
    /// connection turns out to be over.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answered, StoreError> {
        match self {
            Self::Cluster(cluster) => Box::pin(cluster.send(request)).await,
            Self::One(link) => {
                let mut again = request.is_repeatable();
                loop {
                    let live = link.live().await?;
                    let answer = request.send(&live.connection, false).await;
                    link.note(&live, &answer);
                    match answer {
                        Err(error) if again && error.is_connection_dropped() => again = false,
                        answer => {
                            let value = answer.map_err(failed)?;
                            return Ok(Answered { link: Arc::clone(link), live, value });
                        }
                    }
                }
            }
        }
    }

    /// Which server has `key`.
    pub(super) async fn host_of(&self, key: &[u8]) -> Result<Host, StoreError> {
        match self {
            Self::One(link) => Ok(link.live().await?.host.clone()),
            Self::Cluster(cluster) => cluster.host_of(key).await,
        }
    }

    /// Notes that `asked` does not have `key` any more, where `error` says so.
    pub(super) fn follow(&self, key: &[u8], asked: &Host, error: &RedisError) -> bool {
        match self {
            Self::One(_) => false,
            Self::Cluster(cluster) => cluster.follow(key, asked, error),
        }
    }

    /// A connection to every server that takes writes.
    pub(super) async fn all(&self) -> Result<Vec<Arc<Live>>, StoreError> {
        match self {
            Self::One(link) => Ok(vec![link.live().await?]),
            Self::Cluster(cluster) => cluster.all().await,
        }
    }
}
