//! The rpcs: decode, call the app, encode.

use std::sync::Arc;

use contracts::rollout as pb;
use contracts::rollout::rollout_service_server::RolloutService;
use rollout_core::{pause, ramp, resume};
use service_kit::fault::{Fault, check_text, checked, last_part};
use service_kit::identity::actor;
use service_kit::journaled::{command, request_key, stream_records};
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use service_kit::wire::{signed, wire_time};
use store::Record;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use vocab::{BasisPoints, ResourceId, Role};

use crate::app::{App, Given};
use crate::convert::{self, plan_version};
use crate::error::{DOMAIN, Refused};
use crate::state::decode;

/// The service on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    app: Arc<App>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Api {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    fn given(&self, metadata: &MetadataMap, reason: &str) -> Result<Given, Fault> {
        let command = command(&self.app.clock, actor(metadata)?, reason, None);
        Ok(Given { command, etag: String::new(), validate_only: false })
    }
}

fn rollout_name(name: &str) -> Result<(), Fault> {
    last_part(DOMAIN, "name", name, "rollouts").map(drop)
}

#[tonic::async_trait]
impl RolloutService for Api {
    async fn create_plan_version(
        &self,
        request: Request<pb::CreatePlanVersionRequest>,
    ) -> Answer<pb::PlanVersion> {
        let actor = actor(request.metadata())?;
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
        let missing = || Refused(rollout_core::Refusal::PlanNotFound(vocab::excerpt(name)));
        let stored = stored.ok_or_else(missing).map_err(Fault::from)?;
        Ok(Response::new(plan_version(name, stored)))
    }

    async fn create_rollout(
        &self,
        request: Request<pb::CreateRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let mut given = self.given(request.metadata(), "")?;
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
        let given = self.given(request.metadata(), "")?;
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
        let given = self.given(request.metadata(), &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        if request.role.is_empty() {
            let why = "is required: name the role in which you approve, e.g. engineering_lead";
            return Err(Fault::field(DOMAIN, "role", why).into());
        }
        let role = checked(DOMAIN, "role", Role::new(&request.role))?;
        if request.report_digest.is_empty() {
            let why = "is required: name the digest of the gate report you saw";
            return Err(Fault::field(DOMAIN, "report_digest", why).into());
        }
        let given = Given { validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            Ok(app.approve(given, &request.name, &request.report_digest, role).await?)
        })
        .await
        .map(Response::new)
    }

    async fn advance_rollout(
        &self,
        request: Request<pb::AdvanceRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let given = self.given(request.metadata(), "")?;
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
        let given = self.given(request.metadata(), "")?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let share = BasisPoints::new(request.exposure_basis_points.into()).ok();
        let share = share.filter(|share| *share > BasisPoints::ZERO).ok_or_else(|| {
            let why = format!("{} is no step: expected 1 to 10000", request.exposure_basis_points);
            Fault::field(DOMAIN, "exposure_basis_points", why)
        })?;
        let given = Given { etag: request.etag, validate_only: request.validate_only, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            Ok(app.change(given, &request.name, |rollout, now| ramp(rollout, share, now)).await?)
        })
        .await
        .map(Response::new)
    }

    async fn pause_rollout(
        &self,
        request: Request<pb::PauseRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(request.metadata(), &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            Ok(app.change(given, &request.name, |rollout, _| pause(rollout, &reason)).await?)
        })
        .await
        .map(Response::new)
    }

    async fn resume_rollout(
        &self,
        request: Request<pb::ResumeRolloutRequest>,
    ) -> Answer<pb::Rollout> {
        let reason = check_text(DOMAIN, "reason", &request.get_ref().reason, true)?;
        let given = self.given(request.metadata(), &reason)?;
        let request = request.into_inner();
        rollout_name(&request.name)?;
        if request.etag.is_empty() {
            let why = "is required: name the etag you saw, resuming is considered";
            return Err(Fault::field(DOMAIN, "etag", why).into());
        }
        let given = Given { etag: request.etag, ..given };
        let app = Arc::clone(&self.app);
        uncancelled(async move {
            Ok(app.change(given, &request.name, |rollout, _| resume(rollout, &reason)).await?)
        })
        .await
        .map(Response::new)
    }

    type WatchRolloutStream = ReceiverStream<Result<pb::WatchRolloutResponse, Status>>;

    async fn watch_rollout(
        &self,
        request: Request<pb::WatchRolloutRequest>,
    ) -> Answer<Self::WatchRolloutStream> {
        let name = request.into_inner().name;
        rollout_name(&name)?;
        self.app.find(&name)?;
        Ok(Response::new(watch_one(Arc::clone(&self.app), name)))
    }

    type WatchRolloutEventsStream = ReceiverStream<Result<pb::WatchRolloutEventsResponse, Status>>;

    async fn watch_rollout_events(
        &self,
        request: Request<pb::WatchRolloutEventsRequest>,
    ) -> Answer<Self::WatchRolloutEventsStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        let (replica, shutdown) = (Arc::clone(&self.app.replica), self.app.shutdown.clone());
        Ok(Response::new(stream_records(replica, after, shutdown, |record| Some(happened(record)))))
    }
}

/// Streams one rollout: what it is now, then what it becomes. Changes in between are coalesced.
fn watch_one(
    app: Arc<App>,
    name: String,
) -> ReceiverStream<Result<pb::WatchRolloutResponse, Status>> {
    let (tx, rx) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut changes = app.replica.changes();
        let mut shutdown = app.shutdown.clone();
        let mut sent = None;
        loop {
            changes.mark_unchanged();
            let Ok(rollout) = app.find(&name) else { return };
            let state = Some((rollout.revision, rollout.applied_generation));
            if state > sent {
                sent = state;
                let rollout = Some(convert::rollout(&rollout, app.clock.now()));
                if tx.send(Ok(pb::WatchRolloutResponse { rollout })).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = shutdown.wait() => return,
                () = tx.closed() => return,
            }
        }
    });
    ReceiverStream::new(rx)
}

fn happened(record: &Record) -> Result<pb::WatchRolloutEventsResponse, Status> {
    Ok(pb::WatchRolloutEventsResponse {
        revision: signed(record.version),
        occur_time: Some(wire_time(record.time)),
        actor: record.actor.subject.clone(),
        reason: record.reason.clone(),
        traceparent: record.traceparent.clone(),
        event: Some(decode(record).map_err(Status::data_loss)?),
    })
}
