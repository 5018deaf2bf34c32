//! Kill switches: engaged by one call, streamed to every watcher, acknowledged by each.
//!
//! **Invariant:** a release is durable before it is acknowledged, and so is a kill or its answer says
//! that it is not; epochs only rise; nothing else, the store included, has to be up for a scope to
//! be stopped.

mod api;
mod app;
mod breaker;
mod convert;
mod drill;
mod error;
mod in_force;
mod metrics;
pub mod offline;
mod propagation;
mod settings;
mod state;
mod storing;
mod watch;
mod workers;

use std::sync::Arc;

use contracts::killswitch::kill_switch_service_server::KillSwitchServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::entrance::Entrance;
use service_kit::server::MESSAGE_SIZE_MAX;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::app::App;
use crate::breaker::Fleets;
use crate::in_force::InForce;
use crate::metrics::Metrics;
pub use crate::settings::{
    BreakerSettings, DrillSettings, EngageSettings, PolicySettings, ReleaseSettings, Settings,
    WatchSettings,
};
use crate::workers::Workers;

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
    let timing = settings.timing()?;
    let entrance = Entrance::open(&settings.server, &settings.identity)?;
    let Dependencies { store, clock } = dependencies;
    let stream = StreamName::new("killswitch")?;
    let replica = Replica::open(Arc::clone(&store.journal), stream).await?;
    let status = StoreStatus::new(&store, shutdown.clone()).with(&replica);
    let in_force = InForce::new(Arc::clone(&replica), store.promise.level().to_string());
    let app = Arc::new(App {
        replica,
        in_force: Arc::new(in_force),
        clock,
        timing,
        shutdown: shutdown.clone(),
        workers: Workers::new(),
        metrics: Metrics::new(),
    });
    metrics::observe(&app);
    run_loops(&app, settings.breaker, &shutdown);
    let router = entrance
        .router(
            entrance.server(),
            contracts::DESCRIPTORS,
            &["softlaunch.killswitch.v1.KillSwitchService"],
            status,
        )
        .await?;
    let api =
        KillSwitchServiceServer::new(Api::new(app)).max_decoding_message_size(MESSAGE_SIZE_MAX);
    Ok(entrance.serve(router.add_service(api), listener, shutdown).await?)
}

/// What goes on by itself until asked to end.
fn run_loops(app: &Arc<App>, breaker: BreakerSettings, shutdown: &Shutdown) {
    let fleets = Fleets::new(breaker, app.timing.breaker_open_for);
    tokio::spawn(app::follow(Arc::clone(app), shutdown.clone()));
    tokio::spawn(storing::run(Arc::clone(app), shutdown.clone()));
    tokio::spawn(breaker::run(Arc::clone(app), fleets, shutdown.clone()));
    if let Some(every) = app.timing.drill_every {
        tokio::spawn(drill::on_schedule(Arc::clone(app), every, shutdown.clone()));
    }
}
