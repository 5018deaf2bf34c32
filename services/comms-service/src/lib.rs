//! Communications: everyone who must know is told, and it is on record who was told what.
//!
//! **Invariant:** a message is durable before its event counts as handled; it is delivered at
//! least once or ends on the dead-letter list; a broken channel delays no other.

mod api;
mod app;
mod channels;
mod convert;
mod effects;
mod error;
mod follow;
mod secret;
mod settings;
mod state;

use std::sync::Arc;
use std::time::Duration;

use contracts::comms::comms_service_server::CommsServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::peers::{self, peer};
use service_kit::propagation::Outgoing;
use service_kit::server::{self, MESSAGE_SIZE_MAX};
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::api::Api;
use crate::app::App;
use crate::channels::Channels;
use crate::effects::Deliveries;
pub use crate::secret::Secret;
pub use crate::settings::{ChannelSettings, Peers, Settings, SmtpSettings, Tls};

const PEER_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_GRACE: Duration = Duration::from_secs(10); // What is on its way may end.

/// Serves until asked to end.
///
/// # Errors
/// Fails where a setting is wrong, the journal cannot be read or the socket fails.
pub async fn serve(
    settings: Settings,
    dependencies: Dependencies,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), Error> {
    comms_core::check_templates()?;
    let channels = Channels::new(&settings)?;
    let Dependencies { store, clock } = dependencies;
    let replica = Replica::open(Arc::clone(&store.journal), StreamName::new("comms")?).await?;
    let status = StoreStatus::new(&store, shutdown.clone()).with(&replica);
    let app = Arc::new(App { replica, clock, shutdown: shutdown.clone() });
    follow_peers(&app, &settings.peers)?;
    let holder = Uuid::new_v4().to_string();
    let deliveries =
        Deliveries { app: Arc::clone(&app), channels, leases: Arc::clone(&store.leases), holder };
    let mut delivering = tokio::spawn(Arc::new(deliveries).run());
    let router = server::with_health_and_reflection(
        server::hardened(),
        contracts::DESCRIPTORS,
        &["softlaunch.comms.v1.CommsService"],
        status,
    )
    .await?;
    let api = CommsServiceServer::new(Api::new(app)).max_decoding_message_size(MESSAGE_SIZE_MAX);
    let served = server::serve(router.add_service(api), listener, shutdown).await;
    if tokio::time::timeout(DRAIN_GRACE, &mut delivering).await.is_err() {
        tracing::warn!("some deliveries did not end within the grace: they are tried again");
        delivering.abort();
    }
    Ok(served?)
}

fn follow_peers(app: &Arc<App>, peers: &Peers) -> Result<(), Error> {
    let outgoing = || Outgoing::acting_as("comms-service", Vec::new());
    let rollout = peer("rollout", &peers.rollout, outgoing(), PEER_TIMEOUT)?;
    let killswitch = peer("killswitch", &peers.killswitch, outgoing(), PEER_TIMEOUT)?;
    let plans = rollout.clone();
    let (of_rollouts, of_switches) = (Arc::clone(app), Arc::clone(app));
    tokio::spawn(peers::follow("rollout events", app.shutdown.clone(), move || {
        follow::rollouts(Arc::clone(&of_rollouts), rollout.clone())
    }));
    tokio::spawn(peers::follow("kill-switch events", app.shutdown.clone(), move || {
        follow::kill_switches(Arc::clone(&of_switches), killswitch.clone(), plans.clone())
    }));
    Ok(())
}
