//! A worker and the kill-switch service, and what the network or a lost store does between them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use client::{Client, Options};
use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::scope::Kind;
use killswitch_core::Target;
use killswitch_service::Settings;
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::{settings, shutdown};
use softlaunch_tests::{Person, ask};
use store::{Location, Store};
use tempfile::TempDir;
use test_kit::{Proxy, eventually};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use vocab::{PipelineId, WorkspaceId};

const PIPELINE: &str = "ingestion_v2";
const BOB: Person = Person { name: "bob", roles: &["sre_lead"] };
const POLLS_MIN: usize = 20; // Fewer would not have seen the lease run out.

/// The kill-switch service over an embedded store, with short leases.
struct Service {
    address: SocketAddr,
    trigger: shutdown::Trigger,
    serving: JoinHandle<()>,
}

impl Service {
    async fn start(store: &Path, address: SocketAddr) -> Self {
        let mut settings: Settings =
            settings::defaults(Settings::DEFAULTS).expect("the documented defaults are valid");
        settings.watch.heartbeat = "300ms".to_owned();
        settings.policy.lease = "3s".to_owned();
        settings.release.ramp = "0s".to_owned();
        let location = Location::Embedded(store.to_owned());
        let opened = Store::open(&location, Arc::new(real_now)).await;
        let store = opened.expect("the store opens");
        let bound = async || TcpListener::bind(address).await.ok();
        let listener = eventually("the port is free", bound).await;
        let address = listener.local_addr().expect("a bound listener has an address");
        let (trigger, end) = shutdown::channel();
        let dependencies = Dependencies { store, clock: Clock::system() };
        let serving = tokio::spawn(async move {
            let served = killswitch_service::serve(settings, dependencies, listener, end).await;
            served.expect("the service serves");
        });
        Self { address, trigger, serving }
    }

    async fn anywhere(store: &Path) -> Self {
        Self::start(store, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    async fn stop(self) {
        self.trigger.shut_down();
        self.serving.await.expect("the service ends");
    }

    async fn client(&self) -> KillSwitchServiceClient<Channel> {
        let connected = KillSwitchServiceClient::connect(format!("http://{}", self.address)).await;
        connected.expect("the service listens")
    }

    async fn engage(&self) -> i64 {
        let reason = "the numbers are wrong".to_owned();
        let request = pb::EngageKillSwitchRequest { scope: Some(scope()), reason };
        let answer = self.client().await.engage_kill_switch(ask(BOB, request)).await;
        answer.expect("engaging always works").into_inner().epoch
    }

    async fn propagation(&self, epoch: i64) -> pb::Propagation {
        let request = pb::GetPropagationRequest { epoch };
        let answer = self.client().await.get_propagation(ask(BOB, request)).await;
        answer.expect("the service answers").into_inner()
    }
}

fn scope() -> pb::Scope {
    let kind = Kind::Pipeline.into();
    pb::Scope { kind, pipeline: PIPELINE.to_owned(), ..pb::Scope::default() }
}

/// A worker that speaks to the service through `port`.
fn worker(port: u16, state: Option<&TempDir>) -> Client {
    let options = Options {
        worker_id: "worker-1".to_owned(),
        killswitch_address: format!("http://127.0.0.1:{port}"),
        state_file: state.map(|dir| dir.path().join("worker-1.state")),
        ..Options::new(PIPELINE, "ingestion_v2_enabled")
    };
    Client::start(options).expect("the options are right")
}

fn is_killed(worker: &Client) -> bool {
    let pipeline = PipelineId::new(PIPELINE).expect("a pipeline");
    let workspace = WorkspaceId::new("ws-1").expect("a workspace");
    let target = Target { pipeline: &pipeline, phase: None, workspace: &workspace };
    worker.kills().is_killed(target)
}

/// Once the service says that nobody works on a permission from before, nobody does, though the
/// worker has not heard of the kill.
async fn proven_means_stopped(fault: impl FnOnce(&Proxy)) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let service = Service::anywhere(dir.path()).await;
    let proxy = Proxy::start(service.address.port()).await;
    let worker = worker(proxy.port(), None);
    worker.kills().first_word().await;
    eventually("it works", async || !is_killed(&worker)).await;
    fault(&proxy);
    let epoch = service.engage().await;
    let (mut polls, mut worked) = (0, 0);
    eventually("it is proven", async || {
        let told = service.propagation(epoch).await;
        polls += 1;
        worked += usize::from(!is_killed(&worker));
        assert!(!told.proven || is_killed(&worker), "proven, and the worker works");
        told.proven
    })
    .await;
    assert!(polls >= POLLS_MIN && worked > 0, "no fault: worked in {worked} of {polls}");
    proxy.heal();
    eventually("it has applied it", async || {
        let told = service.propagation(epoch).await;
        told.applied_count == 1 && told.pending.is_empty()
    })
    .await;
    assert_eq!(worker.kills().epoch(), u64::try_from(epoch).expect("an epoch"));
    assert!(is_killed(&worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cut_off_both_ways_has_stopped_when_that_is_proven() {
    proven_means_stopped(Proxy::black_hole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hears_nothing_has_stopped_when_that_is_proven() {
    proven_means_stopped(Proxy::swallow_answers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_lost_its_store_learns_the_kill_from_a_worker_that_was_restarted() {
    let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let service = Service::anywhere(&dir.path().join("first")).await;
    let address = service.address;
    let first = worker(address.port(), Some(&state));
    first.kills().first_word().await;
    let epoch = service.engage().await;
    eventually("it is applied and kept", async || {
        service.propagation(epoch).await.applied_count == 1
    })
    .await;
    service.stop().await;
    let again = worker(address.port(), Some(&state)); // The first cannot know more.
    assert!(is_killed(&again), "the control plane is away");
    let empty = Service::start(&dir.path().join("second"), address).await;
    let known = async || {
        let request = pb::GetKillSwitchRequest { scope: Some(scope()) };
        let answer = empty.client().await.get_kill_switch(ask(BOB, request)).await;
        let switch = answer.expect("the service answers").into_inner();
        assert!(is_killed(&again) && is_killed(&first), "nothing has been released");
        (switch.state() == pb::kill_switch::State::Engaged).then_some(switch)
    };
    let switch = eventually("the service knows", known).await;
    assert!(switch.epoch > epoch, "a new epoch, above all that was held: {}", switch.epoch);
    eventually("the worker holds it", async || {
        i64::try_from(again.kills().epoch()).is_ok_and(|held| held >= switch.epoch)
    })
    .await;
    assert!(is_killed(&again));
}
