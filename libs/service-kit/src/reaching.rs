//! Whether the services that this one calls answer it: by its own way, with what it shows.

use std::fmt;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::peers::Peer;

const PATIENCE: Duration = Duration::from_secs(1);
/// Anybody may ask for health: however often that is, the others are not asked more often.
const FRESH: Duration = Duration::from_secs(1);

/// The services that one service calls.
#[derive(Default)]
pub(crate) struct Reaching {
    peers: Vec<(&'static str, Peer)>,
    found: Mutex<Option<(Instant, Vec<String>)>>,
}

impl fmt::Debug for Reaching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.peers.iter().map(|(name, _)| name)).finish()
    }
}

impl Reaching {
    pub(crate) fn new(peers: Vec<(&'static str, Peer)>) -> Self {
        Self { peers, found: Mutex::default() }
    }

    /// `NAME ok` or `NAME WHY` for each, as of now or a moment ago.
    pub(crate) async fn tell(&self) -> Vec<String> {
        let mut found = self.found.lock().await;
        if let Some((at, told)) = found.as_ref()
            && at.elapsed() < FRESH
        {
            return told.clone();
        }
        let mut asking = JoinSet::new();
        for (place, (name, peer)) in self.peers.iter().enumerate() {
            let (name, peer) = (*name, peer.clone());
            asking.spawn(async move { (place, format!("{name} {}", ask(peer).await)) });
        }
        let mut told = asking.join_all().await;
        told.sort();
        let told: Vec<_> = told.into_iter().map(|(_, told)| told).collect();
        *found = Some((Instant::now(), told.clone()));
        told
    }
}

async fn ask(peer: Peer) -> String {
    // Of the server as a whole: an answer about its store would take as long as that does.
    let request = HealthCheckRequest::default();
    match timeout(PATIENCE, HealthClient::new(peer).check(request)).await {
        Ok(Ok(_answer)) => "ok".to_owned(),
        Ok(Err(status)) => root_cause(&status),
        Err(_elapsed) => format!("no answer within {PATIENCE:?}"),
    }
}

fn root_cause(status: &tonic::Status) -> String {
    let mut words = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        words = error.to_string(); // The last one says what happened.
        cause = error.source();
    }
    if words.is_empty() { format!("{:?}", status.code()) } else { words }
}
