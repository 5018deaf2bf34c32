//! The one server constructor: every limit set, health and reflection on, drained at the end.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tower::layer::util::{Identity, Stack};

use crate::deadline::CallLayer;
use crate::guard::Guard;
use crate::incoming::{self, Bounds, Connection};
use crate::lanes::{CALLS_MAX, Lanes};
use crate::shutdown::Shutdown;
use crate::status::{StoreStatus, TellingHealth};

/// Largest message a service takes, in bytes; a plan file with room to spare.
pub const MESSAGE_SIZE_MAX: usize = 4 * 1024 * 1024;

const UNARY_TIMEOUT: Duration = Duration::from_secs(30); // Ends what nobody else ends.
const STREAMS_MAX: u32 = 1_024; // Per connection; of all connections lanes let in as many calls.
/// A report of a thousand outcomes in one frame: far less than a connection's window of 1 MiB, and
/// a fifth of the reads that HTTP/2's default of 16 KiB takes.
const FRAME_SIZE_MAX: u32 = 64 * 1024;
const HEADER_LIST_SIZE_MAX: u32 = 16 * 1024;
const PENDING_RESETS_MAX: usize = 20; // Against rapid reset (CVE-2023-44487).
/// What comes behind a refusal, such as the body of a call that was turned away, counts for as long
/// as a connection lives: as many as h2 allows. Where tonic is not told it allows any number.
const LOCAL_RESETS_MAX: usize = 1_024;
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const DRAIN_GRACE: Duration = Duration::from_secs(10);
const HEALTH: &str = "grpc.health.v1.Health";

/// Connections at a time, where the settings do not say.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Connections at a time from one address, where the settings do not say.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 2_000;

/// A server with our layer.
pub type HardenedServer = Server<Stack<CallLayer, Identity>>;
/// Its router.
pub type HardenedRouter = Router<Stack<CallLayer, Identity>>;

/// Builds a server with every limit set that lets everybody in, as whoever they claim to be.
#[must_use]
pub fn hardened() -> HardenedServer {
    guarded(Guard::open(), Lanes::new(CALLS_MAX))
}

/// Builds a server with every limit set.
#[expect(clippy::disallowed_methods, reason = "the home of servers")]
pub(crate) fn guarded(guard: Guard, lanes: Lanes) -> HardenedServer {
    Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .max_frame_size(FRAME_SIZE_MAX)
        .http2_max_header_list_size(HEADER_LIST_SIZE_MAX)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .http2_max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(CallLayer { timeout: UNARY_TIMEOUT, guard, lanes })
}

/// Adds health and reflection (v1 and v1alpha) for the named services, and what health says of the
/// store: see [`crate::status`].
///
/// # Errors
/// Fails where the descriptors do not decode, which a build would have noticed.
pub async fn with_health_and_reflection(
    server: HardenedServer,
    descriptors: &'static [u8],
    services: &[&str],
    store: StoreStatus,
) -> Result<HardenedRouter, tonic_reflection::server::Error> {
    with_reflection(with_health(server, services, store).await, descriptors, services)
}

pub(crate) async fn with_health(
    mut server: HardenedServer,
    services: &[&str],
    store: StoreStatus,
) -> HardenedRouter {
    let reporter = HealthReporter::new();
    for service in services.iter().chain(&[HEALTH]) {
        reporter.set_service_status(*service, ServingStatus::Serving).await;
    }
    let services = HealthService::from_health_reporter(reporter);
    server.add_service(HealthServer::new(TellingHealth { services, store }))
}

pub(crate) fn with_reflection(
    router: HardenedRouter,
    descriptors: &'static [u8],
    services: &[&str],
) -> Result<HardenedRouter, tonic_reflection::server::Error> {
    let builder = || {
        let mut builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        for service in services.iter().chain(&[HEALTH]) {
            builder = builder.with_service_name(*service);
        }
        builder
    };
    Ok(router.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
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
    let bounds = Bounds { max: CONNECTIONS_MAX, per_address_max: 0 };
    let sockets = incoming::accept(listener, None, bounds);
    serve_incoming(router, sockets, shutdown).await
}

pub(crate) async fn serve_incoming(
    router: HardenedRouter,
    sockets: ReceiverStream<std::io::Result<Connection>>,
    shutdown: Shutdown,
) -> Result<(), tonic::transport::Error> {
    let serving = router.serve_with_incoming_shutdown(sockets, shutdown.clone().wait_owned());
    tokio::select! {
        served = serving => served,
        () = async { shutdown.wait_owned().await; tokio::time::sleep(DRAIN_GRACE).await } => {
            tracing::warn!("some calls did not end within the grace: cut off");
            Ok(())
        }
    }
}
