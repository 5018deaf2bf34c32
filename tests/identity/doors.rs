//! The doors themselves: handshakes, connections, authorities.

use std::sync::Arc;
use std::time::Duration;

use credentials::{Credentials, Files};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use service_kit::access::Noun;
use service_kit::tls::SPIFFE;
use softlaunch_tests::{Guarded, Guards};
use test_kit::Certificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::call::{call, channel};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const LIST: &str = "/softlaunch.flag.v1.FlagService/ListFlags";
const SOON: Duration = Duration::from_secs(30); // One after the other they would take minutes.

/// A handshake in this version of TLS, as far as the server's answer.
async fn handshake(
    house: &Guarded,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<()> {
    let pem = std::fs::read(house.certificates.file("ca.pem"))?;
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(&pem).expect("it is PEM");
    roots.add(authority).expect("it is an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("ring knows every version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(house.addresses[&Noun::Flag]).await?;
    let name = ServerName::try_from("localhost").expect("it is a name");
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.map(drop)
}

/// Whether the other side has closed the connection.
async fn is_closed(socket: &mut TcpStream) -> bool {
    let mut byte = [0];
    matches!(socket.read(&mut byte).await, Ok(0) | Err(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_never_finish_their_handshake_hold_up_nobody_and_are_let_go() {
    // Given fifty who connect and say nothing
    let house = Guarded::start(Guards::default()).await;
    let mut silent = Vec::new();
    for _one in 0..50 {
        silent.push(TcpStream::connect(house.addresses[&Noun::Flag]).await.unwrap());
    }

    // When somebody calls, then the answer comes at once
    let line = channel(&house, Noun::Flag, &house.credentials(None, None));
    let answer = tokio::time::timeout(SOON, call(&line, HEALTH, None)).await.unwrap();
    assert_eq!(answer.code(), Code::Ok);

    // And the silent ones are let go, a little after the five seconds that a handshake may take
    for socket in &mut silent {
        let closed = tokio::time::timeout(Duration::from_secs(20), is_closed(socket)).await;
        assert!(closed.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_tls_1_3_is_spoken() {
    let house = Guarded::start(Guards::default()).await;
    handshake(&house, &TLS13).await.unwrap();
    let refused = handshake(&house, &TLS12).await.unwrap_err().to_string();
    assert!(refused.contains("ProtocolVersion"), "{refused}");
    let mut plain = TcpStream::connect(house.addresses[&Noun::Flag]).await.unwrap();
    plain.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.ok(); // A reset is as good an end.
    assert!(!answer.starts_with(b"HTTP") && answer.len() < 16, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_not_ours_vouches_for_nobody() {
    let house = Guarded::start(Guards::default()).await;
    let other = Certificates::new();
    other.make("rollout", &["localhost"], &[&format!("{SPIFFE}rollout")]);

    // A caller does not trust a service of another authority
    let authority = Some(other.file("ca.pem"));
    let trusting = Credentials::read(&Files { authority, ..Files::default() }).unwrap();
    let endpoint = trusting.endpoint(&house.address(Noun::Flag)).unwrap();
    assert!(endpoint.connect().await.is_err());

    // And a service does not let one of another authority in
    let files = Files {
        authority: Some(house.certificates.file("ca.pem")),
        certificate: Some(other.file("rollout.pem")),
        key: Some(other.file("rollout.key")),
        token: None,
    };
    let showing = Credentials::read(&files).unwrap();
    let endpoint = showing.endpoint(&house.address(Noun::Flag)).unwrap();
    let mut health = match endpoint.connect().await {
        Err(_refused) => return,
        // In TLS 1.3 a caller is done before the service has seen its certificate.
        Ok(channel) => tonic_health::pb::health_client::HealthClient::new(channel),
    };
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    assert!(health.check(request).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_ours_that_names_no_service_or_two_is_nobodys() {
    let house = Guarded::start(Guards::default()).await;
    let made = &house.certificates;
    let svc = |noun: &str| format!("{SPIFFE}{noun}");
    made.make("two", &[], &[&svc("rollout"), &svc("flag")]);
    made.make("unheard", &[], &[&svc("billing")]);
    made.make("foreign", &[], &["spiffe://elsewhere/svc/rollout"]);
    made.make("deeper", &[], &[&svc("rollout/x")]);
    for file in ["client", "two", "unheard", "foreign", "deeper"] {
        let line = channel(&house, Noun::Flag, &house.credentials(Some(file), None));
        let status = call(&line, LIST, None).await.status.unwrap();
        assert_eq!(status.code(), Code::Unauthenticated, "{file}: {status:?}");
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "CERTIFICATE_UNKNOWN", "{file}");
    }
}
