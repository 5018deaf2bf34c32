//! Flags: kept in a journal, answered from memory, off wherever a kill switch says so.
//!
//! **Invariant:** an evaluation never waits on a store. Exposure of a flag that a rollout moves
//! rises only by `ApplyRolloutStep`, in order of its generations.

mod admission;
mod api;
mod app;
mod census;
mod convert;
mod encoded;
mod error;
mod evaluation;
mod feed;
mod history;
mod metrics;
mod openfeature;
mod radius;
mod settings;
mod state;
mod stops;
mod transfer;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use client::{KillWatch, Policy, WatchOptions};
use contracts::flag::admission_service_server::AdmissionServiceServer;
use contracts::flag::blast_radius_service_server::BlastRadiusServiceServer;
use contracts::flag::evaluation_service_server::EvaluationServiceServer;
use contracts::flag::flag_history_service_server::FlagHistoryServiceServer;
use contracts::flag::flag_service_server::FlagServiceServer;
use contracts::flagd::evaluation::{v1, v2};
use contracts::flagd::sync::v1::flag_sync_service_server::FlagSyncServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::entrance::Entrance;
use service_kit::peers::peer;
use service_kit::propagation::Outgoing;
use service_kit::server::{HardenedRouter, MESSAGE_SIZE_MAX};
use service_kit::settings::SettingsError;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;

use crate::api::Api;
use crate::app::App;
use crate::census::Census;
use crate::encoded::WithSharedWatch;
use crate::feed::Feed;
use crate::metrics::Metrics;
use crate::openfeature::changes::Changes;
use crate::openfeature::evaluation::Evaluation;
use crate::openfeature::ofrep::Ofrep;
use crate::openfeature::sync::{Document, Sync};
pub use crate::settings::{EvaluationSettings, Peers, Settings};

const SERVICES: [&str; 8] = [
    "softlaunch.flag.v1.FlagService",
    "softlaunch.flag.v1.FlagHistoryService",
    "softlaunch.flag.v1.BlastRadiusService",
    "softlaunch.flag.v1.EvaluationService",
    "softlaunch.flag.v1.AdmissionService",
    "flagd.evaluation.v1.Service",
    "flagd.evaluation.v2.Service",
    "flagd.sync.v1.FlagSyncService",
];

const PEER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a new process waits for the kill-switch service before it answers: until it has heard of
/// it everything counts as killed, and a replica that takes over need not begin with that.
const FIRST_WORD_MAX: Duration = Duration::from_secs(2);

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
    let entrance = Entrance::open(&settings.server, &settings.identity)?;
    let Dependencies { store, clock } = dependencies;
    let stream = StreamName::new("flag")?;
    let replica = Replica::open(Arc::clone(&store.journal), stream).await?;
    let shown = settings.peers.credentials()?;
    let outgoing = Outgoing::acting_as("flag-service", Vec::new());
    let killswitch =
        peer("killswitch", &settings.peers.killswitch, outgoing, &shown, PEER_TIMEOUT)?;
    let status = StoreStatus::new(&store, shutdown.clone())
        .with(&replica)
        .reaching(vec![("killswitch", killswitch)]);
    let kills = KillWatch::start(
        &settings.peers.killswitch,
        WatchOptions {
            worker_id: format!("flag-service-{}", uuid::Uuid::new_v4()),
            pipeline: "all".to_owned(),
            policy: Policy { stale_after: durations.stale_after, fail_closed: true },
            trust_max: Some(durations.stale_after),
            state_file: None,
            credentials: shown,
        },
    )
    .map_err(|why| SettingsError(format!("peers.killswitch: {why}")))?;
    let quotas = Arc::clone(&store.quotas);
    let app = Arc::new(App {
        replica,
        clock,
        kills,
        quotas,
        census: Census::default(),
        feed: Feed::default(),
        changes: Changes::default(),
        document: Document::default(),
        metrics: Metrics::new(),
        durations,
        shutdown: shutdown.clone(),
    });
    metrics::observe(&app);
    Arc::clone(&app).feed_watchers();
    Arc::clone(&app).tell_changes();
    let router = entrance
        .router(
            entrance.server().accept_http1(true), // OFREP is asked over HTTP/1.1 as well.
            contracts::DESCRIPTORS,
            &SERVICES,
            status,
        )
        .await?;
    let router = with_openfeature(with_our_own(router, &app), &app);
    if tokio::time::timeout(FIRST_WORD_MAX, app.kills.first_word()).await.is_err() {
        tracing::warn!("no word of the kill-switch service yet: everything counts as killed");
    }
    Ok(entrance.serve(router, listener, shutdown).await?)
}

/// Adds the services of our own contracts.
fn with_our_own(router: HardenedRouter, app: &Arc<App>) -> HardenedRouter {
    let api = Api::new(Arc::clone(app));
    let evaluation =
        EvaluationServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX);
    router
        .add_service(
            FlagServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(
            FlagHistoryServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(
            BlastRadiusServiceServer::new(api.clone()).max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(WithSharedWatch { inner: evaluation, app: Arc::clone(app) })
        .add_service(AdmissionServiceServer::new(api).max_decoding_message_size(MESSAGE_SIZE_MAX))
}

/// Adds what OpenFeature providers speak.
fn with_openfeature(router: HardenedRouter, app: &Arc<App>) -> HardenedRouter {
    let evaluation = Evaluation::new(Arc::clone(app));
    router
        .add_service(
            v1::service_server::ServiceServer::new(evaluation.clone())
                .max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(
            v2::service_server::ServiceServer::new(evaluation)
                .max_decoding_message_size(MESSAGE_SIZE_MAX),
        )
        .add_service(FlagSyncServiceServer::new(Sync::new(Arc::clone(app))))
        .add_service(Ofrep::new(Arc::clone(app)))
}
