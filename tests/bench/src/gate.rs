//! What counting and judging cost beside the least that could be done.

mod evaluate;
mod ingest;
mod sketch;
mod upload;

use gate_service::{Settings, serve as serve_gate};
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::Clock;
use service_kit::shutdown;
use std::sync::Arc;
use store::{Location, Store};
use tokio::net::TcpListener;

use crate::Error;

pub(crate) use evaluate::beside_a_thousand_outcomes;
pub(crate) use ingest::{apply, beside_plain_counters};
pub(crate) use sketch::beside_the_exact_quantile;
pub(crate) use upload::{Numbers, report};

const PIPELINE: &str = "ingestion_v2";
const ROLLOUT: &str = "rollouts/bench";

/// Serves the gate on the embedded store in a directory, and prints where.
pub(crate) async fn serve(directory: &str) -> Result<(), Error> {
    let location = Location::Embedded(directory.into());
    let store = Store::open(&location, Arc::new(service_kit::clock::real_now)).await?;
    let mut settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS)?;
    settings.peers.killswitch = "http://127.0.0.1:9".to_owned(); // Nobody: there are no drills.
    settings.peers.comms = "http://127.0.0.1:9".to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let (_trigger, ended) = shutdown::channel();
    let on = Dependencies { store, clock: Clock::system() };
    serve_gate(settings, on, listener, ended).await
}
