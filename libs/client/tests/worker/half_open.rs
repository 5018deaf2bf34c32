//! A connection that swallows what is sent and tells nobody is noticed, whichever way it swallows.

use std::time::Duration;

use client::{Client, Options};
use contracts::killswitch::policy::OnStale;
use contracts::killswitch::scope::Kind;
use test_kit::{Proxy, eventually};

use crate::kill_fake::{engaged, scope};
use crate::leasing::policy;
use crate::platform::{PATIENT, Platform, deferred};

const HEARTBEAT: Duration = Duration::from_millis(300);
const LEASE: Duration = Duration::from_secs(2);

/// A worker behind a network that fails on demand; it trusts silence for longer than a test takes,
/// unless the service says otherwise.
async fn behind(platform: &Platform, proxy: &Proxy) -> Client {
    let killswitch_address = format!("http://127.0.0.1:{}", proxy.port());
    let options = Options { killswitch_address, ..platform.options(PATIENT) };
    let worker = Client::start(options).expect("the options are right");
    worker.kills().first_word().await;
    eventually("it admits", async || !deferred(&worker, "ws-1").await).await;
    worker
}

/// A service that gives such leases, a network, and a worker behind it that admits.
async fn started(lease: Duration) -> (Platform, Proxy, Client) {
    let platform = Platform::start().await;
    platform.kills.lease(policy(OnStale::FailClosed, lease));
    platform.kills.say(0, Vec::new());
    platform.kills.beat(HEARTBEAT);
    let proxy = Proxy::start(platform.address.port()).await;
    let worker = behind(&platform, &proxy).await;
    (platform, proxy, worker)
}

/// Swallows as `fault` says; the worker has to come back by itself, over another connection, and
/// to hear then what it missed.
async fn comes_back_after(fault: impl FnOnce(&Proxy), lease: Duration) {
    let (platform, proxy, worker) = started(lease).await;
    let (hellos, connections) =
        (platform.kills.hellos().len(), platform.kills.talk().connections.len());
    fault(&proxy);
    platform.kills.say(1, vec![engaged(1, Some(scope(Kind::Global)))]);
    eventually("its lease is over", async || worker.kills().is_stale()).await;
    assert!(deferred(&worker, "ws-1").await);
    assert_eq!(platform.kills.hellos().len(), hellos, "nothing came through");
    proxy.heal();
    eventually("it comes back over another connection", async || {
        let talk = platform.kills.talk();
        talk.hellos.len() > hellos && talk.connections.len() > connections
    })
    .await;
    platform.acknowledged(1).await;
    assert!(deferred(&worker, "ws-1").await);
    platform.kills.say(2, Vec::new());
    eventually("it admits again", async || !deferred(&worker, "ws-1").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_both_ways_is_noticed() {
    comes_back_after(Proxy::black_hole, LEASE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_of_the_service_is_noticed_while_it_hears_the_worker() {
    let (platform, proxy, worker) = started(LEASE).await;
    let connections = platform.kills.talk().connections.len();
    proxy.swallow_answers();
    platform.kills.say(1, vec![engaged(1, Some(scope(Kind::Global)))]);
    eventually("it comes back over another connection", async || {
        platform.kills.talk().connections.len() > connections
    })
    .await;
    assert!(!platform.kills.acknowledged().contains(&1), "no answer came through");
    eventually("its lease is over", async || deferred(&worker, "ws-1").await).await;
    proxy.heal();
    platform.acknowledged(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_does_not_hear_the_worker_is_noticed_while_its_heartbeats_arrive() {
    let (platform, proxy, worker) = started(LEASE).await;
    let (connections, forwarded) = (platform.kills.talk().connections.len(), proxy.forwarded());
    proxy.swallow_requests();
    eventually("its lease is over", async || deferred(&worker, "ws-1").await).await;
    assert!(proxy.forwarded() > forwarded, "answers came through all the while");
    proxy.heal();
    eventually("it comes back over another connection", async || {
        platform.kills.talk().connections.len() > connections
    })
    .await;
    eventually("it admits again", async || !deferred(&worker, "ws-1").await).await;
}
