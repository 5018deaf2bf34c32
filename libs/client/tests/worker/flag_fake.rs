//! A flag service that answers what it is told to, and remembers what it is asked.

use std::sync::Mutex;

use contracts::flag as pb;
use contracts::flag::admission_service_server::AdmissionService;
use contracts::flag::evaluation_service_server::EvaluationService;
use contracts::flag::watch_ruleset_response::Update;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status};

use crate::platform::locked;

type Said = Result<pb::WatchRulesetResponse, Status>;

pub(crate) struct Flags {
    admission: Mutex<Result<pb::AdmitUploadResponse, Status>>,
    evaluation: Mutex<Result<pb::EvaluateFlagResponse, Status>>,
    asked: Mutex<Vec<pb::AdmitUploadRequest>>,
    questions: Mutex<Vec<pb::EvaluateFlagRequest>>,
    /// Said to whoever begins to watch; nobody may where `None`.
    greeting: Mutex<Option<Vec<Update>>>,
    watchers: Mutex<Vec<UnboundedSender<Said>>>,
    watched: Mutex<usize>,
}

impl Default for Flags {
    fn default() -> Self {
        let admission = pb::Admission::Admit.into();
        Self {
            admission: Mutex::new(Ok(pb::AdmitUploadResponse { admission, ..Default::default() })),
            evaluation: Mutex::new(Err(Status::not_found("there is no such flag"))),
            asked: Mutex::default(),
            questions: Mutex::default(),
            greeting: Mutex::default(),
            watchers: Mutex::default(),
            watched: Mutex::default(),
        }
    }
}

impl Flags {
    pub(crate) fn admit(&self, answer: Result<pb::AdmitUploadResponse, Status>) {
        *locked(&self.admission) = answer;
    }

    pub(crate) fn evaluate(&self, answer: Result<pb::EvaluateFlagResponse, Status>) {
        *locked(&self.evaluation) = answer;
    }

    pub(crate) fn asked(&self) -> Vec<pb::AdmitUploadRequest> {
        locked(&self.asked).clone()
    }

    /// Questions asked over rpc.
    pub(crate) fn questions(&self) -> Vec<pb::EvaluateFlagRequest> {
        locked(&self.questions).clone()
    }

    /// What streams begin with from now on.
    pub(crate) fn greet(&self, updates: Vec<Update>) {
        *locked(&self.greeting) = Some(updates);
    }

    /// Says something to all watchers.
    pub(crate) fn say(&self, update: &Update) {
        let said = pb::WatchRulesetResponse { update: Some(update.clone()) };
        locked(&self.watchers).retain(|watcher| watcher.send(Ok(said.clone())).is_ok());
    }

    /// Streams that were begun so far.
    pub(crate) fn watched(&self) -> usize {
        *locked(&self.watched)
    }

    /// Ends every stream, as a restart does.
    pub(crate) fn hang_up(&self) {
        locked(&self.watchers).clear();
    }
}

#[tonic::async_trait]
impl AdmissionService for Flags {
    async fn admit_upload(
        &self,
        request: Request<pb::AdmitUploadRequest>,
    ) -> Result<Response<pb::AdmitUploadResponse>, Status> {
        locked(&self.asked).push(request.into_inner());
        locked(&self.admission).clone().map(Response::new)
    }

    async fn release_upload(
        &self,
        _: Request<pb::ReleaseUploadRequest>,
    ) -> Result<Response<pb::ReleaseUploadResponse>, Status> {
        Err(Status::unimplemented("no worker asks this"))
    }
}

#[tonic::async_trait]
impl EvaluationService for Flags {
    type WatchRulesetStream = UnboundedReceiverStream<Said>;

    async fn evaluate_flag(
        &self,
        request: Request<pb::EvaluateFlagRequest>,
    ) -> Result<Response<pb::EvaluateFlagResponse>, Status> {
        locked(&self.questions).push(request.into_inner());
        locked(&self.evaluation).clone().map(Response::new)
    }

    async fn batch_evaluate_flags(
        &self,
        _: Request<pb::BatchEvaluateFlagsRequest>,
    ) -> Result<Response<pb::BatchEvaluateFlagsResponse>, Status> {
        Err(Status::unimplemented("no worker asks this"))
    }

    async fn watch_ruleset(
        &self,
        _: Request<pb::WatchRulesetRequest>,
    ) -> Result<Response<Self::WatchRulesetStream>, Status> {
        let greeting = locked(&self.greeting).clone();
        let greeting = greeting.ok_or_else(|| Status::unavailable("nobody may watch"))?;
        let (tx, rx) = unbounded_channel();
        for update in greeting {
            let said = pb::WatchRulesetResponse { update: Some(update) };
            assert!(tx.send(Ok(said)).is_ok(), "the receiver is here");
        }
        locked(&self.watchers).push(tx);
        *locked(&self.watched) += 1;
        Ok(Response::new(UnboundedReceiverStream::new(rx)))
    }
}
