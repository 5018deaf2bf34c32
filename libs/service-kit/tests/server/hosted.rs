//! A small service in the hardened server: it waits where a test wants it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use contracts::flag as pb;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use contracts::flag::evaluation_service_server::{EvaluationService, EvaluationServiceServer};
use service_kit::clock::real_now;
use service_kit::propagation::current_traceparent;
use service_kit::server::{MESSAGE_SIZE_MAX, hardened, serve, with_health_and_reflection};
use service_kit::shutdown::{self, Shutdown, Trigger};
use service_kit::status::StoreStatus;
use service_kit::uncancelled::uncancelled;
use store::{Location, Store};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

pub(crate) const SERVICE: &str = "softlaunch.flag.v1.EvaluationService";
/// A workspace whose evaluation waits until the test lets it go on.
pub(crate) const SLOW: &str = "slow";
/// A revision whose stream ignores that it is time to end.
pub(crate) const STUBBORN: i64 = 7;

/// What the service does, as seen from the test.
#[derive(Debug, Clone)]
pub(crate) struct Stub {
    /// Evaluations that have begun.
    pub(crate) begun: Arc<AtomicUsize>,
    /// Mutations that have ended.
    pub(crate) done: Arc<AtomicUsize>,
    go_on: watch::Sender<bool>,
    shutdown: Shutdown,
}

/// The server that hosts it.
pub(crate) struct Hosted {
    pub(crate) stub: Stub,
    pub(crate) address: SocketAddr,
    pub(crate) trigger: Trigger,
    pub(crate) serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Hosted {
    pub(crate) async fn start() -> Self {
        let (trigger, shutdown) = shutdown::channel();
        let (begun, done) = (Arc::default(), Arc::default());
        let go_on = watch::Sender::new(false);
        let stub = Stub { begun, done, go_on, shutdown: shutdown.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let location = Location::Embedded(dir.path().to_owned());
        let store = Store::open(&location, Arc::new(real_now)).await.expect("the store opens");
        let status = StoreStatus::new(&store, shutdown.clone());
        let router =
            with_health_and_reflection(hardened(), contracts::DESCRIPTORS, &[SERVICE], status)
                .await
                .expect("the descriptors decode");
        let service = EvaluationServiceServer::new(stub.clone());
        let router = router.add_service(service.max_decoding_message_size(MESSAGE_SIZE_MAX));
        let serving = tokio::spawn(serve(router, listener, shutdown));
        Self { stub, address, trigger, serving }
    }

    pub(crate) fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address));
        endpoint.expect("an address").connect_lazy()
    }

    pub(crate) fn client(&self) -> EvaluationServiceClient<Channel> {
        EvaluationServiceClient::new(self.channel())
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Stub {
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// Lets slow evaluations go on.
    pub(crate) fn go_on(&self) {
        self.go_on.send_replace(true);
    }
}

pub(crate) fn ask(workspace: &str) -> pb::EvaluateFlagRequest {
    let workspace_id = workspace.to_owned();
    pb::EvaluateFlagRequest { name: "flags/x".to_owned(), workspace_id, attributes: None }
}

#[tonic::async_trait]
impl EvaluationService for Stub {
    type WatchRulesetStream = ReceiverStream<Result<pb::WatchRulesetResponse, Status>>;

    /// Answers with the trace it runs in.
    async fn evaluate_flag(
        &self,
        request: Request<pb::EvaluateFlagRequest>,
    ) -> Result<Response<pb::EvaluateFlagResponse>, Status> {
        let (done, mut go_on) = (Arc::clone(&self.done), self.go_on.subscribe());
        let slow = request.into_inner().workspace_id == SLOW;
        self.begun.fetch_add(1, Ordering::SeqCst);
        let mutation = async move {
            if slow {
                go_on.wait_for(|go_on| *go_on).await.map_err(|_e| Status::aborted("no test"))?;
            }
            done.fetch_add(1, Ordering::SeqCst);
            let workspace_id = current_traceparent();
            Ok(pb::EvaluateFlagResponse { workspace_id, ..Default::default() })
        };
        uncancelled(mutation).await.map(Response::new)
    }

    async fn batch_evaluate_flags(
        &self,
        _: Request<pb::BatchEvaluateFlagsRequest>,
    ) -> Result<Response<pb::BatchEvaluateFlagsResponse>, Status> {
        uncancelled(async { panic!("a mistake of ours") }).await.map(Response::new)
    }

    /// One message, and then nothing until it is time to end.
    async fn watch_ruleset(
        &self,
        request: Request<pb::WatchRulesetRequest>,
    ) -> Result<Response<Self::WatchRulesetStream>, Status> {
        let (tx, rx) = mpsc::channel(1);
        let mut shutdown = self.shutdown.clone();
        let stubborn = request.into_inner().after_revision == STUBBORN;
        tokio::spawn(async move {
            tx.send(Ok(pb::WatchRulesetResponse::default())).await.ok(); // The reader may be gone.
            if stubborn {
                tx.closed().await;
            }
            shutdown.wait().await;
        });
        Ok(Response::new(ReceiverStream::new(rx)))
    }
}
