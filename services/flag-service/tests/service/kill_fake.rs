//! A kill-switch service that says what it is told to say, and grants what it is asked for.

use std::pin::Pin;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_server::KillSwitchService;
use contracts::killswitch::watch_kill_switches_request::Message;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

const BEAT: Duration = Duration::from_millis(200);

pub(crate) struct Kills {
    pub(crate) state: watch::Receiver<pb::KillState>,
}

fn not_asked() -> Status {
    Status::unimplemented("the flag service asks no such thing")
}

type Said = Result<pb::WatchKillSwitchesResponse, Status>;

#[tonic::async_trait]
impl KillSwitchService for Kills {
    type WatchKillSwitchesStream = ReceiverStream<Said>;
    type WatchKillSwitchEventsStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchKillSwitchEventsResponse, Status>> + Send>>;

    async fn watch_kill_switches(
        &self,
        request: Request<Streaming<pb::WatchKillSwitchesRequest>>,
    ) -> Result<Response<Self::WatchKillSwitchesStream>, Status> {
        let (tx, rx) = mpsc::channel(4);
        let mut state = self.state.clone();
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            let mut renewed_sequence = 0;
            loop {
                let said = pb::WatchKillSwitchesResponse {
                    state: Some(state.borrow_and_update().clone()),
                    heartbeat_duration: BEAT.try_into().ok(),
                    renewed_sequence,
                    ..pb::WatchKillSwitchesResponse::default()
                };
                if tx.send(Ok(said)).await.is_err() {
                    return;
                }
                tokio::select! {
                    changed = state.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(BEAT) => {}
                    heard = requests.message() => match heard {
                        Ok(Some(request)) => if let Some(Message::Renewal(renewal)) = request.message {
                            renewed_sequence = renewal.sequence;
                        },
                        Ok(None) | Err(_) => return,
                    },
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(rx)))
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
