//! Questions: who is on, and may this upload start.

use std::pin::Pin;

use contracts::flag as pb;
use contracts::flag::admission_service_server::AdmissionService;
use contracts::flag::evaluation_service_server::EvaluationService;
use service_kit::fault::Fault;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Answer, Api};
use crate::error::DOMAIN;

const QUESTIONS_MAX: usize = 1_000;

#[tonic::async_trait]
impl EvaluationService for Api {
    async fn evaluate_flag(
        &self,
        request: Request<pb::EvaluateFlagRequest>,
    ) -> Answer<pb::EvaluateFlagResponse> {
        Ok(Response::new(self.app.answer(request.get_ref())?))
    }

    async fn batch_evaluate_flags(
        &self,
        request: Request<pb::BatchEvaluateFlagsRequest>,
    ) -> Answer<pb::BatchEvaluateFlagsResponse> {
        let questions = &request.get_ref().requests;
        if questions.len() > QUESTIONS_MAX {
            let why = format!("{} are too many: expected at most {QUESTIONS_MAX}", questions.len());
            return Err(Fault::field(DOMAIN, "requests", why).into());
        }
        let responses = questions.iter().map(|one| self.app.answer(one)).collect::<Result<_, _>>();
        Ok(Response::new(pb::BatchEvaluateFlagsResponse { responses: responses? }))
    }

    type WatchRulesetStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchRulesetResponse, Status>> + Send>>;

    async fn watch_ruleset(
        &self,
        _: Request<pb::WatchRulesetRequest>,
    ) -> Answer<Self::WatchRulesetStream> {
        // `encoded::WithSharedWatch` stands in front and answers this one.
        Err(Status::internal("the ruleset is not streamed here"))
    }
}

#[tonic::async_trait]
impl AdmissionService for Api {
    async fn admit_upload(
        &self,
        request: Request<pb::AdmitUploadRequest>,
    ) -> Answer<pb::AdmitUploadResponse> {
        // A caller that goes away cuts nothing in half: the store takes a unit in one step, and who
        // asks again for the same upload holds the same unit.
        Ok(Response::new(self.app.admit(request.get_ref()).await?))
    }

    async fn release_upload(
        &self,
        request: Request<pb::ReleaseUploadRequest>,
    ) -> Answer<pb::ReleaseUploadResponse> {
        Ok(Response::new(self.app.release(request.get_ref()).await?)) // For the same reason.
    }
}
