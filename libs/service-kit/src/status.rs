//! What a service says of the store it stands on, as part of its health.
//!
//! The standard health service has an entry [`STORE`] besides the server's own and those of its
//! services. It is `SERVING` while every journal of the service is followed, and `NOT_SERVING`
//! while the store cannot be reached or has lost data: then answers may be stale and commands are
//! refused, but the other entries stay `SERVING`, since what is answered from memory still is.
//!
//! `Check` asks the store when it is asked, so that a server whose settings were changed under the
//! service is noticed; `Watch` goes by the journals, and tells of changes within
//! [`WATCH_INTERVAL`]. The answers to `Check` carry metadata, which `grpcurl -v -d '{"service": "softlaunch.store"}' ADDRESS
//! grpc.health.v1.Health/Check` shows:
//!
//! | key | value |
//! |---|---|
//! | `softlaunch-version` | the version of the service |
//! | `softlaunch-clock` | what time it is there (RFC 3339), whatever a demo clock says |
//! | `softlaunch-store-durability` | what acknowledged data survives, e.g. `power-loss` |
//! | `softlaunch-store-fact` | what that was judged by, e.g. `appendfsync always`; repeated |
//! | `softlaunch-store-error` | why the store cannot be asked now; only then |
//! | `softlaunch-store-journal` | `NAME following`, `NAME stale: WHY` or `NAME data-lost: WHY`; repeated |
//! | `softlaunch-peer` | `NAME ok` or `NAME WHY`: whether a service that this one calls answers it; repeated |
//! | `softlaunch-certificate-expires` | until when its certificate is good (RFC 3339); where it is guarded |

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use store::{Condition, Projection, Promise, Replica, Store};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::HealthService;

use crate::clock::real_now;
use crate::figures::{self, About, Figure};
use crate::peers::Peer;
use crate::reaching::Reaching;
use crate::shutdown::Shutdown;
use crate::tls::ServerTls;

/// The name of the health entry that tells of the store.
pub const STORE: &str = "softlaunch.store";
/// Key of the service's version.
pub const VERSION_KEY: &str = "softlaunch-version";
/// Key of the time on the service's machine.
pub const CLOCK_KEY: &str = "softlaunch-clock";
/// Key of what acknowledged data survives.
pub const DURABILITY_KEY: &str = "softlaunch-store-durability";
/// Key of each fact that the durability was judged by.
pub const FACT_KEY: &str = "softlaunch-store-fact";
/// Key of why the store cannot be asked; level and facts are then those of the beginning.
pub const ERROR_KEY: &str = "softlaunch-store-error";
/// Key of how the service stands to each of its journals.
pub const JOURNAL_KEY: &str = "softlaunch-store-journal";
/// Key of whether a service that this one calls answers it.
pub const PEER_KEY: &str = "softlaunch-peer";
/// Key of until when the certificate is good that the service shows.
pub const CERTIFICATE_KEY: &str = "softlaunch-certificate-expires";
/// How often a watched entry is looked at.
pub const WATCH_INTERVAL: Duration = Duration::from_millis(250);

const CONDITION: About = About {
    name: "softlaunch.journal.condition",
    unit: "",
    meaning: "How a service stands to its journal: 0 following, 1 stale, 2 data lost.",
};
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const TEXT_LENGTH_MAX: usize = 300; // Of a value, so that all of them fit in one header list.
const VALUES_MAX: usize = 16; // Of a repeated key, for the same reason.

type Look = Arc<dyn Fn() -> (String, Condition) + Send + Sync>;

/// What a service knows of its store. Cheap to clone.
#[derive(Clone)]
pub struct StoreStatus {
    store: Store,
    journals: Vec<Look>,
    reaching: Arc<Reaching>,
    tls: Option<ServerTls>,
    shutdown: Shutdown,
}

impl fmt::Debug for StoreStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreStatus").field("store", &self.store).finish_non_exhaustive()
    }
}

impl StoreStatus {
    /// Of an open store. Those who watch are let go at `shutdown`.
    #[must_use]
    pub fn new(store: &Store, shutdown: Shutdown) -> Self {
        let (journals, reaching) = (Vec::new(), Arc::default());
        Self { store: store.clone(), journals, reaching, tls: None, shutdown }
    }

