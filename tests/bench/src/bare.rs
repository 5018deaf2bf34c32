//! The least that could be done: a bare tonic server that broadcasts what it is told to.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_server::{
    KillSwitchService, KillSwitchServiceServer,
};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;

const BUFFER: usize = 16; // Rounds that a watcher may be behind.

/// Serves nothing but streams, and remembers nothing.
#[expect(clippy::disallowed_methods, reason = "the baseline is a bare server")]
pub(crate) async fn serve() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let bare = Bare { epoch: AtomicI64::new(0), tx: broadcast::Sender::new(BUFFER) };
    let router = Server::builder().add_service(KillSwitchServiceServer::new(bare));
    Ok(router.serve_with_incoming(without_delay(listener)).await?)
}

/// Connections that send at once: the builder's own setting holds only for sockets it binds itself,
/// and a baseline that waits for acknowledgements would flatter everybody.
pub(crate) fn without_delay(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

struct Bare {
    epoch: AtomicI64,
    tx: broadcast::Sender<pb::WatchKillSwitchesResponse>,
}

impl Bare {
    fn broadcast(&self, switch: Option<pb::KillSwitch>) -> i64 {
        let epoch = self.epoch.fetch_add(1, Ordering::Relaxed) + 1;
        // Nobody may be listening.
        self.tx.send(response(epoch, switch)).ok();
        epoch
    }
}

fn response(epoch: i64, switch: Option<pb::KillSwitch>) -> pb::WatchKillSwitchesResponse {
    let engaged = switch.into_iter().collect();
    let state = Some(pb::KillState { epoch, engaged, ..pb::KillState::default() });
    pb::WatchKillSwitchesResponse { state, ..pb::WatchKillSwitchesResponse::default() }
}

type Answer<T> = Result<Response<T>, Status>;
type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl KillSwitchService for Bare {
    type WatchKillSwitchesStream = Streamed<pb::WatchKillSwitchesResponse>;
    type WatchKillSwitchEventsStream = Streamed<pb::WatchKillSwitchEventsResponse>;

    async fn watch_kill_switches(
        &self,
        request: Request<Streaming<pb::WatchKillSwitchesRequest>>,
    ) -> Answer<Self::WatchKillSwitchesStream> {
        let mut requests = request.into_inner();
        // Heard and forgotten: a stream that is not read ends for its watcher, too.
        tokio::spawn(async move { while let Ok(Some(_said)) = requests.message().await {} });
        let first = tokio_stream::once(Ok(response(0, None)));
        let rest = BroadcastStream::new(self.tx.subscribe())
            .map(|said| said.map_err(|_lagged| Status::data_loss("a watcher is too far behind")));
        Ok(Response::new(Box::pin(first.chain(rest))))
    }

    async fn engage_kill_switch(
        &self,
        request: Request<pb::EngageKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let pb::EngageKillSwitchRequest { scope, reason } = request.into_inner();
        let switch = pb::KillSwitch { scope, reason, ..pb::KillSwitch::default() };
        let epoch = self.broadcast(Some(switch));
        Ok(Response::new(pb::KillSwitch { epoch, ..pb::KillSwitch::default() }))
    }

    async fn release_kill_switch(
        &self,
        _: Request<pb::ReleaseKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let epoch = self.broadcast(None);
        Ok(Response::new(pb::KillSwitch { epoch, ..pb::KillSwitch::default() }))
    }

    async fn get_kill_switch(
        &self,
        _: Request<pb::GetKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        Err(nothing())
    }

    async fn list_kill_switches(
        &self,
        _: Request<pb::ListKillSwitchesRequest>,
    ) -> Answer<pb::ListKillSwitchesResponse> {
        Err(nothing())
    }

    async fn get_propagation(
        &self,
        _: Request<pb::GetPropagationRequest>,
    ) -> Answer<pb::Propagation> {
        Err(nothing())
    }

    async fn apply_kill_switch_rules(
        &self,
        _: Request<pb::ApplyKillSwitchRulesRequest>,
    ) -> Answer<pb::ApplyKillSwitchRulesResponse> {
        Err(nothing())
    }

    async fn run_drill(&self, _: Request<pb::RunDrillRequest>) -> Answer<pb::Drill> {
        Err(nothing())
    }

    async fn watch_kill_switch_events(
        &self,
        _: Request<pb::WatchKillSwitchEventsRequest>,
    ) -> Answer<Self::WatchKillSwitchEventsStream> {
        Err(nothing())
    }
}

fn nothing() -> Status {
    Status::unimplemented("a bare server only broadcasts")
}
