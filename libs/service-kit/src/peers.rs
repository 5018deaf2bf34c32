//! Talking to other services: channels with limits, and followers that never give up.

use std::path::PathBuf;
use std::time::Duration;

use credentials::{Credentials, Files};
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::propagation::Outgoing;
use crate::settings::SettingsError;
use crate::shutdown::Shutdown;

/// A channel that carries trace context and identity.
pub type Peer = InterceptedService<Channel, Outgoing>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const DELAY_FIRST: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);

/// What a service shows to its peers, and whom it trusts, by the files of its `[peers]` settings;
/// an empty path is none.
///
/// # Errors
/// Names the file that cannot be used.
pub fn credentials(
    authority: &str,
    certificate: &str,
    key: &str,
) -> Result<Credentials, SettingsError> {
    let file = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
    let files = Files {
        authority: file(authority),
        certificate: file(certificate),
        key: file(key),
        token: None,
    };
    Credentials::read(&files).map_err(|why| SettingsError(format!("peers: {why}")))
}

/// A lazily connected channel to a service. A call without a deadline of its own ends after
/// `timeout`; streams are not cut by it.
///
/// # Errors
/// Refuses what is not an address such as `http://127.0.0.1:7101`, and one that the credentials
/// are not enough for.
pub fn channel(
    name: &str,
    address: &str,
    credentials: &Credentials,
    timeout: Duration,
) -> Result<Channel, SettingsError> {
    let endpoint = credentials
        .endpoint(address)
        .map_err(|why| SettingsError(format!("peers.{name}: {why}")))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5));
    Ok(endpoint.connect_lazy())
}

/// A [`channel`] that carries trace context and calls as `outgoing`.
///
/// # Errors
/// As [`channel`].
pub fn peer(
    name: &str,
    address: &str,
    outgoing: Outgoing,
    credentials: &Credentials,
    timeout: Duration,
) -> Result<Peer, SettingsError> {
    let channel = channel(name, address, credentials, timeout)?;
    Ok(InterceptedService::new(channel, outgoing.showing(credentials.bearer())))
}

/// Runs `attempt` again and again until asked to end: soon after one that ended well or held for a
/// while, with growing delay after those that failed at once. The first of a row of failures is
/// logged.
pub async fn follow<F>(
    what: &'static str,
    mut shutdown: Shutdown,
    mut attempt: impl FnMut() -> F + Send,
) where
    F: Future<Output = Result<(), Status>> + Send,
{
    let mut delay = DELAY_FIRST;
    loop {
        let begun = tokio::time::Instant::now();
        let outcome = tokio::select! {
            outcome = attempt() => outcome,
            () = shutdown.wait() => return,
        };
        match outcome {
            Ok(()) => delay = DELAY_FIRST,
            Err(status) => {
                if begun.elapsed() > DELAY_MAX {
                    delay = DELAY_FIRST; // It was in touch: this is no row of failures.
                }
                if delay == DELAY_FIRST {
                    tracing::warn!(what, code = %status.code(), why = status.message(), "lost touch: trying again");
                }
                delay = (delay * 2).min(DELAY_MAX);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = shutdown.wait() => return,
        }
    }
}
