//! A bare tonic server that broadcasts a change of as many bytes as it is told to.

use std::pin::Pin;

use contracts::flag as pb;
use contracts::flag::evaluation_service_server::{EvaluationService, EvaluationServiceServer};
use contracts::flag::watch_ruleset_response::Update;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::Error;
use crate::bare::without_delay;

const BUFFER: usize = 16; // Rounds that a watcher may be behind.

/// Serves nothing but streams, and remembers nothing.
#[expect(clippy::disallowed_methods, reason = "the baseline is a bare server")]
pub(crate) async fn serve() -> Result<(), Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let bare = Bare { tx: broadcast::Sender::new(BUFFER) };
    let router = Server::builder().add_service(EvaluationServiceServer::new(bare));
    Ok(router.serve_with_incoming(without_delay(listener)).await?)
}

struct Bare {
    tx: broadcast::Sender<pb::WatchRulesetResponse>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl EvaluationService for Bare {
    type WatchRulesetStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchRulesetResponse, Status>> + Send>>;

    /// Broadcasts a change whose description is the name asked for.
    async fn evaluate_flag(
        &self,
        request: Request<pb::EvaluateFlagRequest>,
    ) -> Answer<pb::EvaluateFlagResponse> {
        let change = pb::Flag { description: request.into_inner().name, ..pb::Flag::default() };
        let update = Some(Update::Change(change));
        // Nobody may be listening.
        self.tx.send(pb::WatchRulesetResponse { update }).ok();
        Ok(Response::new(pb::EvaluateFlagResponse::default()))
    }

    async fn batch_evaluate_flags(
        &self,
        _: Request<pb::BatchEvaluateFlagsRequest>,
    ) -> Answer<pb::BatchEvaluateFlagsResponse> {
        Err(Status::unimplemented("a bare server only broadcasts"))
    }

    async fn watch_ruleset(
        &self,
        _: Request<pb::WatchRulesetRequest>,
    ) -> Answer<Self::WatchRulesetStream> {
        let update = Some(Update::Snapshot(pb::RulesetSnapshot::default()));
        let first = tokio_stream::once(Ok(pb::WatchRulesetResponse { update }));
        let rest = BroadcastStream::new(self.tx.subscribe())
            .map(|said| said.map_err(|_lagged| Status::data_loss("a watcher is too far behind")));
        Ok(Response::new(Box::pin(first.chain(rest))))
    }
}
