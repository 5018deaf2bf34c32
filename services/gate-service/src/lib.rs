//! Gates: what happened is counted once, and judged without guessing.
//!
//! **Invariant:** a batch counts once, however often and wherever it is sent; a report is never
//! changed once kept; nothing here advances or rolls back anything.

mod api;

mod app;
mod attestation;
mod ga;
mod metrics;
mod observe;
mod outcomes;
mod signals;
mod triggers;
mod unread;
mod watching;

mod counting;
mod evidence;
mod exported;
mod labels;
mod prometheus;
mod settled;

mod convert;
mod error;
mod settings;
mod state;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use contracts::gate::gate_service_server::GateServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::entrance::Entrance;
use service_kit::peers::peer;
use service_kit::propagation::Outgoing;
use service_kit::server::MESSAGE_SIZE_MAX;
use service_kit::settings::SettingsError;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::app::App;
use crate::exported::Meters;
use crate::labels::Labels;
use crate::prometheus::Prometheus;
pub use crate::settings::{Peers, PrometheusSettings, Settings, SignalSettings};
use crate::settled::Settled;
use crate::unread::server::signal_service_server::SignalServiceServer;
use crate::watching::{Over, keep_watching};

const PEER_TIMEOUT: Duration = Duration::from_secs(5);

const SERVICES: [&str; 2] = ["softlaunch.gate.v1.GateService", "softlaunch.gate.v1.SignalService"];

/// Serves until asked to end.
///
/// # Errors
/// Fails where the journal cannot be read or the socket fails.
pub async fn serve(
    settings: Settings,
    dependencies: Dependencies,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let gauge_stale_after = vocab::parse_duration(&settings.signals.gauge_stale_after)
        .map_err(|why| SettingsError(format!("signals.gauge_stale_after: {why}")))?;
    let entrance = Entrance::open(&settings.server, &settings.identity)?;
    let Dependencies { store, clock } = dependencies;
    let stream = StreamName::new("gate")?;
    let replica = Replica::open(Arc::clone(&store.journal), stream).await?;
    let outgoing = || Outgoing::acting_as("gate-service", Vec::new());
    let shown = settings.peers.credentials()?;
    let to = |name, address| peer(name, address, outgoing(), &shown, PEER_TIMEOUT);
    let killswitch = to("killswitch", &settings.peers.killswitch)?;
    let comms = to("comms", &settings.peers.comms)?;
    let peers = vec![("killswitch", killswitch.clone()), ("comms", comms.clone())];
    let status = StoreStatus::new(&store, shutdown.clone()).with(&replica).reaching(peers);
    let counters = Arc::clone(&store.counters);
    let app = Arc::new(App {
        replica,
        counters,
        clock,
        shutdown: shutdown.clone(),
        gauge_stale_after,
        prometheus: Prometheus::new(&settings.prometheus)?,
        labels: Labels::default(),
        settled: Settled::default(),
        meters: Meters::new(),
        over: Over::default(),
    });
    let leases = Arc::clone(&store.leases);
    tokio::spawn(keep_watching(Arc::clone(&app), leases, shutdown.clone()));
    observe::follow_drills(Arc::clone(&app), killswitch, shutdown.clone());
    observe::follow_communications(Arc::clone(&app), comms, shutdown.clone());
    let router =
        entrance.router(entrance.server(), contracts::DESCRIPTORS, &SERVICES, status).await?;
    let api = Api::new(app);
    let router = router
        .add_service(
            GateServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(SignalServiceServer::new(api).max_decoding_message_size(MESSAGE_SIZE_MAX));
    Ok(entrance.serve(router, listener, shutdown).await?)
}
