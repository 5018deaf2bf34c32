//! Replicas of the gate service over one store, in a directory of their own.

use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::signal::Kind;
use contracts::gate::signal_service_client::SignalServiceClient;
use contracts::gate::upload_outcome::{Path, Result as Ending};
use gate_service::{Settings, serve};
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, Demo, real_now};
use service_kit::identity::claim;
use service_kit::shutdown;
use service_kit::wire::wire_time;
use store::{Location, Store};
use tempfile::TempDir;
use test_kit::eventually;
use tokio::net::TcpListener;
use tonic::transport::Channel;
use tonic::{Request, Streaming};
use vocab::{Role, Timestamp};

pub(crate) const ROLLOUT: &str = "rollouts/ingestion-v2";
pub(crate) const PIPELINE: &str = "ingestion_v2";

/// One store, and a service on it.
pub(crate) struct Site {
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) gates: GateServiceClient<Channel>,
    pub(crate) signals: SignalServiceClient<Channel>,
    trigger: shutdown::Trigger,
    _directory: TempDir,
}

/// A further replica; it ends when it is dropped.
pub(crate) struct Replica {
    pub(crate) gates: GateServiceClient<Channel>,
    pub(crate) signals: SignalServiceClient<Channel>,
    trigger: shutdown::Trigger,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.trigger.shut_down();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.trigger.shut_down();
    }
}

/// The shipped plan, evaluated without delay, with these changes.
pub(crate) fn plan(changes: &[(&str, &str)]) -> String {
    let quick = ("evaluate_every: 15s", "evaluate_every: 1s");
    let mut plan = plan::SHIPPED.to_owned();
    for (from, to) in std::iter::once(&quick).chain(changes) {
        assert!(plan.contains(from), "the shipped plan has no {from:?}");
        plan = plan.replacen(from, to, 1);
    }
    plan
}

/// A message as `name` sends it, holding a role.
pub(crate) fn ask<T>(name: &str, role: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let role = Role::new(role).expect("a role is well-formed");
    claim(request.metadata_mut(), name, &[role]).expect("a name is well-formed");
    request
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::on(Clock::system(), |_| {}).await
    }

    /// A clock that runs `factor` times as fast from now on.
    pub(crate) async fn hurried(factor: u32) -> Self {
        let clock = Clock::new(Some(Demo { origin: real_now(), factor }));
        Self::on(clock, |settings| settings.signals.gauge_stale_after = "365d".to_owned()).await
    }

    pub(crate) async fn on(clock: Clock, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let location = Location::Embedded(directory.path().to_owned());
        let store = Store::open(&location, Arc::new(real_now)).await.expect("the store opens");
        let mut settings: Settings =
            service_kit::settings::defaults(Settings::DEFAULTS).expect("the defaults are valid");
        settings.peers.killswitch = "http://127.0.0.1:9".to_owned(); // Nobody: there are no drills.
        settings.peers.comms = "http://127.0.0.1:9".to_owned();
        change(&mut settings);
        let (channel, trigger) = start(&settings, &store, &clock).await;
        Self {
            gates: GateServiceClient::new(channel.clone()),
            signals: SignalServiceClient::new(channel),
            clock,
            settings,
            store,
            trigger,
            _directory: directory,
        }
    }

    pub(crate) async fn another(&self) -> Replica {
        let (channel, trigger) = start(&self.settings, &self.store, &self.clock).await;
        let gates = GateServiceClient::new(channel.clone());
        Replica { gates, signals: SignalServiceClient::new(channel), trigger }
    }

    /// Enters a phase, as the conductor does.
    pub(crate) async fn enter(&self, phase: &str, generation: i64, share: i32, plan: &str) {
        let request = pb::ApplyGatePlanRequest {
            rollout: ROLLOUT.to_owned(),
            plan_source: plan.as_bytes().to_vec(),
            generation,
            phase_id: phase.to_owned(),
            start_time: Some(wire_time(self.clock.now())),
            phase_generation: generation,
            percentage_basis_points: share,
            ..Default::default()
        };
        self.gates.clone().apply_gate_plan(request).await.expect("the phase is applied");
    }

    pub(crate) async fn metrics(&self) -> Vec<pb::MetricValue> {
        let request = pb::ListMetricsRequest {
            parent: ROLLOUT.to_owned(),
            by_platform: true,
            workspace_count: 100,
        };
        let metrics = self.gates.clone().list_metrics(request).await;
        metrics.expect("metrics are listed").into_inner().metrics
    }

    /// The verdict on one criterion of a gate.
    pub(crate) async fn judged(&self, gate: &str, criterion: &str) -> pb::CriterionResult {
        let report = self.report(gate, true).await;
        let found = report.criteria.into_iter().find(|one| one.criterion_id == criterion);
        found.expect("the gate has the criterion")
    }

    pub(crate) async fn report(&self, gate: &str, validate_only: bool) -> pb::GateReport {
        let name = format!("{ROLLOUT}/gates/{gate}");
        let request = pb::EvaluateGateRequest { name, validate_only };
        self.gates.clone().evaluate_gate(request).await.expect("the gate is judged").into_inner()
    }

    pub(crate) async fn send(&self, batch: &str, kinds: Vec<Kind>) {
        let at = self.clock.now();
        let taken = self.signals.clone().report_signals(signals(batch, at, kinds)).await;
        taken.expect("the signals are taken");
    }

    pub(crate) async fn uploads(&self, batch: &str, succeeded: usize, failed: usize) {
        let at = self.clock.now();
        let ended = |ending, count| std::iter::repeat_n(ending, count);
        let endings = ended(Ending::Succeeded, succeeded).chain(ended(Ending::Failed, failed));
        let all =
            endings.enumerate().map(|(n, ending)| outcome(&format!("{batch}-{n}"), at, ending));
        for (part, some) in all.collect::<Vec<_>>().chunks(1_000).enumerate() {
            let report = outcomes(&format!("{batch}-{part}"), some.to_vec());
            self.signals.clone().report_outcomes(report).await.expect("the outcomes are counted");
        }
    }

    /// What changed of triggers, from a cursor on.
    pub(crate) async fn watch(&self, after_revision: i64) -> Streaming<pb::WatchTriggersResponse> {
        let request = pb::WatchTriggersRequest { after_revision };
        let watched = self.gates.clone().watch_triggers(request).await;
        watched.expect("triggers are watched").into_inner()
    }

    pub(crate) async fn triggers(&self) -> Vec<pb::Trigger> {
        let request = pb::ListTriggersRequest { parent: ROLLOUT.to_owned(), kind: 0 };
        let listed = self.gates.clone().list_triggers(request).await;
        listed.expect("triggers are listed").into_inner().triggers
    }
}

