//! The one server constructor: every limit set, health and reflection on, drained at the end.

use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::{Router, TcpIncoming};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::layer::util::{Identity, Stack};

use crate::deadline::CallLayer;
use crate::shutdown::Shutdown;
use crate::status::{StoreStatus, TellingHealth};

/// Largest message a service takes, in bytes; a plan file with room to spare.
pub const MESSAGE_SIZE_MAX: usize = 4 * 1024 * 1024;

const UNARY_TIMEOUT: Duration = Duration::from_secs(30); // Ends what nobody else ends.
const STREAMS_MAX: u32 = 1_024; // Per connection.
const HEADER_LIST_SIZE_MAX: u32 = 16 * 1024;
const PENDING_RESETS_MAX: usize = 20; // Against rapid reset (CVE-2023-44487).
const LOCAL_RESETS_MAX: usize = 256; // tonic's own default is none at all.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// A server with our layer.
pub type HardenedServer = Server<Stack<CallLayer, Identity>>;
/// Its router.
pub type HardenedRouter = Router<Stack<CallLayer, Identity>>;

/// Builds a server with every limit set.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the home of servers")]
pub fn hardened() -> HardenedServer {
    Server::builder()
        .concurrency_limit_per_connection(STREAMS_MAX as usize)
        .load_shed(true)
        .max_concurrent_streams(STREAMS_MAX)
        .http2_max_header_list_size(HEADER_LIST_SIZE_MAX)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(CallLayer { timeout: UNARY_TIMEOUT })
}

/// Adds health and reflection (v1 and v1alpha) for the named services, and what health says of the
/// store: see [`crate::status`].
///
/// # Errors
/// Fails where the descriptors do not decode, which a build would have noticed.
pub async fn with_health_and_reflection(
    mut server: HardenedServer,
    descriptors: &'static [u8],
    services: &[&str],
    store: StoreStatus,
) -> Result<HardenedRouter, tonic_reflection::server::Error> {
    let reporter = HealthReporter::new();
    let mut reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    let mut reflection_alpha = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptors)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
    for service in services.iter().chain(&["grpc.health.v1.Health"]) {
        reporter.set_service_status(*service, ServingStatus::Serving).await;
        reflection = reflection.with_service_name(*service);
        reflection_alpha = reflection_alpha.with_service_name(*service);
    }
    let services = HealthService::from_health_reporter(reporter);
    Ok(server
        .add_service(HealthServer::new(TellingHealth { services, store }))
        .add_service(reflection.build_v1()?)
        .add_service(reflection_alpha.build_v1alpha()?))
}

/// Serves until asked to end; then takes no new calls, finishes those it has, and cuts off what
/// is not finished after a grace.
///
/// # Errors
/// Fails where the socket does.
pub async fn serve(
    router: HardenedRouter,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), tonic::transport::Error> {
    // What the server is told of sockets holds only for those that it binds itself.
    let incoming =
        TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE));
    let serving = router.serve_with_incoming_shutdown(incoming, shutdown.clone().wait_owned());
    tokio::select! {
        served = serving => served,
        () = async { shutdown.wait_owned().await; tokio::time::sleep(DRAIN_GRACE).await } => {
            tracing::warn!("some calls did not end within the grace: cut off");
            Ok(())
        }
    }
}
