//! A conductor over an embedded store, among fakes, on a clock that flies.

use std::path::Path;
use std::sync::Arc;

use contracts::rollout as pb;
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use rollout_service::{Settings, serve};
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, Demo, real_now};
use service_kit::identity::claim;
use service_kit::shutdown::{self, Trigger};
use store::{Location, Record, Store, StreamName};
use tempfile::TempDir;
use test_kit::eventually;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use vocab::Role;

use crate::fakes::Fakes;

pub(crate) const ROLLOUT: &str = "rollouts/r1";
pub(crate) const LINK: &str = "https://wiki.example.com/evidence";
/// A day is a hundredth of a second.
const FACTOR: u32 = 8_640_000;
const STEPS: [&str; 5] = [
    "activate-kill-switch",
    "notify-affected-clients",
    "capture-state",
    "incident-timeline",
    "roll-back-flag",
];

/// The conductor, running.
pub(crate) struct Conductor {
    pub(crate) client: RolloutServiceClient<Channel>,
    pub(crate) store: Store,
    trigger: Trigger,
    serving: JoinHandle<()>,
}

/// Where it runs, and what it talks to.
pub(crate) struct Site {
    pub(crate) fakes: Fakes,
    clock: Clock,
    dir: TempDir,
}

pub(crate) fn by<T>(person: &str, roles: &[&str], message: T) -> Request<T> {
    let mut request = Request::new(message);
    let roles: Vec<_> = roles.iter().map(|role| Role::new(role).unwrap()).collect();
    claim(request.metadata_mut(), person, &roles).unwrap();
    request
}

impl Site {
    pub(crate) async fn new() -> Self {
        let clock = Clock::new(Some(Demo { origin: real_now(), factor: FACTOR }));
        Self { fakes: Fakes::start().await, clock, dir: tempfile::tempdir().unwrap() }
    }

    /// Starts the conductor, with whatever the store has kept.
    pub(crate) async fn conductor(&self) -> Conductor {
        Conductor::over(self.dir.path(), &self.fakes, self.clock.clone()).await
    }
}

impl Conductor {
    async fn over(dir: &Path, fakes: &Fakes, clock: Clock) -> Self {
        let location = Location::Embedded(dir.to_owned());
        let store = eventually("the store to be free", async || {
            Store::open(&location, Arc::new(real_now)).await.ok()
        })
        .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS).unwrap();
        let peer = format!("http://{}", fakes.address);
        settings.peers.flag.clone_from(&peer);
        settings.peers.gate.clone_from(&peer);
        settings.peers.killswitch.clone_from(&peer);
        let (trigger, end) = shutdown::channel();
        let on = Dependencies { store: store.clone(), clock };
        let serving = tokio::spawn(async move {
            serve(settings, on, listener, end).await.unwrap();
        });
        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        let client = RolloutServiceClient::new(channel);
        eventually("the conductor to be up", async || {
            let request = pb::ListRolloutsRequest::default();
            client.clone().list_rollouts(request).await.is_ok()
        })
        .await;
        Self { client, store, trigger, serving }
    }

    /// Ends it, and lets go of the store.
    pub(crate) async fn end(self) {
        let Self { client, store, trigger, serving } = self;
        trigger.shut_down();
        drop((client, store));
        serving.await.unwrap();
    }

    pub(crate) async fn rollout(&self) -> pb::Rollout {
        let request = pb::GetRolloutRequest { name: ROLLOUT.to_owned() };
        self.client.clone().get_rollout(request).await.unwrap().into_inner()
    }

    /// Waits until the rollout is as `wanted`.
    pub(crate) async fn becomes(
        &self,
        what: &str,
        wanted: impl Fn(&pb::Rollout) -> bool,
    ) -> pb::Rollout {
        eventually(what, async || Some(self.rollout().await).filter(&wanted)).await
    }

    /// A rollout that has entered `phase`.
    pub(crate) async fn enter(&self, phase: &str) {
        let mut client = self.client.clone();
        let source = plan::SHIPPED.as_bytes().to_vec();
        let plan = pb::CreatePlanVersionRequest { source, ..Default::default() };
        let plan_version =
            client.create_plan_version(by("olga", &[], plan)).await.unwrap().into_inner().name;
        let rollout_id = "r1".to_owned();
        let create =
            pb::CreateRolloutRequest { rollout_id, plan_version, demo: true, ..Default::default() };
        client.create_rollout(by("olga", &[], create)).await.unwrap();
        let start = pb::StartRolloutRequest { name: ROLLOUT.to_owned(), ..Default::default() };
        client.start_rollout(by("olga", &[], start)).await.unwrap();
        while self.rollout().await.phase_id != phase {
            let next = self.rollout().await.next_phase_id;
            self.advance(&next).await;
        }
    }

    /// Enters the next phase as soon as time and ramp allow it.
    pub(crate) async fn advance(&self, phase: &str) {
        let ready = |rollout: &pb::Rollout| {
            let left = rollout.remaining_duration.unwrap_or_default();
            rollout.next_step_basis_points == 0 && left == prost_types::Duration::default()
        };
        let rollout = self.becomes("the phase to be over", ready).await;
        let gate = rollout.gate.rsplit('/').next().unwrap().to_owned();
        for (name, role) in
            [("ada", "engineering_lead"), ("bob", "product_manager"), ("cy", "sre_lead")]
        {
            if !rollout.open_approval_roles.iter().any(|open| open == role) {
                continue;
            }
            let request = pb::ApproveGateRequest {
                name: ROLLOUT.to_owned(),
                report_digest: format!("{gate}@0"),
                role: role.to_owned(),
                ..pb::ApproveGateRequest::default()
            };
            self.client.clone().approve_gate(by(name, &[role], request)).await.unwrap();
        }
        let (name, phase_id) = (ROLLOUT.to_owned(), phase.to_owned());
        let request = pb::AdvanceRolloutRequest { name, phase_id, ..Default::default() };
        self.client.clone().advance_rollout(by("olga", &[], request)).await.unwrap();
    }

    pub(crate) async fn roll_back(&self, to_first: bool) {
        let (name, reason) = (ROLLOUT.to_owned(), "data is wrong".to_owned());
        let request = pb::RollBackRolloutRequest { name, reason, to_first };
        self.client.clone().roll_back_rollout(by("eve", &[], request)).await.unwrap();
    }

    /// The journal of the conductor.
    pub(crate) async fn records(&self) -> Vec<Record> {
        let stream = StreamName::new("rollout").unwrap();
        self.store.journal.read(&stream, 0, 10_000).await.unwrap()
    }

    /// How often the journal says that each step of the system was done.
    pub(crate) async fn steps_done(&self) -> Vec<(&'static str, usize)> {
        use contracts::rollout::rollout_event::Kind;
        use prost::Message as _;
        let records = self.records().await;
        let events = records.iter().map(|one| pb::RolloutEvent::decode(one.payload.as_slice()));
        let done: Vec<_> = events
            .filter_map(|event| {
                let Some(Kind::RollbackStepDone(done)) = event.unwrap().kind else { return None };
                Some(done.step_id)
            })
            .collect();
        STEPS.map(|step| (step, done.iter().filter(|one| *one == step).count())).to_vec()
    }
}
