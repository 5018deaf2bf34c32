//! Where a service listens, whom it waits for, and how many at a time.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use service_kit::bootstrap::listen;
use service_kit::clock::real_now;
use service_kit::entrance::Entrance;
use service_kit::settings::{IdentitySettings, ServerSettings};
use service_kit::shutdown;
use service_kit::status::StoreStatus;
use store::{Location, Store};
use test_kit::{Certificates, eventually};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

const PLACES: usize = 4;

fn open(address: &str) -> (ServerSettings, IdentitySettings) {
    let server = ServerSettings {
        listen_address: address.parse().expect("an address"),
        tls_cert_file: String::new(),
        tls_key_file: String::new(),
        tls_client_ca_file: String::new(),
        reflection: true,
        connections_max: PLACES,
        connections_per_address_max: 0,
        calls_max: 100,
    };
    (server, IdentitySettings::default())
}

fn guarded(address: &str, made: &Certificates) -> (ServerSettings, IdentitySettings) {
    let file = |name: &str| made.file(name).display().to_string();
    let tokens_file = file("tokens.toml");
    std::fs::write(&tokens_file, "").expect("the directory is writable");
    let (server, _) = open(address);
    let server = ServerSettings {
        tls_cert_file: file("server.pem"),
        tls_key_file: file("server.key"),
        tls_client_ca_file: file("ca.pem"),
        ..server
    };
    (server, IdentitySettings { tokens_file, ..IdentitySettings::default() })
}

#[tokio::test]
async fn an_open_service_listens_on_loopback_only_and_says_what_would_guard_it() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7101"] {
        let (server, identity) = open(address);
        let refused = listen(&server, &identity).await.unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "settings: server.listen_address {address} is not a loopback address: without \
                 TLS and authentication only 127.0.0.0/8 and ::1 are served; \
                 server.tls_cert_file, server.tls_key_file, server.tls_client_ca_file, \
                 identity.tokens_file are missing"
            )
        );
    }
    let (server, identity) = open("127.0.0.1:0");
    listen(&server, &identity).await.unwrap();
}

#[tokio::test]
async fn a_guarded_service_listens_anywhere_and_one_guarded_in_part_nowhere_else() {
    let made = Certificates::new();
    let (server, identity) = guarded("0.0.0.0:0", &made);
    listen(&server, &identity).await.unwrap();
    Entrance::open(&server, &identity).unwrap();

    // TLS alone, tokens alone, and TLS that asks services for nothing
    let nobody = IdentitySettings::default();
    let (plain, _) = open("0.0.0.0:0");
    let asking_nothing = ServerSettings { tls_client_ca_file: String::new(), ..server.clone() };
    for (server, identity, missing) in [
        (&server, &nobody, "identity.tokens_file is missing"),
        (&plain, &identity, "server.tls_cert_file, server.tls_key_file"),
        (&asking_nothing, &identity, "server.tls_client_ca_file is missing"),
    ] {
        let refused = listen(server, identity).await.unwrap_err().to_string();
        assert!(refused.contains(missing), "{refused}");
        let refused = Entrance::open(server, identity).unwrap_err().to_string();
        assert!(refused.contains("as a whole or not at all"), "{refused}");
        assert!(refused.contains(missing), "{refused}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_at_start_by_name() {
    let made = Certificates::new();
    let (server, identity) = guarded("127.0.0.1:0", &made);
    let refused = |server: &ServerSettings, identity: &IdentitySettings, says: &str| {
        let why = Entrance::open(server, identity).unwrap_err().to_string();
        assert!(why.contains(says), "{why}");
    };
    let other_key = made.file("client.key").display().to_string();
    refused(&ServerSettings { tls_key_file: other_key, ..server.clone() }, &identity, "server.pem");
    let key = server.tls_key_file.clone();
    refused(&ServerSettings { tls_cert_file: key, ..server.clone() }, &identity, "server.key");
    let nowhere = made.file("nowhere.pem").display().to_string();
    refused(
        &ServerSettings { tls_client_ca_file: nowhere, ..server.clone() },
        &identity,
        "nowhere.pem",
    );
    let writable = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(&identity.tokens_file, writable).unwrap();
    refused(&server, &identity, "can be written by every user");
    let own = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&identity.tokens_file, own).unwrap();
    std::fs::write(&identity.tokens_file, "[[token]]").unwrap();
    refused(&server, &identity, "tokens.toml");
    std::fs::remove_file(&identity.tokens_file).unwrap();
    refused(&server, &identity, "tokens.toml");
}

/// Ends when the other side closes the connection.
async fn until_closed(mut socket: TcpStream) {
    let mut bytes = [0; 64];
    while matches!(socket.read(&mut bytes).await, Ok(1..)) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_closed_at_once_and_a_free_place_is_given() {
    // Given a server with four places
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Embedded(dir.path().to_owned());
    let store = Store::open(&location, Arc::new(real_now)).await.unwrap();
    let (_trigger, end) = shutdown::channel();
    let (server, identity) = open("127.0.0.1:0");
    let listener = listen(&server, &identity).await.unwrap();
    let address = listener.local_addr().unwrap();
    let entrance = Entrance::open(&server, &identity).unwrap();
    let status = StoreStatus::new(&store, end.clone());
    let router = entrance.router(entrance.server(), contracts::DESCRIPTORS, &[], status);
    let router = router.await.unwrap();
    tokio::spawn(async move { entrance.serve(router, listener, end).await });

    // When ten connect, then six are closed, and four stay
    let mut sockets = JoinSet::new();
    for _one in 0..PLACES + 6 {
        sockets.spawn(until_closed(TcpStream::connect(address).await.unwrap()));
    }
    for _one in 0..6 {
        sockets.join_next().await.unwrap().unwrap();
    }
    assert!(sockets.try_join_next().is_none() && sockets.len() == PLACES);

    // When they leave, then others come in
    sockets.shutdown().await;
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    eventually("a place is free", async || {
        let Ok(channel) = endpoint.connect().await else { return false };
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
        let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
        health.check(request).await.is_ok()
    })
    .await;
}
