//! Kill switches: engaged by one call, streamed to every watcher, acknowledged by each.
//!
//! **Invariant:** a change is durable before it is acknowledged, epochs only rise, and nothing
//! else has to be up for a scope to be stopped.

mod api;
mod app;
mod convert;
mod drill;
mod error;
mod settings;
mod state;
mod watch;
mod workers;

use std::sync::Arc;

use contracts::killswitch::kill_switch_service_server::KillSwitchServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::server::{self, MESSAGE_SIZE_MAX};
use service_kit::settings::SettingsError;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::app::App;
pub use crate::settings::{Settings, WatchSettings};

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
    let heartbeat = vocab::parse_duration(&settings.watch.heartbeat)
        .map_err(|why| SettingsError(format!("watch.heartbeat: {why}")))?;
    let stream = StreamName::new("killswitch")?;
    let replica = Replica::open(Arc::clone(&dependencies.store.journal), stream).await?;
    let status = StoreStatus::new(&dependencies.store, shutdown.clone()).with(&replica);
    let app = Arc::new(App::new(replica, dependencies.clock, heartbeat, shutdown.clone()));
    let router = server::with_health_and_reflection(
        server::hardened(),
        contracts::DESCRIPTORS,
        &["softlaunch.killswitch.v1.KillSwitchService"],
        status,
    )
    .await?;
    let api =
        KillSwitchServiceServer::new(Api::new(app)).max_decoding_message_size(MESSAGE_SIZE_MAX);
    Ok(server::serve(router.add_service(api), listener, shutdown).await?)
}
