//! The way into a service: open on this machine, or guarded by TLS, certificates and tokens.
//!
//! There is nothing in between: a service that is guarded in part is refused at start, with what
//! is missing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;

use crate::guard::Guard;
use crate::incoming::{self, Bounds};
use crate::lanes::Lanes;
use crate::reload::Followed;
use crate::server::{
    HardenedRouter, HardenedServer, guarded, serve_incoming, with_health, with_reflection,
};
use crate::settings::{IdentitySettings, ServerSettings, SettingsError};
use crate::shutdown::Shutdown;
use crate::status::StoreStatus;
use crate::tls::{ServerFiles, ServerTls};
use crate::tokens::{TokenFile, Tokens};

/// How a service is entered, as its settings say.
#[derive(Debug, Clone)]
pub struct Entrance {
    guard: Guard,
    tls: Option<ServerTls>,
    lanes: Lanes,
    reflection: bool,
    bounds: Bounds,
}

/// The settings that guard a service, by name and value.
fn guarding<'a>(
    server: &'a ServerSettings,
    identity: &'a IdentitySettings,
) -> [(&'static str, &'a str); 4] {
    [
        ("server.tls_cert_file", &server.tls_cert_file),
        ("server.tls_key_file", &server.tls_key_file),
        ("server.tls_client_ca_file", &server.tls_client_ca_file),
        ("identity.tokens_file", &identity.tokens_file),
    ]
}

/// The settings that are missing; all four where the service is open.
pub(crate) fn missing(server: &ServerSettings, identity: &IdentitySettings) -> Vec<&'static str> {
    let unset = guarding(server, identity).into_iter().filter(|(_, value)| value.is_empty());
    unset.map(|(name, _)| name).collect()
}

impl Entrance {
    /// Reads certificates and tokens, and goes on reading them as they change. Must be called
    /// inside a runtime.
    ///
    /// # Errors
    /// Names the setting that is missing, or the file that cannot be used.
    pub fn open(
        server: &ServerSettings,
        identity: &IdentitySettings,
    ) -> Result<Self, SettingsError> {
        let missing = missing(server, identity);
        let reflection = server.reflection;
        let bounds = Bounds {
            max: server.connections_max,
            per_address_max: server.connections_per_address_max,
        };
        let lanes = Lanes::new(server.calls_max);
        match missing.len() {
            0 => {}
            4 => {
                let guard = Guard::open();
                return Ok(Self { guard, tls: None, lanes, reflection, bounds });
            }
            _ => {
                let why = format!(
                    "a service is guarded as a whole or not at all: {} missing",
                    are(&missing)
                );
                return Err(SettingsError(why));
            }
        }
        let tls = ServerTls::start(ServerFiles {
            certificate: PathBuf::from(&server.tls_cert_file),
            key: PathBuf::from(&server.tls_key_file),
            client_authority: PathBuf::from(&server.tls_client_ca_file),
        })
        .map_err(|why| SettingsError(format!("server: {why}")))?;
        let path = PathBuf::from(&identity.tokens_file);
        let tokens = Followed::start("tokens", vec![path.clone()], move || read_tokens(&path))
            .map_err(|why| SettingsError(format!("identity.tokens_file: {why}")))?;
        if tokens.get().is_empty() {
            tracing::warn!("no token is in identity.tokens_file: only services are let in");
        }
        let guard = Guard::by(tokens, identity.calls_per_second);
        Ok(Self { guard, tls: Some(tls), lanes, reflection, bounds })
    }

    /// A hardened server behind this entrance.
    #[must_use]
    pub fn server(&self) -> HardenedServer {
        guarded(self.guard.clone(), self.lanes.clone())
    }

    /// Adds health, and reflection where the settings want it; see
    /// [`crate::server::with_health_and_reflection`].
    ///
    /// # Errors
    /// Fails where the descriptors do not decode, which a build would have noticed.
    pub async fn router(
        &self,
        server: HardenedServer,
        descriptors: &'static [u8],
        services: &[&str],
        store: StoreStatus,
    ) -> Result<HardenedRouter, tonic_reflection::server::Error> {
        let store = store.showing(self.tls.clone());
        let router = with_health(server, services, store).await;
        if self.reflection { with_reflection(router, descriptors, services) } else { Ok(router) }
    }

    /// Serves behind this entrance until asked to end; see [`crate::server::serve`].
    ///
    /// # Errors
    /// Fails where the socket does.
    pub async fn serve(
        &self,
        router: HardenedRouter,
        listener: TcpListener,
        shutdown: Shutdown,
    ) -> Result<(), tonic::transport::Error> {
        let sockets = incoming::accept(listener, self.tls.clone(), self.bounds);
        serve_incoming(router, sockets, shutdown).await
    }
}

pub(crate) fn are(missing: &[&str]) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", missing.join(", "))
}

/// Whoever can write the file can be anybody.
const WRITABLE_BY_OTHERS: u32 = 0o002;

fn read_tokens(path: &Path) -> Result<Tokens, String> {
    let mode = std::fs::metadata(path).map(|file| file.permissions().mode());
    if mode.is_ok_and(|mode| mode & WRITABLE_BY_OTHERS != 0) {
        return Err(format!("{} can be written by every user: chmod 600 it", path.display()));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    TokenFile::parse(&text)
        .and_then(|file| file.check())
        .map_err(|why| format!("{}: {why}", path.display()))
}
