//! A kill-switch service that says what it is told to say, and remembers what it is told.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_server::KillSwitchService;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::watch_kill_switches_request::{Hello, Message};
use contracts::killswitch::worker::Breaker;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::platform::{PIPELINE, locked};

type Said = Result<pb::WatchKillSwitchesResponse, Status>;

/// A stream to a worker, and the last renewal that came over it.
struct Listener {
    stream: usize,
    tx: UnboundedSender<Said>,
    renewed: i64,
}

impl Listener {
    fn say(&self, response: &pb::WatchKillSwitchesResponse) -> bool {
        let renewed_sequence = self.renewed;
        let response = pb::WatchKillSwitchesResponse { renewed_sequence, ..response.clone() };
        self.tx.send(Ok(response)).is_ok()
    }
}

/// What is said and what was heard.
#[derive(Default)]
pub(crate) struct Talk {
    /// Said to everybody who connects or renews; nothing where `None`.
    greeting: Option<pb::WatchKillSwitchesResponse>,
    /// A service that leases says this with everything it says.
    policy: Option<pb::Policy>,
    answers_no_renewals: bool,
    listeners: Vec<Listener>,
    pub(crate) hellos: Vec<Hello>,
    pub(crate) acknowledged: Vec<i64>,
    pub(crate) breakers: Vec<Breaker>,
    pub(crate) renewals: usize,
    /// What streams came over.
    pub(crate) connections: BTreeSet<SocketAddr>,
}

impl Talk {
    fn say(&mut self, response: pb::WatchKillSwitchesResponse) {
        let response = pb::WatchKillSwitchesResponse { policy: self.policy, ..response };
        self.listeners.retain(|one| one.say(&response));
        self.greeting = Some(response);
    }

    fn hear(&mut self, stream: usize, message: Message) {
        match message {
            Message::Hello(hello) => self.hellos.push(hello),
            Message::Acknowledgement(one) => self.acknowledged.push(one.epoch),
            Message::Breaker(state) => {
                self.breakers.push(Breaker::try_from(state).unwrap_or_default());
            }
            Message::Renewal(renewal) => {
                self.renewals += 1;
                if self.answers_no_renewals {
                    return;
                }
                let one = self.listeners.iter_mut().find(|one| one.stream == stream);
                if let Some((one, greeting)) = one.zip(self.greeting.as_ref()) {
                    one.renewed = renewal.sequence;
                    one.say(greeting);
                }
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct Kills {
    talk: Arc<Mutex<Talk>>,
}

impl Kills {
    pub(crate) fn talk(&self) -> MutexGuard<'_, Talk> {
        locked(&self.talk)
    }

    /// Leases as `policy` says, with the next thing that is said.
    pub(crate) fn lease(&self, policy: pb::Policy) {
        self.talk().policy = Some(policy);
    }

    /// Leaves every renewal unanswered from now on.
    pub(crate) fn answer_no_renewals(&self) {
        self.talk().answers_no_renewals = true;
    }

    /// Says a state to whoever listens now or connects later.
    pub(crate) fn say(&self, epoch: i64, engaged: Vec<pb::KillSwitch>) {
        self.say_state(pb::KillState { epoch, engaged, ..pb::KillState::default() });
    }

    pub(crate) fn say_state(&self, state: pb::KillState) {
        self.respond(pb::WatchKillSwitchesResponse { state: Some(state), ..Default::default() });
    }

    pub(crate) fn respond(&self, response: pb::WatchKillSwitchesResponse) {
        self.talk().say(response);
    }

    /// Says the same again and again, and says that it does. Ends with the runtime.
    pub(crate) fn beat(&self, every: Duration) {
        let talk = Arc::clone(&self.talk);
        tokio::spawn(async move {
            loop {
                {
                    let mut talk = locked(&talk);
                    if let Some(greeting) = talk.greeting.clone() {
                        let heartbeat_duration = every.try_into().ok();
                        talk.say(pb::WatchKillSwitchesResponse { heartbeat_duration, ..greeting });
                    }
                }
                tokio::time::sleep(every).await;
            }
        });
    }

    /// Stays connected and says nothing any more, to nobody.
    pub(crate) fn fall_silent(&self) {
        self.talk().greeting = None;
    }

    /// Ends every stream, as a restart does.
    pub(crate) fn hang_up(&self) {
        self.talk().listeners.clear();
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.talk().hellos.clone()
    }

    pub(crate) fn acknowledged(&self) -> Vec<i64> {
        self.talk().acknowledged.clone()
    }
}

/// A switch that is engaged on `scope`.
pub(crate) fn engaged(epoch: i64, scope: Option<pb::Scope>) -> pb::KillSwitch {
    let state = pb::kill_switch::State::Engaged.into();
    pb::KillSwitch { scope, state, epoch, ..pb::KillSwitch::default() }
}

pub(crate) fn scope(kind: Kind) -> pb::Scope {
    pb::Scope { kind: kind.into(), pipeline: PIPELINE.to_owned(), ..pb::Scope::default() }
}

#[tonic::async_trait]
impl KillSwitchService for Kills {
    type WatchKillSwitchesStream = UnboundedReceiverStream<Said>;
    type WatchKillSwitchEventsStream = std::pin::Pin<
        Box<dyn Stream<Item = Result<pb::WatchKillSwitchEventsResponse, Status>> + Send>,
    >;

    async fn watch_kill_switches(
        &self,
        request: Request<Streaming<pb::WatchKillSwitchesRequest>>,
    ) -> Result<Response<Self::WatchKillSwitchesStream>, Status> {
        let address = request.remote_addr();
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(hello @ Message::Hello(_)) = first else {
            return Err(Status::invalid_argument("a hello comes first"));
        };
        let (tx, rx) = unbounded_channel();
        let stream = {
            let mut talk = self.talk();
            let stream = talk.hellos.len();
            talk.hear(stream, hello);
            talk.connections.extend(address);
            let listener = Listener { stream, tx, renewed: 0 };
            if let Some(greeting) = &talk.greeting {
                assert!(listener.say(greeting), "the receiver is here");
            }
            talk.listeners.push(listener);
            stream
        };
        let talk = Arc::clone(&self.talk);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                request.message.into_iter().for_each(|one| locked(&talk).hear(stream, one));
            }
        });
        Ok(Response::new(UnboundedReceiverStream::new(rx)))
    }

