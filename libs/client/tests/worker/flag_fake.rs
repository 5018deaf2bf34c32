//! A flag service that answers what it is told to, and remembers what it is asked.

use std::pin::Pin;
use std::sync::Mutex;

use contracts::flag as pb;
use contracts::flag::admission_service_server::AdmissionService;
use contracts::flag::evaluation_service_server::EvaluationService;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::platform::locked;

pub(crate) struct Flags {
    admission: Mutex<Result<pb::AdmitUploadResponse, Status>>,
    evaluation: Mutex<Result<pb::EvaluateFlagResponse, Status>>,
    asked: Mutex<Vec<pb::AdmitUploadRequest>>,
}

impl Default for Flags {
    fn default() -> Self {
        let admission = pb::Admission::Admit.into();
        Self {
            admission: Mutex::new(Ok(pb::AdmitUploadResponse { admission, ..Default::default() })),
            evaluation: Mutex::new(Err(Status::not_found("there is no such flag"))),
            asked: Mutex::default(),
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
    type WatchRulesetStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchRulesetResponse, Status>> + Send>>;

    async fn evaluate_flag(
        &self,
        _: Request<pb::EvaluateFlagRequest>,
    ) -> Result<Response<pb::EvaluateFlagResponse>, Status> {
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
        Err(Status::unimplemented("no worker asks this"))
    }
}
