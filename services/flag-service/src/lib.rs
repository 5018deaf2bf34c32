//! Flags: kept in a journal, answered from memory, off wherever a kill switch says so.
//!
//! **Invariant:** an evaluation never waits on a store. Exposure of a flag that a rollout moves
//! rises only by `ApplyRolloutStep`, in order of its generations.

mod admission;
mod api;
mod app;
mod convert;
mod error;
mod evaluation;
mod settings;
mod state;

use std::sync::Arc;

use client::{KillWatch, Policy, WatchOptions};
use contracts::flag::admission_service_server::AdmissionServiceServer;
use contracts::flag::evaluation_service_server::EvaluationServiceServer;
use contracts::flag::flag_service_server::FlagServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::server::{self, MESSAGE_SIZE_MAX};
use service_kit::settings::SettingsError;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::app::App;
pub use crate::settings::{EvaluationSettings, Peers, Settings};

const SERVICES: [&str; 3] = [
    "softlaunch.flag.v1.FlagService",
    "softlaunch.flag.v1.EvaluationService",
    "softlaunch.flag.v1.AdmissionService",
];

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
    let durations = settings.evaluation.durations()?;
    let Dependencies { store, clock } = dependencies;
    let stream = StreamName::new("flag")?;
    let replica = Replica::open(Arc::clone(&store.journal), stream).await?;
    let status = StoreStatus::new(&store, shutdown.clone()).with(&replica);
    let kills = KillWatch::start(
        &settings.peers.killswitch,
        WatchOptions {
            worker_id: format!("flag-service-{}", uuid::Uuid::new_v4()),
            pipeline: "all".to_owned(),
            policy: Policy { stale_after: durations.stale_after, fail_closed: true },
            trust_max: Some(durations.stale_after),
            state_file: None,
        },
    )
    .map_err(|why| SettingsError(format!("peers.killswitch: {why}")))?;
    let quotas = Arc::clone(&store.quotas);
    let app =
        Arc::new(App { replica, clock, kills, quotas, durations, shutdown: shutdown.clone() });
    let router = server::with_health_and_reflection(
        server::hardened(),
        contracts::DESCRIPTORS,
        &SERVICES,
        status,
    )
    .await?;
    let api = Api::new(app);
    let router = router
        .add_service(
            FlagServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(
            EvaluationServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(AdmissionServiceServer::new(api).max_decoding_message_size(MESSAGE_SIZE_MAX));
    Ok(server::serve(router, listener, shutdown).await?)
}
