//! A kill-switch service that says what it is told to say, and remembers what it is told.

use std::sync::Mutex;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_server::KillSwitchService;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::watch_kill_switches_request::{Hello, Message};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::Stream;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::platform::{PIPELINE, locked};

type Said = Result<pb::WatchKillSwitchesResponse, Status>;

#[derive(Default)]
pub(crate) struct Kills {
    /// Said to everybody who connects; nothing where `None`.
    greeting: Mutex<Option<pb::WatchKillSwitchesResponse>>,
    listeners: Mutex<Vec<UnboundedSender<Said>>>,
    hellos: Mutex<Vec<Hello>>,
    acknowledged: std::sync::Arc<Mutex<Vec<i64>>>,
}

impl Kills {
    /// Says a state to whoever listens now or connects later.
    pub(crate) fn say(&self, epoch: i64, engaged: Vec<pb::KillSwitch>) {
        let state = Some(pb::KillState { epoch, engaged, ..pb::KillState::default() });
        self.respond(pb::WatchKillSwitchesResponse { state, ..Default::default() });
    }

    pub(crate) fn respond(&self, response: pb::WatchKillSwitchesResponse) {
        *locked(&self.greeting) = Some(response.clone());
        locked(&self.listeners).retain(|one| one.send(Ok(response.clone())).is_ok());
    }

    /// Stays connected and says nothing any more, to nobody.
    pub(crate) fn fall_silent(&self) {
        *locked(&self.greeting) = None;
    }

    /// Ends every stream, as a restart does.
    pub(crate) fn hang_up(&self) {
        locked(&self.listeners).clear();
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        locked(&self.hellos).clone()
    }

    pub(crate) fn acknowledged(&self) -> Vec<i64> {
        locked(&self.acknowledged).clone()
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
        let mut requests = request.into_inner();
        let first = requests.message().await?.and_then(|request| request.message);
        let Some(Message::Hello(hello)) = first else {
            return Err(Status::invalid_argument("a hello comes first"));
        };
        let (tx, rx) = unbounded_channel();
        let greeting = locked(&self.greeting).clone();
        if let Some(greeting) = greeting {
            tx.send(Ok(greeting)).expect("the receiver is here");
        }
        locked(&self.listeners).push(tx);
        locked(&self.hellos).push(hello);
        let acknowledged = std::sync::Arc::clone(&self.acknowledged);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                if let Some(Message::Acknowledgement(one)) = request.message {
                    locked(&acknowledged).push(one.epoch);
                }
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
