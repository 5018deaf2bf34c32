//! The conductor: carries out plans, one recorded decision at a time.
//!
//! **Invariant:** every decision is an event before it has any effect; effects are told in order
//! of their generation, and told again until they have been taken in.

mod api;
mod app;
mod capturing;
mod convert;
mod effects;
mod error;
mod exposing;
mod following;
mod metrics;
mod passing;
mod reports;
mod settings;
mod state;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use contracts::rollout::rollout_service_server::RolloutServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::entrance::Entrance;
use service_kit::peers::peer;
use service_kit::propagation::Outgoing;
use service_kit::server::MESSAGE_SIZE_MAX;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::app::App;
use crate::effects::Turns;
pub use crate::settings::{Peers, Settings};

const PEER_TIMEOUT: Duration = Duration::from_secs(5);

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
    let entrance = Entrance::open(&settings.server, &settings.identity)?;
    let Dependencies { store, clock } = dependencies;
    let stream = StreamName::new("rollout")?;
    let replica = Replica::open(Arc::clone(&store.journal), stream).await?;
    let outgoing = Outgoing::acting_as("rollout-service", Vec::new());
    let shown = settings.peers.credentials()?;
    let to = |name, address| peer(name, address, outgoing.clone(), &shown, PEER_TIMEOUT);
    let flag = to("flag", &settings.peers.flag)?;
    let gate = to("gate", &settings.peers.gate)?;
    let killswitch = to("killswitch", &settings.peers.killswitch)?;
    let peers =
        vec![("flag", flag.clone()), ("gate", gate.clone()), ("killswitch", killswitch.clone())];
    let status = StoreStatus::new(&store, shutdown.clone()).with(&replica).reaching(peers);
    let turns = Turns::default();
    let app = App { replica, clock, flag, gate, killswitch, shutdown: shutdown.clone(), turns };
    let app = Arc::new(app);
    metrics::observe(&app);
    effects::run(Arc::clone(&app), shutdown.clone());
    following::run(&app, shutdown.clone());
    passing::run(&app, shutdown.clone());
    let router = entrance
        .router(
            entrance.server(),
            contracts::DESCRIPTORS,
            &["softlaunch.rollout.v1.RolloutService"],
            status,
        )
        .await?;
    let api = RolloutServiceServer::new(Api::new(app)).max_decoding_message_size(MESSAGE_SIZE_MAX);
    Ok(entrance.serve(router.add_service(api), listener, shutdown).await?)
}