    /// Tells whether these services answer, too, which this one calls.
    #[must_use]
    pub fn reaching(self, peers: Vec<(&'static str, Peer)>) -> Self {
        Self { reaching: Arc::new(Reaching::new(peers)), ..self }
    }

    /// Tells until when the certificate is good that is shown, too.
    pub(crate) fn showing(self, tls: Option<ServerTls>) -> Self {
        Self { tls, ..self }
    }

    /// Tells of the journal that `replica` follows, too.
    #[must_use]
    pub fn with<S: Projection>(mut self, replica: &Arc<Replica<S>>) -> Self {
        figures::show(replica, CONDITION, |replica| {
            let condition = match replica.condition() {
                Condition::Following => 0,
                Condition::Stale(_) => 1,
                Condition::DataLost(_) => 2,
            };
            vec![Figure::count(condition).with("stream", replica.stream().to_string())]
        });
        let replica = Arc::clone(replica);
        self.journals.push(Arc::new(move || (replica.stream().to_string(), replica.condition())));
        self
    }

    /// Asks the store what it promises now.
    async fn probe(&self) -> Result<Promise, String> {
        match tokio::time::timeout(PROBE_TIMEOUT, self.store.probe()).await {
            Ok(Ok(promise)) => Ok(promise),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("no answer within {PROBE_TIMEOUT:?}")),
        }
    }

    async fn check(&self) -> Response<HealthCheckResponse> {
        let (probed, peers) = tokio::join!(self.probe(), self.reaching.tell());
        let mut response = Response::new(self.answer(probed.is_ok()));
        let metadata = response.metadata_mut();
        say(metadata, VERSION_KEY, env!("CARGO_PKG_VERSION"));
        say(metadata, CLOCK_KEY, &real_now().to_string());
        if let Err(why) = &probed {
            say(metadata, ERROR_KEY, why);
        }
        let promise = probed.as_ref().unwrap_or(&self.store.promise);
        say(metadata, DURABILITY_KEY, &promise.level().to_string());
        promise.facts().iter().take(VALUES_MAX).for_each(|fact| say(metadata, FACT_KEY, fact));
        for look in self.journals.iter().take(VALUES_MAX) {
            let (stream, condition) = look();
            let words = match condition {
                Condition::Following => "following".to_owned(),
                Condition::Stale(why) => format!("stale: {why}"),
                Condition::DataLost(why) => format!("data-lost: {why}"),
            };
            say(metadata, JOURNAL_KEY, &format!("{stream} {words}"));
        }
        peers.iter().for_each(|told| say(metadata, PEER_KEY, told));
        if let Some(tls) = &self.tls {
            say(metadata, CERTIFICATE_KEY, &tls.expires().to_string());
        }
        response
    }

    fn answer(&self, answers: bool) -> HealthCheckResponse {
        let following = self.journals.iter().all(|look| look().1 == Condition::Following);
        let well = answers && following;
        let status = if well { ServingStatus::Serving } else { ServingStatus::NotServing };
        HealthCheckResponse { status: status.into() }
    }

    /// What the entry says, now and after every change.
    fn watch(&self) -> ReceiverStream<Result<HealthCheckResponse, Status>> {
        let (tx, rx) = mpsc::channel(1);
        let status = self.clone();
        tokio::spawn(async move {
            let mut said = None;
            while !tx.is_closed() {
                let answer = status.answer(true);
                if said != Some(answer.status) {
                    said = Some(answer.status);
                    if tx.send(Ok(answer)).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(WATCH_INTERVAL) => {}
                    () = status.shutdown.clone().wait_owned() => return,
                }
            }
        });
        ReceiverStream::new(rx)
    }
}

fn say(metadata: &mut MetadataMap, key: &'static str, text: &str) {
    if let Ok(value) = AsciiMetadataValue::try_from(visible(text)) {
        metadata.append(key, value);
    }
}

/// Text as a header may carry it.
fn visible(text: &str) -> String {
    let ascii = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(TEXT_LENGTH_MAX).map(ascii).collect()
}

/// The standard health service with the entry of the store.
#[derive(Debug)]
pub(crate) struct TellingHealth {
    pub(crate) services: HealthService,
    pub(crate) store: StoreStatus,
}

type Watched = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for TellingHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if request.get_ref().service != STORE {
            return self.services.check(request).await;
        }
        Ok(self.store.check().await)
    }

    type WatchStream = Watched;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Watched>, Status> {
        if request.get_ref().service == STORE {
            return Ok(Response::new(Box::pin(self.store.watch())));
        }
        let watched = self.services.watch(request).await?.into_inner();
        let (tx, rx) = mpsc::channel(1);
        let shutdown = self.store.shutdown.clone();
        tokio::spawn(async move {
            let passing_on = async {
                let mut watched = std::pin::pin!(watched);
                while let Some(answer) = watched.next().await {
                    if tx.send(answer).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                () = passing_on => {}
                () = tx.closed() => {}
                () = shutdown.wait_owned() => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(rx))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_no_header_can_carry_is_made_to_fit() {
        assert_eq!(visible("appendfsync\n\u{e9}ver"), "appendfsync??ver");
        assert_eq!(visible(&"x".repeat(1_000)).len(), TEXT_LENGTH_MAX);
    }
}
