//! A rolling restart: of every service a new process takes over, then the old one is asked to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use client::{Admission, Client, Context, Ending, FlagOptions, Options, Outcome, Path as Route};
use contracts::flag as flag_pb;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::gate as gate_pb;
use contracts::gate::gate_service_client::GateServiceClient;
use service_kit::clock::real_now;
use service_kit::wire::wire_time;
use test_kit::{Proxy, RedisServer, eventually};
use tokio::task::JoinSet;
use vocab::{UploadId, WorkspaceId};

use crate::processes::{Running, service};

const FLAG: &str = "ingestion_v2_enabled";
const ROLLOUT: &str = "rollouts/ingestion-v2";
const WORKSPACE: &str = "canary-ws-1";
const WORKERS: usize = 4;

/// A service behind an address that stays, whatever process is behind it.
struct Place {
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    way: Proxy,
    process: Running,
}

impl Place {
    async fn start(name: &'static str, settings: Vec<(&'static str, String)>) -> Self {
        let (process, address) = service(name, &settings, None);
        Self { name, way: Proxy::start(port(&address)).await, settings, process }
    }

    fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.way.port())
    }

    /// The next process takes over before the old one is asked to end; returns whether that ended
    /// by itself.
    async fn roll(&mut self) -> bool {
        let (next, address) = service(self.name, &self.settings, None);
        self.way.turn_to(port(&address));
        let mut old = std::mem::replace(&mut self.process, next);
        tokio::task::spawn_blocking(move || old.terminate()).await.expect("waiting does not panic")
    }
}

fn port(address: &str) -> u16 {
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    port.expect("an address ends with a port")
}

/// The flag of the rollout, on for one workspace; and a phase, so that outcomes are counted.
async fn prepare(flag: &str, gate: &str) {
    let mut flags = FlagServiceClient::connect(flag.to_owned()).await.expect("it is up");
    let definition = flag_pb::FlagDefinition {
        enabled: true,
        allowlist: vec![WORKSPACE.to_owned()],
        ..flag_pb::FlagDefinition::default()
    };
    let flag = flag_pb::Flag {
        pipeline: "ingestion_v2".to_owned(),
        definition: Some(definition),
        ..flag_pb::Flag::default()
    };
    let request = flag_pb::CreateFlagRequest {
        flag_id: FLAG.to_owned(),
        flag: Some(flag),
        reason: "for a test".to_owned(),
        ..flag_pb::CreateFlagRequest::default()
    };
    flags.create_flag(request).await.expect("a flag is created");
    let mut gates = GateServiceClient::connect(gate.to_owned()).await.expect("it is up");
    let request = gate_pb::ApplyGatePlanRequest {
        rollout: ROLLOUT.to_owned(),
        plan_source: plan::SHIPPED.as_bytes().to_vec(),
        generation: 1,
        phase_id: "P1".to_owned(),
        phase_generation: 1,
        start_time: Some(wire_time(real_now())),
        ..Default::default()
    };
    gates.apply_gate_plan(request).await.expect("a phase is applied");
}

async fn counted(gate: &str) -> Option<u64> {
    let mut gates = GateServiceClient::connect(gate.to_owned()).await.ok()?;
    let request = gate_pb::ListMetricsRequest { parent: ROLLOUT.to_owned(), ..Default::default() };
    let metrics = gates.list_metrics(request).await.ok()?.into_inner().metrics;
    let of_uploads =
        metrics.iter().filter(|one| one.metric == "uploads_processed" && one.label.is_empty());
    of_uploads.filter_map(|one| u64::try_from(one.amount?).ok()).max()
}

/// Asks for uploads and reports them until told to stop. Returns what went wrong.
async fn work(
    client: Client,
    flags: Arc<client::FlagWatch>,
    worker: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let workspace: WorkspaceId = WORKSPACE.parse().expect("a workspace id");
    let context = Context::new(workspace.clone());
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let upload: UploadId = format!("u-{worker}-{number}").parse().expect("an upload id");
        let details = flags.boolean(FLAG, false, &context).await;
        if details.error.is_some() || !details.value {
            wrong.push(format!("{upload}: evaluated as {details:?}"));
        }
        let admission = client.admit(&workspace, &upload, 1_024).await;
        if admission != Admission::Admit {
            wrong.push(format!("{upload}: {admission:?}"));
        }
        let outcome = Outcome {
            upload,
            workspace: workspace.clone(),
            ending: Ending::Succeeded,
            path: Route::New,
            latency: Duration::from_millis(20),
            platform: "meta".to_owned(),
        };
        match client.reporter().outcome(outcome).await {
            Ok(()) => _ = done.fetch_add(1, Ordering::Relaxed),
            Err(why) => wrong.push(why.to_string()),
        }
    }
    if let Err(why) = client.reporter().flush().await {
        wrong.push(why.to_string());
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_under_load_fails_no_worker_and_loses_no_outcome() {
    // Given workers on three services over Redis
    let redis = RedisServer::start().await;
    let store = ("SOFTLAUNCH__STORE__LOCATION", redis.url());
    let mut kills = Place::start("killswitch-service", vec![store.clone()]).await;
    let on = ("SOFTLAUNCH__PEERS__KILLSWITCH", kills.address());
    let mut flag = Place::start("flag-service", vec![store.clone(), on.clone()]).await;
    let mut gate = Place::start("gate-service", vec![store, on]).await;
    prepare(&flag.address(), &gate.address()).await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let client = Client::start(Options {
            flag_address: flag.address(),
            gate_address: gate.address(),
            killswitch_address: kills.address(),
            ..Options::new("ingestion_v2", FLAG)
        })
        .expect("the addresses are well-formed");
        let flags = client.watch_flags(FlagOptions::default()).expect("and so is this one");
        client.kills().first_word().await;
        flags.first_word().await;
        workers.spawn(work(client, flags, worker, Arc::clone(&stop), Arc::clone(&done)));
    }
    let at_work = async |beyond: u64| {
        eventually("the workers go on", async || done.load(Ordering::Relaxed) > beyond).await;
        done.load(Ordering::Relaxed)
    };

    // When each of the services is replaced while they work
    let mut reported = at_work(40).await;
    for place in [&mut flag, &mut gate, &mut kills] {
        assert!(place.roll().await, "{} did not end by itself", place.name);
        reported = at_work(reported + 40).await;
    }
    stop.store(true, Ordering::Relaxed);

    // Then nobody noticed, and everything that was reported is counted
    let wrong: Vec<_> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(wrong, Vec::<String>::new(), "of {} uploads", done.load(Ordering::Relaxed));
    let all = done.load(Ordering::Relaxed);
    eventually("every outcome is counted", async || {
        (counted(&gate.address()).await == Some(all)).then_some(())
    })
    .await;
}
