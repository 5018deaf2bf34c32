//! The rpcs: decode, call the app, encode.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::admission_service_server::AdmissionService;
use contracts::flag::evaluation_service_server::EvaluationService;
use contracts::flag::flag_service_server::FlagService;
use flag_core::Flag;
use service_kit::fault::{Fault, check_text, checked};
use service_kit::identity::actor;
use service_kit::journaled::{command, request_key};
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use vocab::{FlagKey, PhaseId, PipelineId};

use crate::app::{App, Step};
use crate::convert::{self, public_flag};
use crate::error::DOMAIN;

mod mask;
mod watch;

const QUESTIONS_MAX: usize = 1_000;

/// The services on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    app: Arc<App>,
}

impl Api {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn required<'a, T>(path: &str, value: Option<&'a T>) -> Result<&'a T, Fault> {
    value.ok_or_else(|| Fault::field(DOMAIN, path, "is required"))
}

#[tonic::async_trait]
impl FlagService for Api {
    async fn get_flag(&self, request: Request<pb::GetFlagRequest>) -> Answer<pb::Flag> {
        let key = convert::flag_key("name", &request.get_ref().name)?;
        Ok(Response::new(public_flag(&*self.app.flag(&key)?)))
    }

    async fn list_flags(
        &self,
        request: Request<pb::ListFlagsRequest>,
    ) -> Answer<pb::ListFlagsResponse> {
        let request = request.into_inner();
        let page = page(DOMAIN, "flags", request.page_size, &request.page_token)?;
        let snapshot = self.app.replica.snapshot();
        let all = snapshot.state.flags.iter().map(|(key, one)| (key.clone(), public_flag(one)));
        let (flags, next_page_token) = cut("flags", &page, all);
        Ok(Response::new(pb::ListFlagsResponse { flags, next_page_token }))
    }

    async fn create_flag(&self, request: Request<pb::CreateFlagRequest>) -> Answer<pb::Flag> {
        let actor = actor(request.metadata())?;
        let request = request.into_inner();
        let key = checked(DOMAIN, "flag_id", FlagKey::new(&request.flag_id))?;
        let wire = required("flag", request.flag.as_ref())?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let no_limits = pb::UploadLimits::default();
        let flag = Flag {
            key,
            pipeline: checked(DOMAIN, "flag.pipeline", PipelineId::new(&wire.pipeline))?,
            definition: convert::definition(
                "flag.definition",
                required("flag.definition", wire.definition.as_ref())?,
            )?,
            limits: convert::limits("flag.limits", wire.limits.as_ref().unwrap_or(&no_limits))?,
            rollout: String::new(),
            phase: None,
            generation: 0,
            paused: false,
        };
        let key = request_key(DOMAIN, "CreateFlag", &request.request_id, &request)?;
        let command = command(&self.app.clock, actor, reason, key);
        let (app, validate_only) = (Arc::clone(&self.app), request.validate_only);
        uncancelled(
            async move { Ok(public_flag(&*app.create(command, flag, validate_only).await?)) },
        )
        .await
        .map(Response::new)
    }

    async fn update_flag(&self, request: Request<pb::UpdateFlagRequest>) -> Answer<pb::Flag> {
        let actor = actor(request.metadata())?;
        let request = request.into_inner();
        let wire = required("flag", request.flag.as_ref())?.clone();
        let key = convert::flag_key("flag.name", &wire.name)?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let paths = mask::paths(request.update_mask.as_ref())?;
        mask::overlay(&pb::Flag::default(), &wire, &paths)?; // What is malformed is refused first.
        let request_key = request_key(DOMAIN, "UpdateFlag", &request.request_id, &request)?;
        let command = command(&self.app.clock, actor, reason, request_key);
        let (app, validate_only) = (Arc::clone(&self.app), request.validate_only);
        uncancelled(async move {
            let etag = wire.etag.clone();
            let change = move |flag: &Flag| mask::overlay(&convert::wire_flag(flag), &wire, &paths);
            Ok(public_flag(&*app.update(command, key, &etag, change, validate_only).await?))
        })
        .await
        .map(Response::new)
    }

    async fn delete_flag(&self, _: Request<pb::DeleteFlagRequest>) -> Answer<pb::Flag> {
        Err(Status::unimplemented("not in this version"))
    }

    async fn undelete_flag(&self, _: Request<pb::UndeleteFlagRequest>) -> Answer<pb::Flag> {
        Err(Status::unimplemented("not in this version"))
    }

    async fn apply_rollout_step(
        &self,
        request: Request<pb::ApplyRolloutStepRequest>,
    ) -> Answer<pb::Flag> {
        let actor = actor(request.metadata())?;
        let request = request.into_inner();
        let generation = u64::try_from(request.generation).ok().filter(|number| *number > 0);
        let step = Step {
            key: convert::flag_key("name", &request.name)?,
            rollout: request.rollout.clone(),
            generation: generation
                .ok_or_else(|| Fault::field(DOMAIN, "generation", "expected 1 or more"))?,
            phase: checked(DOMAIN, "phase_id", PhaseId::new(&request.phase_id))?,
            pipeline: checked(DOMAIN, "pipeline", PipelineId::new(&request.pipeline))?,
            definition: convert::definition(
                "definition",
                required("definition", request.definition.as_ref())?,
            )?,
            limits: convert::limits("limits", required("limits", request.limits.as_ref())?)?,
            paused: request.paused,
        };
        if !step.rollout.starts_with("rollouts/") {
            return Err(Fault::field(DOMAIN, "rollout", "expected rollouts/{rollout}").into());
        }
        let reason = format!("{} generation {}", step.rollout, step.generation);
        let command = command(&self.app.clock, actor, reason, None);
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(public_flag(&*app.apply_step(command, step).await?)) })
            .await
            .map(Response::new)
    }
}

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

    type WatchRulesetStream = ReceiverStream<Result<pb::WatchRulesetResponse, Status>>;

    async fn watch_ruleset(
        &self,
        request: Request<pb::WatchRulesetRequest>,
    ) -> Answer<Self::WatchRulesetStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        Ok(Response::new(watch::ruleset(Arc::clone(&self.app), after)))
    }
}

#[tonic::async_trait]
impl AdmissionService for Api {
    async fn admit_upload(
        &self,
        request: Request<pb::AdmitUploadRequest>,
    ) -> Answer<pb::AdmitUploadResponse> {
        let (app, request) = (Arc::clone(&self.app), request.into_inner());
        uncancelled(async move { Ok(app.admit(&request).await?) }).await.map(Response::new)
    }

    async fn release_upload(
        &self,
        request: Request<pb::ReleaseUploadRequest>,
    ) -> Answer<pb::ReleaseUploadResponse> {
        let (app, request) = (Arc::clone(&self.app), request.into_inner());
        uncancelled(async move { Ok(app.release(&request).await?) }).await.map(Response::new)
    }
}