    async fn engage_kill_switch(
        &self,
        _: Request<pb::EngageKillSwitchRequest>,
    ) -> Result<Response<pb::KillSwitch>, Status> {
        Err(not_asked())
    }

    async fn release_kill_switch(
        &self,
        _: Request<pb::ReleaseKillSwitchRequest>,
    ) -> Result<Response<pb::KillSwitch>, Status> {
        Err(not_asked())
    }

    async fn get_kill_switch(
        &self,
        _: Request<pb::GetKillSwitchRequest>,
    ) -> Result<Response<pb::KillSwitch>, Status> {
        Err(not_asked())
    }

    async fn list_kill_switches(
        &self,
        _: Request<pb::ListKillSwitchesRequest>,
    ) -> Result<Response<pb::ListKillSwitchesResponse>, Status> {
        Err(not_asked())
    }

    async fn get_propagation(
        &self,
        _: Request<pb::GetPropagationRequest>,
    ) -> Result<Response<pb::Propagation>, Status> {
        Err(not_asked())
    }

    async fn apply_kill_switch_rules(
        &self,
        _: Request<pb::ApplyKillSwitchRulesRequest>,
    ) -> Result<Response<pb::ApplyKillSwitchRulesResponse>, Status> {
        Err(not_asked())
    }

    async fn run_drill(
        &self,
        _: Request<pb::RunDrillRequest>,
    ) -> Result<Response<pb::Drill>, Status> {
        Err(not_asked())
    }

    async fn watch_kill_switch_events(
        &self,
        _: Request<pb::WatchKillSwitchEventsRequest>,
    ) -> Result<Response<Self::WatchKillSwitchEventsStream>, Status> {
        Err(not_asked())
    }
}

fn not_asked() -> Status {
    Status::unimplemented("no worker asks this")
}
