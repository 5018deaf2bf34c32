//! The rpcs: decode, call the app, encode.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use contracts::killswitch::kill_switch_service_server::KillSwitchService;
use contracts::killswitch::watch_kill_switch_events_response::Event as Happened;
use service_kit::fault::{Fault, check_text, checked};
use service_kit::identity::actor;
use service_kit::journaled::stream_records;
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use service_kit::wire::{signed, wire_time};
use store::Record;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use vocab::PipelineId;

use crate::app::App;
use crate::convert;
use crate::error::DOMAIN;
use crate::state::decode;
use crate::watch;

const DRILL_TIMEOUT: Duration = Duration::from_secs(10);
const DRILL_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// The service on the wire.
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

#[tonic::async_trait]
impl KillSwitchService for Api {
    async fn engage_kill_switch(
        &self,
        request: Request<pb::EngageKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let actor = actor(request.metadata())?;
        let request = request.into_inner();
        let scope = convert::scope(request.scope.as_ref())?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.engage(scope, actor, reason, false).await?) })
            .await
            .map(Response::new)
    }

    async fn release_kill_switch(
        &self,
        request: Request<pb::ReleaseKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let actor = actor(request.metadata())?;
        let request = request.into_inner();
        let scope = convert::scope(request.scope.as_ref())?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let epoch = u64::try_from(request.epoch).ok().filter(|epoch| *epoch > 0);
        let epoch = epoch.ok_or_else(|| {
            let why = "is required: name the epoch you saw, as GetKillSwitch shows it";
            Fault::field(DOMAIN, "epoch", why)
        })?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.release(scope, epoch, actor, reason).await?) })
            .await
            .map(Response::new)
    }

    async fn get_kill_switch(
        &self,
        request: Request<pb::GetKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let scope = convert::scope(request.get_ref().scope.as_ref())?;
        Ok(Response::new(convert::kill_switch(&self.app.state().state.switches, &scope)))
    }

    async fn list_kill_switches(
        &self,
        request: Request<pb::ListKillSwitchesRequest>,
    ) -> Answer<pb::ListKillSwitchesResponse> {
        let request = request.into_inner();
        let page = page(DOMAIN, "killSwitches", request.page_size, &request.page_token)?;
        let snapshot = self.app.state();
        let switches = &snapshot.state.switches;
        let all = switches.by_id.iter().map(|(id, one)| (id.clone(), convert::wire_switch(one)));
        let (kill_switches, next_page_token) = cut("killSwitches", &page, all);
        let workers = self.app.workers.list().into_iter().map(|(worker_id, worker)| pb::Worker {
            worker_id,
            pipeline: worker.pipeline,
            applied_epoch: signed(worker.applied_epoch),
            apply_duration: worker.apply_time.and_then(|time| time.try_into().ok()),
            connected: true,
            ..pb::Worker::default()
        });
        Ok(Response::new(pb::ListKillSwitchesResponse {
            kill_switches,
            next_page_token,
            epoch: signed(switches.epoch),
            workers: workers.collect(),
        }))
    }

    async fn get_propagation(
        &self,
        _request: Request<pb::GetPropagationRequest>,
    ) -> Answer<pb::Propagation> {
        Err(Status::unimplemented("not told yet"))
    }

    async fn apply_kill_switch_rules(
        &self,
        _request: Request<pb::ApplyKillSwitchRulesRequest>,
    ) -> Answer<pb::ApplyKillSwitchRulesResponse> {
        Err(Status::unimplemented("not taken yet"))
    }

    async fn run_drill(&self, request: Request<pb::RunDrillRequest>) -> Answer<pb::Drill> {
        let actor = actor(request.metadata())?;
        let request = request.into_inner();
        let pipeline = checked(DOMAIN, "pipeline", PipelineId::new(&request.pipeline))?;
        let reason = check_text(DOMAIN, "reason", &request.reason, false)?;
        let timeout = match request.timeout_duration.map(Duration::try_from) {
            None | Some(Ok(Duration::ZERO)) => DRILL_TIMEOUT,
            Some(Ok(timeout)) if timeout <= DRILL_TIMEOUT_MAX => timeout,
            Some(_) => {
                return Err(Fault::field(DOMAIN, "timeout_duration", "expected 0 to 60 s").into());
            }
        };
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.drill(pipeline, actor, reason, timeout).await?) })
            .await
            .map(Response::new)
    }

    type WatchKillSwitchesStream = ReceiverStream<Result<pb::WatchKillSwitchesResponse, Status>>;

    async fn watch_kill_switches(
        &self,
        request: Request<Streaming<pb::WatchKillSwitchesRequest>>,
    ) -> Answer<Self::WatchKillSwitchesStream> {
        watch::watch(Arc::clone(&self.app), request.into_inner()).await.map(Response::new)
    }

    type WatchKillSwitchEventsStream =
        ReceiverStream<Result<pb::WatchKillSwitchEventsResponse, Status>>;

    async fn watch_kill_switch_events(
        &self,
        request: Request<pb::WatchKillSwitchEventsRequest>,
    ) -> Answer<Self::WatchKillSwitchEventsStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        let (replica, shutdown) = (Arc::clone(&self.app.replica), self.app.shutdown.clone());
        Ok(Response::new(stream_records(replica, after, shutdown, |record| Some(happened(record)))))
    }
}

fn happened(record: &Record) -> Result<pb::WatchKillSwitchEventsResponse, Status> {
    let kind = decode(record).map_err(Status::data_loss)?;
    let event = match kind {
        Kind::DrillCompleted(drill) => Happened::Drill(drill),
        changing @ (Kind::Engaged(_) | Kind::Released(_)) => {
            let event = convert::event(changing).map_err(Status::data_loss)?;
            let mut switches = killswitch_core::Switches::default();
            let scope = event.as_ref().map(|event| match event {
                killswitch_core::Event::Engaged { scope, .. }
                | killswitch_core::Event::Released { scope, .. } => scope.clone(),
            });
            event.into_iter().for_each(|e| switches.apply(e, &record.actor.subject, record.time));
            let scope = scope.ok_or_else(|| Status::data_loss("an event without a scope"))?;
            Happened::Change(convert::kill_switch(&switches, &scope))
        }
        Kind::ReleaseRequested(_) | Kind::EpochRaised(_) | Kind::Rules(_) => {
            return Err(Status::unimplemented("not told yet"));
        }
    };
    Ok(pb::WatchKillSwitchEventsResponse {
        revision: signed(record.version),
        occur_time: Some(wire_time(record.time)),
        actor: record.actor.subject.clone(),
        traceparent: record.traceparent.clone(),
        event: Some(event),
    })
}
