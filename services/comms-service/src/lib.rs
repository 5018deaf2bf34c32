//! Communications: everyone who must know is told, and it is on record who was told what.
//!
//! **Invariant:** a message is durable before its event counts as handled; it is delivered at
//! least once or ends on the dead-letter list; a broken channel delays no other.

mod affected;
mod api;
mod app;
mod channels;
mod convert;
mod directory;
mod due;
mod effects;
mod error;
mod follow;
mod metrics;
mod pages;
mod secret;
mod settings;
mod state;

use std::sync::Arc;
use std::time::Duration;

use contracts::comms::banner_service_server::BannerServiceServer;
use contracts::comms::comms_service_server::CommsServiceServer;
use service_kit::bootstrap::{Dependencies, Error};
use service_kit::entrance::Entrance;
use service_kit::peers::{self, Peer, peer};
use service_kit::propagation::Outgoing;
use service_kit::server::MESSAGE_SIZE_MAX;
use service_kit::shutdown::Shutdown;
use service_kit::status::StoreStatus;
use store::{Replica, StreamName};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::affected::Askable;
use crate::api::Api;
use crate::app::App;
use crate::channels::Channels;
use crate::directory::Directory;
use crate::effects::Deliveries;
use crate::metrics::Metrics;
use crate::pages::{BannerApi, Pages};
pub use crate::secret::Secret;
pub use crate::settings::{
    ChannelSettings, ContactsSettings, PagesSettings, Peers, Settings, SmtpSettings,
    StatusPageSettings, Tls, WebhookSettings,
};

const PEER_TIMEOUT: Duration = Duration::from_secs(5);
const DRAIN_GRACE: Duration = Duration::from_secs(10); // What is on its way may end.

/// Serves until asked to end, with the pages where the settings say.
///
/// # Errors
/// Fails where a setting is wrong, the journal cannot be read or a socket fails.
pub async fn serve(
    settings: Settings,
    dependencies: Dependencies,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let pages = match settings.pages_address()? {
        Some(address) => Some(service_kit::bootstrap::bound(address).await?),
        None => None,
    };
    serve_with_pages(settings, dependencies, (listener, pages), shutdown).await
}

/// Serves until asked to end: rpcs on the first listener, pages on the second.
///
/// # Errors
/// Fails where a setting is wrong, the journal cannot be read or a socket fails.
pub async fn serve_with_pages(
    settings: Settings,
    dependencies: Dependencies,
    (listener, pages_listener): (TcpListener, Option<TcpListener>),
    shutdown: Shutdown,
) -> Result<(), Error> {
    comms_core::check_templates()?;
    let channels = Arc::new(Channels::new(&settings)?);
    let entrance = Entrance::open(&settings.server, &settings.identity)?;
    let Dependencies { store, clock } = dependencies;
    let replica = Replica::open(Arc::clone(&store.journal), StreamName::new("comms")?).await?;
    let (directory, metrics) = (Directory::open(&settings.contacts.file)?, Metrics::new());
    let app = Arc::new(App { replica, clock, directory, shutdown: shutdown.clone(), metrics });
    let peers = follow_peers(&app, &settings.peers)?;
    let status = StoreStatus::new(&store, app.shutdown.clone()).with(&app.replica).reaching(peers);
    metrics::observe(&app);
    tokio::spawn(due::run(Arc::clone(&app)));
    let holder = Uuid::new_v4().to_string();
    let deliveries = Deliveries {
        app: Arc::clone(&app),
        channels: Arc::clone(&channels),
        leases: Arc::clone(&store.leases),
        holder,
    };
    let mut delivering = tokio::spawn(Arc::new(deliveries).run());
    let router = entrance
        .router(
            entrance.server(),
            contracts::DESCRIPTORS,
            &["softlaunch.comms.v1.BannerService", "softlaunch.comms.v1.CommsService"],
            status,
        )
        .await?;
    let pages = Arc::new(Pages::new(Arc::clone(&app), &settings));
    let mut showing = JoinSet::new(); // Ends with us.
    if let Some(listener) = pages_listener {
        showing.spawn(pages::serve(Arc::clone(&pages), listener, shutdown.clone()));
    }
    let banners =
        BannerServiceServer::new(BannerApi::new(pages)).max_decoding_message_size(MESSAGE_SIZE_MAX);
    let api = CommsServiceServer::new(Api::new(app, channels))
        .max_decoding_message_size(MESSAGE_SIZE_MAX);
    let router = router.add_service(api).add_service(banners);
    let served = entrance.serve(router, listener, shutdown).await;
    if tokio::time::timeout(DRAIN_GRACE, &mut delivering).await.is_err() {
        tracing::warn!("some deliveries did not end within the grace: they are tried again");
        delivering.abort();
    }
    Ok(served?)
}

/// Follows those whose events are told of; returns everybody who is called.
fn follow_peers(app: &Arc<App>, settings: &Peers) -> Result<Vec<(&'static str, Peer)>, Error> {
    let outgoing = || Outgoing::acting_as("comms-service", Vec::new());
    let shown = settings.credentials()?;
    let to = |name, address| peer(name, address, outgoing(), &shown, PEER_TIMEOUT);
    let rollout = to("rollout", &settings.rollout)?;
    let gate = to("gate", &settings.gate)?;
    let killswitch = to("killswitch", &settings.killswitch)?;
    let flag = to("flag", &settings.flag)?;
    let all = vec![
        ("flag", flag.clone()),
        ("gate", gate.clone()),
        ("killswitch", killswitch.clone()),
        ("rollout", rollout.clone()),
    ];
    let (plans, askable) = (rollout.clone(), Askable { gate, flag });
    let (of_rollouts, of_switches) = (Arc::clone(app), Arc::clone(app));
    tokio::spawn(peers::follow("rollout events", app.shutdown.clone(), move || {
        follow::rollouts(Arc::clone(&of_rollouts), rollout.clone(), askable.clone())
    }));
    tokio::spawn(peers::follow("kill-switch events", app.shutdown.clone(), move || {
        follow::kill_switches(Arc::clone(&of_switches), killswitch.clone(), plans.clone())
    }));
    Ok(all)
}