async fn start(settings: &Settings, store: &Store, clock: &Clock) -> (Channel, shutdown::Trigger) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a bound listener is somewhere");
    let (trigger, ended) = shutdown::channel();
    let on = Dependencies { store: store.clone(), clock: clock.clone() };
    tokio::spawn(serve(settings.clone(), on, listener, ended));
    let endpoint = Channel::from_shared(format!("http://{address}")).expect("an address is a URI");
    let channel = eventually("the service answers", async || endpoint.connect().await.ok()).await;
    (channel, trigger)
}

/// The next event that satisfies `wanted`; the others are passed over.
pub(crate) async fn next(
    events: &mut Streaming<pb::WatchTriggersResponse>,
    wanted: impl Fn(&pb::TriggerEvent) -> bool,
) -> (i64, pb::TriggerEvent) {
    let found = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let response = events.message().await.expect("the stream holds").expect("and goes on");
            let event = response.event.expect("it tells an event");
            if wanted(&event) {
                return (response.revision, event);
            }
        }
    });
    found.await.expect("the event comes")
}

pub(crate) fn outcome(upload: &str, at: Timestamp, ending: Ending) -> pb::UploadOutcome {
    pb::UploadOutcome {
        upload_id: upload.to_owned(),
        workspace_id: "ws-1".to_owned(),
        result: ending.into(),
        path: Path::New.into(),
        occur_time: Some(wire_time(at)),
        latency_duration: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        platform: "meta".to_owned(),
    }
}

pub(crate) fn outcomes(batch: &str, outcomes: Vec<pb::UploadOutcome>) -> pb::ReportOutcomesRequest {
    let (pipeline, batch_id) = (PIPELINE.to_owned(), batch.to_owned());
    pb::ReportOutcomesRequest { pipeline, batch_id, outcomes }
}

pub(crate) fn signals(batch: &str, at: Timestamp, kinds: Vec<Kind>) -> pb::ReportSignalsRequest {
    let (pipeline, batch_id) = (PIPELINE.to_owned(), batch.to_owned());
    let signal = |kind| pb::Signal { occur_time: Some(wire_time(at)), kind: Some(kind) };
    pb::ReportSignalsRequest {
        pipeline,
        batch_id,
        signals: kinds.into_iter().map(signal).collect(),
    }
}

pub(crate) fn gauge(metric: &str, amount: i64) -> Kind {
    Kind::Gauge(pb::Gauge { metric: metric.to_owned(), label: String::new(), amount })
}

pub(crate) fn incident(id: &str, kind: pb::incident::Kind, state: pb::incident::State) -> Kind {
    Kind::Incident(pb::Incident {
        incident_id: id.to_owned(),
        kind: kind.into(),
        state: state.into(),
        title: "uploads vanish".to_owned(),
        client_facing: true,
    })
}
