//! TLS of a server: 1.3 only, with certificates that are read again when they change, and the
//! identity of services taken from theirs.
//!
//! tonic's own server takes its certificate once, allows TLS 1.2 and waits for a handshake without
//! end; so the sockets are ours (`incoming.rs`), and tonic is given what they carry.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credentials::read_private;
use opentelemetry::KeyValue;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use tokio_rustls::TlsAcceptor;
use vocab::Timestamp;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::access::Noun;
use crate::clock::real_now;
use crate::metrics::meter;
use crate::reload::Followed;

/// Begins the identity of every service.
pub const SPIFFE: &str = "spiffe://softlaunch/svc/";

const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"]; // OFREP is asked over HTTP/1.1 as well.

/// PEM files of a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// The authority of those who show a certificate.
    pub(crate) client_authority: PathBuf,
}

/// What is shown to callers, and until when it is good.
#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    service: String,
    expires: Timestamp,
}

/// Makes connections of sockets.
#[derive(Debug, Clone)]
pub(crate) struct ServerTls(Followed<Loaded>);

impl ServerTls {
    /// Reads the files, and goes on reading them.
    pub(crate) fn start(files: ServerFiles) -> Result<Self, String> {
        let all =
            vec![files.certificate.clone(), files.key.clone(), files.client_authority.clone()];
        let tls = Followed::start("certificates", all, move || read(&files)).map(Self)?;
        tls.observe();
        Ok(tls)
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.get().config))
    }

    /// Until when the certificate is good that is shown now.
    pub(crate) fn expires(&self) -> Timestamp {
        self.0.get().expires
    }

    /// Tells until when the certificate is good: nobody notices by themselves before it is over.
    fn observe(&self) {
        let loaded = self.0.downgrade(); // The figure does not outlive its server.
        let meter = meter();
        let _gauge = meter
            .i64_observable_gauge("softlaunch.tls.certificate.expires")
            .with_description("When the certificate shown to callers ends, in Unix time.")
            .with_unit("s")
            .with_callback(move |observer| {
                let Some(now) = loaded.upgrade().map(|held| held.load_full()) else { return };
                let service = KeyValue::new("service", now.service.clone());
                observer.observe(now.expires.as_seconds(), &[service]);
            })
            .build();
    }
}

/// Says so where a certificate ends soon.
fn warn(certificate: &std::path::Path, expires: Timestamp) {
    if real_now().plus(SOON) > expires {
        let shown = certificate.display();
        tracing::warn!(certificate = %shown, %expires, "the certificate ends soon: replace it");
    }
}

fn read(files: &ServerFiles) -> Result<Loaded, String> {
    let chain = certificates(&files.certificate)?;
    let leaf = chain.first().ok_or("the chain is empty")?;
    let service = service_of(leaf).map_or_else(|_why| String::new(), |noun| noun.to_string());
    let expires = end_of(leaf)?;
    warn(&files.certificate, expires);
    let key = read_private(&files.key).map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| format!("{}: {error}", files.key.display()))?;
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.client_authority)? {
        roots
            .add(authority)
            .map_err(|error| format!("{}: {error}", files.client_authority.display()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // People come with a token, and without a certificate; one that is shown must be good.
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| format!("{}: {error}", files.client_authority.display()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| format!("{}: {error}", files.certificate.display()))?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.send_tls13_tickets = 0; // Every connection shows its certificate anew.
    Ok(Loaded { config: Arc::new(config), service, expires })
}

fn end_of(certificate: &CertificateDer<'_>) -> Result<Timestamp, String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let seconds = parsed.validity().not_after.timestamp();
    Ok(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let all = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| format!("{shown}: {error}"))?;
    if all.is_empty() {
        return Err(format!("{shown} has no certificate in PEM form"));
    }
    Ok(all)
}

/// The service that a certificate is of: it has exactly one URI, `spiffe://softlaunch/svc/NAME`.
pub(crate) fn service_of(certificate: &CertificateDer<'_>) -> Result<Noun, String> {
    let (_, parsed) = X509Certificate::from_der(certificate)
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let names = parsed
        .subject_alternative_name()
        .map_err(|error| format!("the certificate's names cannot be read: {error}"))?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let mut uris = names
        .iter()
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err("the certificate has not exactly one URI".to_owned());
    };
    uri.strip_prefix(SPIFFE)
        .and_then(Noun::named)
        .ok_or_else(|| format!("`{}` is no service of Softlaunch", vocab::excerpt(uri)))
}
