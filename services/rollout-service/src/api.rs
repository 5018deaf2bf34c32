//! The rpcs: decode, call the app, encode.

use std::sync::Arc;

use contracts::rollout as pb;
use contracts::rollout::rollout_service_server::RolloutService;
use rollout_core::{
    Refusal, Rollout, archive, complete_task, note, pause, resume, roll_back, tick_off,
};
use service_kit::fault::{Fault, check_text, checked};
use service_kit::identity::actor;
use service_kit::journaled::{command, request_key, stream_records};
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use service_kit::wire::wire_time;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use vocab::{BasisPoints, ResourceId};

use self::giving::{required_etag, required_role, rollout_name};
use crate::app::{App, Given};
use crate::convert::plan_version;
use crate::error::{DOMAIN, Refused};

mod giving;
mod looking;

/// The service on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    app: Arc<App>,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RolloutService for Api {
    async fn create_plan_version(
        &self,
        request: Request<pb::CreatePlanVersionRequest>,
    ) -> Answer<pb::PlanVersion> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        let key = request_key(DOMAIN, "CreatePlanVersion", &request.request_id, &request)?;
        let command = command(&self.app.clock, actor, "", key);
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            Ok(app.store_plan(&command, &request.source, request.validate_only).await?)
        })
        .await
        .map(Response::new)
    }

    async fn get_plan_version(
        &self,
        request: Request<pb::GetPlanVersionRequest>,
    ) -> Answer<pb::PlanVersion> {
        let name = &request.get_ref().name;
        let snapshot = self.app.replica.snapshot();
        let stored = snapshot.state.rollouts.plans.get(name);
        let missing = || Refused(Refusal::PlanNotFound(vocab::excerpt(name)));
        let stored = stored.ok_or_else(missing).map_err(Fault::from)?;
        Ok(Response::new(plan_version(name, stored)))
    }

    async fn create_rollout(
        &self,
        request: Request<pb::CreateRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let mut given = self.given(&request, "")?;
        let request = request.into_inner();
        let id = checked(DOMAIN, "rollout_id", ResourceId::new(&request.rollout_id))?;
        given.command.request =
            request_key(DOMAIN, "CreateRollout", &request.request_id, &request)?;
        given.validate_only = request.validate_only;
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let name = format!("rollouts/{id}");
            Ok(app.create(given, &name, &request.plan_version, request.demo).await?)
        })
        .await
        .map(Response::new)
    }

    async fn get_rollout(&self, request: Request<pb::GetRolloutRequest>) -> Answer<pb::Rollout> {
        let name = &request.get_ref().name;
        rollout_name(name)?;
        Ok(Response::new(self.app.public(&self.app.find(name)?)))
    }

    async fn list_rollouts(
        &self,
        request: Request<pb::ListRolloutsRequest>,
    ) -> Answer<pb::ListRolloutsResponse> {
        let request = request.into_inner();
        let page = page(DOMAIN, "rollouts", request.page_size, &request.page_token)?;
        let snapshot = self.app.replica.snapshot();
        let all = snapshot.state.rollouts.by_name.iter();
        let all = all.map(|(name, rollout)| (name.clone(), self.app.public(rollout)));
        let (rollouts, next_page_token) = cut("rollouts", &page, all);
        Ok(Response::new(pb::ListRolloutsResponse { rollouts, next_page_token }))
    }

    async fn start_rollout(
        &self,
        request: Request<pb::StartRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let given = self.given(&request, "")?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let given = Given { etag: request.etag, validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.start(given, &request.name).await?) })
            .await
            .map(Response::new)
    }

    async fn approve_gate(&self, request: Request<pb::ApproveGateRequest>) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, false)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let role = required_role(&request.role)?;
        if request.report_digest.is_empty() {
            let why = "is required: name the digest of the gate report you saw";
            return Err(Fault::field(DOMAIN, "report_digest", why).into());
        }
        let given = Given { validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let (digest, blast_radius) = (&request.report_digest, &request.blast_radius_digest);
            Ok(app.approve(given, &request.name, digest, role, blast_radius).await?)
        })
        .await
        .map(Response::new)
    }

    async fn advance_rollout(
        &self,
        request: Request<pb::AdvanceRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let given = self.given(&request, "")?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        if request.phase_id.is_empty() {
            let why = "is required: name the phase to enter, e.g. P1";
            return Err(Fault::field(DOMAIN, "phase_id", why).into());
        }
        let given = Given { etag: request.etag, validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.advance(given, &request.name, &request.phase_id).await?) })
            .await
            .map(Response::new)
    }

    async fn ramp_rollout(&self, request: Request<pb::RampRolloutRequest>) -> Answer<pb::Rollout> {
        let given = self.given(&request, "")?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let share = BasisPoints::new(request.exposure_basis_points.into()).ok();
        let share = share.filter(|share| *share > BasisPoints::ZERO).ok_or_else(|| {
            let why = format!("{} is no step: expected 1 to 10000", request.exposure_basis_points);
            Fault::field(DOMAIN, "exposure_basis_points", why)
        })?;
        let given = Given { etag: request.etag, validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.ramp(given, &request.name, share).await?) })
            .await
            .map(Response::new)
    }

    async fn pause_rollout(
        &self,
        request: Request<pb::PauseRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let decide = |rollout: &Rollout, _| pause(rollout, &reason, request.global);
            Ok(app.change(given, &request.name, decide).await?)
        })
        .await
        .map(Response::new)
    }

    async fn resume_rollout(
        &self,
        request: Request<pb::ResumeRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let given = Given { etag: required_etag(request.etag.clone(), "resuming")?, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            let actor = given.command.actor.clone();
            let decide = |rollout: &Rollout, _| resume(rollout, &actor, &reason, &request.evidence);
            Ok(app.change(given, &request.name, decide).await?)
        })
        .await
        .map(Response::new)
    }

    async fn approve_plan_version(
        &self,
        request: Request<pb::ApprovePlanVersionRequest>,
    ) -> Answer<pb::PlanVersion> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, false)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        let role = required_role(&request.role)?;
        let app = Arc::clone(&self.app);
        uncancelled(
            async move { Ok(app.approve_plan(&given.command, &request.name, &role).await?) },
        )
        .await
        .map(Response::new)
    }

    async fn roll_back_rollout(
        &self,
        request: Request<pb::RollBackRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        let to_first = request.to_first;
        let decide = move |rollout: &Rollout, _| roll_back(rollout, to_first, &reason);
        self.changed(given, request.name, decide).await
    }

    async fn complete_rollback_step(
        &self,
        request: Request<pb::CompleteRollbackStepRequest>,
    ) -> Answer<pb::Rollout> {
        let detail = check_text(DOMAIN, "detail", &request.get_ref().detail, true)?;
        let given = self.given(&request, &detail)?;
        let pb::CompleteRollbackStepRequest { name, step_id, evidence, .. } = request.into_inner();
        let actor = given.command.actor.clone();
        let decide =
            move |rollout: &Rollout, _| tick_off(rollout, &actor, &step_id, &detail, &evidence);
        self.changed(given, name, decide).await
    }

    async fn note_timeline(
        &self,
        request: Request<pb::NoteTimelineRequest>,
    ) -> Answer<pb::TimelineEntry> {
        let text = check_text(DOMAIN, "text", &request.get_ref().text, true)?;
        let given = self.given(&request, "")?;
        let name = request.into_inner().name;
        rollout_name(&name)?;
        let (app, noted) = (Arc::clone(&self.app), text.clone());
        let (time, actor) = (wire_time(given.command.time), given.command.actor.subject.clone());
        let changed = uncancelled(async move {
            Ok(app.change(given, &name, |rollout, _| Ok(note(rollout, &noted))).await?)
        })
        .await?;
        Ok(Response::new(pb::TimelineEntry {
            revision: changed.etag.trim_matches('"').parse().unwrap_or(0),
            occur_time: Some(time),
            actor,
            text,
            kind: "TimelineNoted".to_owned(),
            ..pb::TimelineEntry::default()
        }))
    }

    async fn list_timeline(
        &self,
        request: Request<pb::ListTimelineRequest>,
    ) -> Answer<pb::ListTimelineResponse> {
        Ok(Response::new(looking::timeline(&self.app, request.into_inner()).await?))
    }

    async fn list_records(
        &self,
        request: Request<pb::ListRecordsRequest>,
    ) -> Answer<pb::ListRecordsResponse> {
        Ok(Response::new(looking::records(&self.app, request.get_ref()).await?))
    }

    async fn advise(&self, request: Request<pb::AdviseRequest>) -> Answer<pb::AdviseResponse> {
        Ok(Response::new(looking::advised(&self.app, &request.into_inner())?))
    }

    async fn change_rollout_plan(
        &self,
        request: Request<pb::ChangeRolloutPlanRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let given = Given {
            etag: required_etag(request.etag, "changing a plan")?,
            validate_only: request.validate_only,
            ..given
        };
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            Ok(app.change_plan(given, &request.name, &request.plan_version).await?)
        })
        .await
        .map(Response::new)
    }

    async fn announce_ga(&self, request: Request<pb::AnnounceGaRequest>) -> Answer<pb::Rollout> {
        let given = self.given(&request, "")?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let given = Given { etag: request.etag, validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.announce(given, &request.name).await?) })
            .await
            .map(Response::new)
    }

    async fn declare_ga(&self, request: Request<pb::DeclareGaRequest>) -> Answer<pb::Rollout> {
        let given = self.given(&request, "")?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let given = Given { etag: request.etag, validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.declare(given, &request.name).await?) })
            .await
            .map(Response::new)
    }

    async fn complete_post_ga_task(
        &self,
        request: Request<pb::CompletePostGaTaskRequest>,
    ) -> Answer<pb::Rollout> {
        let given = self.given(&request, "")?;
        let pb::CompletePostGaTaskRequest { name, task_id, evidence } = request.into_inner();
        let decide = move |rollout: &Rollout, _| complete_task(rollout, &task_id, &evidence);
        self.changed(given, name, decide).await
    }

    async fn archive_rollout(
        &self,
        request: Request<pb::ArchiveRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(&request, &reason)?;
        let request = request.into_inner();
        let given = Given { etag: required_etag(request.etag, "ending")?, ..given };
        let decide = move |rollout: &Rollout, _| archive(rollout, &reason);
        self.changed(given, request.name, decide).await
    }

    type WatchRolloutStream = ReceiverStream<Result<pb::WatchRolloutResponse, Status>>;

    async fn watch_rollout(
        &self,
        request: Request<pb::WatchRolloutRequest>,
    ) -> Answer<Self::WatchRolloutStream> {
        let name = request.into_inner().name;
        rollout_name(&name)?;
        self.app.find(&name)?;
        Ok(Response::new(looking::watch_one(Arc::clone(&self.app), name)))
    }

    type WatchRolloutEventsStream = ReceiverStream<Result<pb::WatchRolloutEventsResponse, Status>>;

    async fn watch_rollout_events(
        &self,
        request: Request<pb::WatchRolloutEventsRequest>,
    ) -> Answer<Self::WatchRolloutEventsStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        let (replica, shutdown) = (Arc::clone(&self.app.replica), self.app.shutdown.clone());
        Ok(Response::new(stream_records(replica, after, shutdown, |record| {
            Some(looking::happened(record))
        })))
    }
}
