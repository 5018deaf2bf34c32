//! What a caller needs for a service that is not open to everybody: an authority to know the
//! service by, and a certificate or a token to be known by.
//!
//! **Invariant:** a key or a token is never printed, and a token never leaves this machine in the
//! clear.

mod bearer;
mod private;

use std::fmt;
use std::path::{Path, PathBuf};

use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use vocab::{Invalid, excerpt};

pub use bearer::Bearer;
pub use private::{FILE_SIZE_MAX, read_private};

/// A channel that carries a token, where there is one.
pub type Line = InterceptedService<Channel, Bearer>;

const BEGIN_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// A file that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub(crate) String);

/// Where credentials are kept; `None` for what is not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// PEM: the authorities whose services are trusted. Without it, no `https` address is called.
    pub authority: Option<PathBuf>,
    /// PEM: the certificate shown to services, the leaf first.
    pub certificate: Option<PathBuf>,
    /// PEM: its private key.
    pub key: Option<PathBuf>,
    /// One line: the token shown to services.
    pub token: Option<PathBuf>,
}

/// Whom a caller trusts, and what it shows of itself. By default nobody and nothing, which is
/// enough for services on this machine that are open to everybody. Cheap to clone.
#[derive(Clone, Default)]
pub struct Credentials {
    tls: Option<ClientTlsConfig>,
    bearer: Bearer,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not derived: tonic's type prints the key.
        f.debug_struct("Credentials")
            .field("tls", &self.tls.is_some())
            .field("bearer", &self.bearer)
            .finish()
    }
}

impl Credentials {
    /// Reads the files, once: what is put in their place later is read by the next process.
    ///
    /// # Errors
    /// Names the file that is missing, malformed, or readable by everybody though it is secret.
    pub fn read(files: &Files) -> Result<Self, Unusable> {
        let bearer = files.token.as_deref().map(Bearer::read).transpose()?.unwrap_or_default();
        let identity = match (&files.certificate, &files.key) {
            (Some(certificate), Some(key)) => Some(identity(certificate, key)?),
            (None, None) => None,
            (Some(lonely), None) | (None, Some(lonely)) => {
                let why = "a certificate needs its key, and a key its certificate";
                return Err(Unusable(format!("{}: {why}", lonely.display())));
            }
        };
        let Some(authority) = &files.authority else {
            if let (Some(_), Some(path)) = (&identity, &files.certificate) {
                let why = "is of no use without the authority that services are trusted by";
                return Err(Unusable(format!("{}: {why}", path.display())));
            }
            return Ok(Self { tls: None, bearer });
        };
        let trusted = Certificate::from_pem(certificates(authority)?);
        let mut tls = ClientTlsConfig::new().ca_certificate(trusted);
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        // A key that does not fit its certificate is noticed now, not at the first call.
        let probe = Endpoint::from_static("https://localhost").tls_config(tls.clone());
        probe.map_err(|error| {
            let shown = files.certificate.as_ref().unwrap_or(authority).display();
            Unusable(format!("{shown}: {}", root_cause(&error)))
        })?;
        Ok(Self { tls: Some(tls), bearer })
    }

    /// Whether an authority is trusted, and `https` addresses can be called.
    #[must_use]
    pub const fn has_authority(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether a token is shown.
    #[must_use]
    pub const fn has_token(&self) -> bool {
        self.bearer.is_some()
    }

    /// The token, to be shown with every call.
    #[must_use]
    pub fn bearer(&self) -> Bearer {
        self.bearer.clone()
    }

    /// The way to a service.
    ///
    /// # Errors
    /// Refuses what is not an address such as `http://127.0.0.1:7101`, an `https` address without
    /// an authority, and an address that a token would reach in the clear over a network.
    pub fn endpoint(&self, address: &str) -> Result<Endpoint, Invalid> {
        let shown = excerpt(address);
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_e| {
            Invalid::new(format!("`{shown}` is not an address such as http://127.0.0.1:7101"))
        })?;
        if endpoint.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            let Some(tls) = &self.tls else {
                let why = "is an https address: name the authority that its certificate is of";
                return Err(Invalid::new(format!("`{shown}` {why}")));
            };
            return endpoint
                .tls_config(tls.clone())
                .map_err(|error| Invalid::new(format!("`{shown}`: {}", root_cause(&error))));
        }
        if self.bearer.is_some() && !is_loopback(endpoint.uri()) {
            let why = "would get the token in the clear: use an https address";
            return Err(Invalid::new(format!("`{shown}` {why}")));
        }
        Ok(endpoint)
    }
}

fn is_loopback(uri: &http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn certificates(path: &Path) -> Result<String, Unusable> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Unusable(format!("cannot read {shown}: {error}")))?;
    if !text.contains(BEGIN_CERTIFICATE) {
        return Err(Unusable(format!("{shown} has no certificate in PEM form")));
    }
    Ok(text)
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, Unusable> {
    Ok(Identity::from_pem(certificates(certificate)?, read_private(key)?))
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
