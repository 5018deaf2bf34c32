//! Every shape of Redis is reached by its URL, and the wrong URL is refused with the right one.

use std::path::Path;

use store::{Durability, TlsFiles};
use test_kit::{Certificates, Cluster, RedisServer, Sentinels, eventually};

use crate::{add, calls, fill, named, open, reader, said, stream, try_open};

const SECRET: &str = "p%40ss%3Aw%2Frd"; // p@ss:w/rd.

fn trusting(certificates: &Certificates) -> TlsFiles {
    TlsFiles { authority: Some(certificates.file("ca.pem")), ..TlsFiles::default() }
}

/// The user of `docs/durability.md`, and no other.
async fn with_user(server: &RedisServer) {
    let mut user = vec!["ACL", "SETUSER", "softlaunch", "on", ">p@ss:w/rd", "~{softlaunch:*"];
    user.extend(["+@read", "+@write", "+@scripting", "+@connection", "-@dangerous"]);
    user.extend(["+info", "+config|get", "+role", "+wait", "+cluster|slots"]);
    server.command(&user).await;
    server.command(&["ACL", "SETUSER", "default", "off"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_goes_by_a_private_authority_and_a_user_needs_no_more_than_is_documented() {
    let certificates = Certificates::new();
    let (server, port) = RedisServer::start_tls(&certificates, &["--tls-auth-clients", "no"]).await;
    with_user(&server).await;
    let url = format!("rediss://softlaunch:{SECRET}@localhost:{port}");
    let tls = trusting(&certificates);
    let store = try_open(&url, Durability::PowerLoss, tls.clone()).await.unwrap();
    fill(&*store.journal, 3).await;
    let reader = reader(&store).await;
    add(&*store.journal, &stream(), "later").await.unwrap();
    eventually("a blocking read works too", async || reader.snapshot().version == 4).await;
    let lease = store.leases.acquire("loop", "me", std::time::Duration::from_secs(9)).await;
    assert!(lease.unwrap().is_some());

    let wrong = url.replace("p%40", "x");
    let refused = try_open(&wrong, Durability::PowerLoss, tls).await.unwrap_err().to_string();
    assert!(refused.starts_with("store settings"), "{refused}");
    assert!(!refused.contains("w/rd") && !refused.contains("w%2Frd"), "{refused}");
    let untrusting = TlsFiles::default();
    let refused = try_open(&url, Durability::PowerLoss, untrusting).await.unwrap_err().to_string();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let certificates = Certificates::new();
    let (_server, port) = RedisServer::start_tls(&certificates, &[]).await;
    let url = format!("rediss://127.0.0.1:{port}");
    let tls = trusting(&certificates);
    try_open(&url, Durability::PowerLoss, tls.clone()).await.unwrap_err();
    let certificate = Some(certificates.file("client.pem"));
    let half = TlsFiles { certificate: certificate.clone(), ..tls.clone() };
    let refused = try_open(&url, Durability::PowerLoss, half).await.unwrap_err().to_string();
    assert!(refused.contains("expected both files or none"), "{refused}");
    let key = Some(certificates.file("client.key"));
    let store =
        try_open(&url, Durability::PowerLoss, TlsFiles { certificate, key, ..tls }).await.unwrap();
    fill(&*store.journal, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_a_cluster_is_reached_over_tls() {
    let certificates = Certificates::new();
    let cluster = Cluster::start_tls(3, &certificates).await;
    let tls = trusting(&certificates);
    let store = try_open(&cluster.tls_url(), Durability::PowerLoss, tls).await.unwrap();
    for index in 0..20 {
        add(&*store.journal, &named(&format!("s-{index}")), "x").await.unwrap();
    }
    for node in &cluster.primaries {
        assert!(calls(node, "eval").await > 0, "a node was not asked");
        node.command(&["CONFIG", "SET", "port", "0"]).await; // Nobody can have come another way.
    }
    let reader = reader(&store).await;
    fill(&*store.journal, 3).await;
    eventually("a blocking read works too", async || reader.snapshot().version == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_and_the_primary_they_name_are_reached_over_tls() {
    let certificates = Certificates::new();
    let group = Sentinels::start_tls(&certificates).await;
    group.primary.command(&["CONFIG", "SET", "port", "0"]).await; // There is no other way.
    let tls = trusting(&certificates);
    let store = try_open(&group.tls_url(), Durability::PowerLoss, tls).await.unwrap();
    fill(&*store.journal, 3).await;
    assert_eq!(said(&*store.journal, &stream()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_files_that_cannot_be_used_are_named() {
    let nowhere = Some("/nowhere/ca.pem".into());
    let missing = TlsFiles { authority: nowhere, ..TlsFiles::default() };
    for (url, right) in [("rediss://127.0.0.1:1", "/nowhere/ca.pem"), ("redis://h", "rediss")] {
        let refused = try_open(url, Durability::PowerLoss, missing.clone()).await.unwrap_err();
        assert!(refused.to_string().contains(right), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_is_found_by_sentinels_that_want_a_password_of_their_own() {
    let group = Sentinels::start(Path::new("redis-server"), 1, &[]).await;
    for sentinel in &group.sentinels {
        sentinel.command(&["ACL", "SETUSER", "default", "resetpass", ">quorum"]).await;
    }
    let url = group.url();
    let refused = try_open(&url, Durability::Copies(1), TlsFiles::default()).await.unwrap_err();
    assert!(refused.to_string().starts_with("store settings"), "{refused}");
    let url = format!("{url}?sentinel_password=quorum");
    let store = open(&url, Durability::Copies(1)).await;
    fill(&*store.journal, 3).await;
    let reader = reader(&store).await;
    add(&*store.journal, &stream(), "later").await.unwrap();
    eventually("a blocking read works too", async || reader.snapshot().version == 4).await;

    let refused = try_open(&url, Durability::PowerLoss, TlsFiles::default()).await.unwrap_err();
    assert!(refused.to_string().contains("store.durability = \"1-copies\""), "{refused}");
    let unknown = url.replace("/softlaunch", "/nobody");
    let refused = try_open(&unknown, Durability::Copies(1), TlsFiles::default()).await.unwrap_err();
    assert!(refused.to_string().contains("knows no primary nobody"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_url_is_refused_with_the_right_one() {
    let cluster = Cluster::start(3, 0, &[]).await;
    let group = Sentinels::start(Path::new("redis-server"), 1, &[]).await;
    let host = |server: &RedisServer| format!("127.0.0.1:{}", server.port());
    let node = host(&cluster.primaries[1]);
    let (primary, sentinel) = (host(&group.primary), host(&group.sentinels[0]));
    let replica = host(&group.replicas[0]);
    for (wrong, right) in [
        (format!("redis://{node}"), format!("redis+cluster://{node}")),
        (format!("redis://{sentinel}"), format!("redis+sentinel://{sentinel}/")),
        (format!("redis://{replica}"), format!("redis://{primary}")),
        (format!("redis+cluster://{primary}"), format!("redis://{primary}")),
        (format!("redis+sentinel://{primary}/softlaunch"), "is no sentinel".to_owned()),
    ] {
        let opened = try_open(&wrong, Durability::ProcessCrash, TlsFiles::default()).await;
        let refused = opened.unwrap_err().to_string();
        assert!(refused.starts_with("store settings: ") && refused.contains(&right), "{refused}");
    }
    let store = open(&format!("redis+cluster://{node}"), Durability::PowerLoss).await;
    fill(&*store.journal, 2).await; // One node is enough to find the others.
    assert_eq!(said(&*store.journal, &stream()).await, ["0", "1"]);
}
