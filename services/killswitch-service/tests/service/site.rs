//! A service over a store, and workers that watch it.

use std::sync::Arc;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::watch_kill_switches_request::{
    Acknowledgement, Hello, Message, Renewal,
};
use killswitch_service::{Settings, serve};
use service_kit::bootstrap::{Dependencies, ServiceSettings as _};
use service_kit::clock::{Clock, real_now};
use service_kit::identity::claim;
use service_kit::shutdown::{self, Trigger};
use store::{Location, Store};
use test_kit::eventually;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

pub(crate) const PIPELINE: &str = "ingestion_v2";
pub(crate) const DRILL_VALID_S: i64 = 3_600;
pub(crate) const REASON: &str = "errors rise";

/// The service, running.
pub(crate) struct Service {
    pub(crate) client: KillSwitchServiceClient<Channel>,
    pub(crate) store: Store,
    _trigger: Trigger,
}

pub(crate) fn defaults() -> Settings {
    service_kit::settings::defaults(Settings::DEFAULTS).unwrap()
}

pub(crate) fn pipeline() -> pb::Scope {
    let pipeline = PIPELINE.to_owned();
    pb::Scope { kind: Kind::Pipeline.into(), pipeline, ..pb::Scope::default() }
}

pub(crate) fn by<T>(person: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    claim(request.metadata_mut(), person, &[]).unwrap();
    request
}

impl Service {
    pub(crate) async fn over(location: &str) -> Self {
        Self::with(location, defaults()).await
    }

    pub(crate) async fn with(location: &str, settings: Settings) -> Self {
        let location = Location::parse(location).unwrap();
        let store = Store::open(&location, Arc::new(real_now)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (trigger, end) = shutdown::channel();
        let on = Dependencies { store: store.clone(), clock: Clock::system() };
        tokio::spawn(async move {
            serve(settings, on, listener, end).await.unwrap();
        });
        let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
        let client = KillSwitchServiceClient::new(channel);
        eventually("the service to be up", async || {
            let request = pb::ListKillSwitchesRequest::default();
            client.clone().list_kill_switches(request).await.is_ok()
        })
        .await;
        Self { client, store, _trigger: trigger }
    }

    pub(crate) async fn engage(&self, person: &str) -> pb::KillSwitch {
        let (scope, reason) = (Some(pipeline()), REASON.to_owned());
        let request = by(person, pb::EngageKillSwitchRequest { scope, reason });
        self.client.clone().engage_kill_switch(request).await.unwrap().into_inner()
    }

    pub(crate) async fn release(&self, person: &str, epoch: i64) -> Result<pb::KillSwitch, Status> {
        let request = pb::ReleaseKillSwitchRequest {
            scope: Some(pipeline()),
            epoch,
            reason: "errors are gone".to_owned(),
            evidence: "https://wiki.example.com/errors-are-gone".to_owned(),
        };
        let released = self.client.clone().release_kill_switch(by(person, request)).await;
        released.map(tonic::Response::into_inner)
    }

    pub(crate) async fn switch(&self) -> pb::KillSwitch {
        let request = pb::GetKillSwitchRequest { scope: Some(pipeline()) };
        self.client.clone().get_kill_switch(request).await.unwrap().into_inner()
    }

    pub(crate) async fn spread(&self) -> pb::Propagation {
        let request = pb::GetPropagationRequest { epoch: 0 };
        self.client.clone().get_propagation(request).await.unwrap().into_inner()
    }

    pub(crate) async fn take_rules(&self, lease_s: i64) {
        let lease_duration = Some(prost_types::Duration { seconds: lease_s, nanos: 0 });
        let policy = Some(pb::Policy { lease_duration, ..pb::Policy::default() });
        let pipeline = PIPELINE.to_owned();
        let rules = pb::Rules {
            pipeline,
            generation: 1,
            policy,
            drill_valid_duration: Some(prost_types::Duration { seconds: DRILL_VALID_S, nanos: 0 }),
            ..pb::Rules::default()
        };
        let request = by("rollout", pb::ApplyKillSwitchRulesRequest { rules: Some(rules) });
        self.client.clone().apply_kill_switch_rules(request).await.unwrap();
    }

    pub(crate) async fn worker(&self, id: &str) -> Worker {
        Worker::connect(self, id, 0, Vec::new()).await
    }
}

/// A worker's stream.
pub(crate) struct Worker {
    says: mpsc::Sender<pb::WatchKillSwitchesRequest>,
    hears: Streaming<pb::WatchKillSwitchesResponse>,
}

impl Worker {
    /// Connects as a worker that holds something from before.
    pub(crate) async fn connect(
        service: &Service,
        id: &str,
        epoch: i64,
        engaged: Vec<pb::Scope>,
    ) -> Self {
        let (says, rx) = mpsc::channel(16);
        let (worker_id, pipeline) = (id.to_owned(), PIPELINE.to_owned());
        let hello = Message::Hello(Hello { worker_id, pipeline, epoch, engaged });
        says.send(pb::WatchKillSwitchesRequest { message: Some(hello) }).await.unwrap();
        let watching = service.client.clone().watch_kill_switches(ReceiverStream::new(rx)).await;
        Self { says, hears: watching.unwrap().into_inner() }
    }

    pub(crate) async fn say(&self, message: Message) {
        let request = pb::WatchKillSwitchesRequest { message: Some(message) };
        self.says.send(request).await.unwrap();
    }

    pub(crate) async fn acknowledge(&self, epoch: i64) {
        self.say(Message::Acknowledgement(Acknowledgement { epoch })).await;
    }

    pub(crate) async fn renew(&self, sequence: i64) {
        self.say(Message::Renewal(Renewal { sequence })).await;
    }

    pub(crate) async fn hear(&mut self) -> pb::WatchKillSwitchesResponse {
        self.hears.message().await.unwrap().expect("the stream goes on")
    }

    /// The first message that fits; heartbeats come in between.
    pub(crate) async fn hears(
        &mut self,
        fits: impl Fn(&pb::WatchKillSwitchesResponse) -> bool,
    ) -> pb::WatchKillSwitchesResponse {
        let hearing = async {
            loop {
                let heard = self.hear().await;
                if fits(&heard) {
                    return heard;
                }
            }
        };
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, hearing).await.expect("the worker hears of it")
    }

    pub(crate) async fn hears_of_kill(&mut self) -> pb::KillState {
        let killed = |heard: &pb::WatchKillSwitchesResponse| {
            heard.state.as_ref().is_some_and(|state| !state.engaged.is_empty())
        };
        self.hears(killed).await.state.unwrap()
    }
}
