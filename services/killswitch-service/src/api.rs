//! The rpcs: decode, call the app, encode.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use contracts::killswitch::kill_switch_service_server::KillSwitchService;
use contracts::killswitch::watch_kill_switch_events_response::Event as Happened;
use killswitch_core::{Resume, Switches};
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
use crate::propagation::wire_worker;
use crate::state::decode;
use crate::{drill, watch};

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
        let actor = actor(&request)?;
        let request = request.into_inner();
        let scope = convert::scope(request.scope.as_ref())?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.engage(scope, actor, reason).await) })
            .await
            .map(Response::new)
    }

    async fn release_kill_switch(
        &self,
        request: Request<pb::ReleaseKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        let scope = convert::scope(request.scope.as_ref())?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let evidence = convert::evidence(&request.evidence)?;
        let seen = u64::try_from(request.epoch).ok().filter(|epoch| *epoch > 0);
        let seen = seen.ok_or_else(|| {
            let why = "is required: name the epoch you saw, as GetKillSwitch shows it";
            Fault::field(DOMAIN, "epoch", why)
        })?;
        let app = Arc::clone(&self.app);
        let (ramp, person) = (app.timing.ramp, actor.subject.clone());
        let resume = Resume { actor: person, seen, reason, evidence, ramp };
        uncancelled(async move { Ok(app.release(scope, actor, resume).await?) })
            .await
            .map(Response::new)
    }

    async fn get_kill_switch(
        &self,
        request: Request<pb::GetKillSwitchRequest>,
    ) -> Answer<pb::KillSwitch> {
        let scope = convert::scope(request.get_ref().scope.as_ref())?;
        let in_force = &self.app.in_force;
        Ok(Response::new(in_force.kill_switch(&in_force.told(), &scope)))
    }

    async fn list_kill_switches(
        &self,
        request: Request<pb::ListKillSwitchesRequest>,
    ) -> Answer<pb::ListKillSwitchesResponse> {
        let request = request.into_inner();
        let page = page(DOMAIN, "killSwitches", request.page_size, &request.page_token)?;
        let told = self.app.in_force.told();
        let stored = told.stored.state.switches.by_id.values().map(|switch| &switch.scope);
        let unstored = told.provisional.kills().map(|kill| &kill.switch.scope);
        let all: BTreeMap<_, _> = stored.chain(unstored).map(|scope| (scope.id(), scope)).collect();
        let wire = |scope| self.app.in_force.kill_switch(&told, scope);
        let all = all.into_iter().map(|(id, scope)| (id, wire(scope)));
        let (kill_switches, next_page_token) = cut("killSwitches", &page, all);
        let workers = self.app.workers.list(self.app.clock.monotonic());
        let workers = workers.iter().map(|worker| wire_worker(worker, &self.app.clock));
        Ok(Response::new(pb::ListKillSwitchesResponse {
            kill_switches,
            next_page_token,
            epoch: signed(told.epoch),
            workers: workers.collect(),
        }))
    }

    async fn get_propagation(
        &self,
        request: Request<pb::GetPropagationRequest>,
    ) -> Answer<pb::Propagation> {
        Ok(Response::new(self.app.propagation(request.get_ref().epoch)?))
    }

    async fn apply_kill_switch_rules(
        &self,
        request: Request<pb::ApplyKillSwitchRulesRequest>,
    ) -> Answer<pb::ApplyKillSwitchRulesResponse> {
        let actor = actor(&request)?;
        let rules = convert::rules(request.into_inner().rules)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.take_rules(actor, rules).await?) }).await?;
        Ok(Response::new(pb::ApplyKillSwitchRulesResponse {}))
    }

    async fn run_drill(&self, request: Request<pb::RunDrillRequest>) -> Answer<pb::Drill> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        let pipeline = checked(DOMAIN, "pipeline", PipelineId::new(&request.pipeline))?;
        let reason = check_text(DOMAIN, "reason", &request.reason, false)?;
        let timeout = match request.timeout_duration.map(Duration::try_from) {
            None | Some(Ok(Duration::ZERO)) => drill::TIMEOUT,
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
        let survives = self.app.in_force.survives().to_owned();
        let convert = move |record: &Record| happened(record, &survives).transpose();
        Ok(Response::new(stream_records(replica, after, shutdown, convert)))
    }
}

/// What a record tells those who follow; `None` where it changes nothing for anybody yet.
fn happened(
    record: &Record,
    survives: &str,
) -> Result<Option<pb::WatchKillSwitchEventsResponse>, Status> {
    let kind = decode(record).map_err(Status::data_loss)?;
    let event = match kind {
        Kind::DrillCompleted(drill) => Happened::Drill(drill),
        Kind::ReleaseRequested(_) | Kind::EpochRaised(_) | Kind::Rules(_) => return Ok(None),
        changing @ (Kind::Engaged(_) | Kind::Released(_)) => {
            let event = convert::event(changing).map_err(Status::data_loss)?;
            let mut switches = Switches::default();
            event.into_iter().for_each(|e| switches.apply(e, &record.actor.subject, record.time));
            let switch = switches.by_id.values().next();
            let switch = switch.ok_or_else(|| Status::data_loss("an event without a scope"))?;
            Happened::Change(convert::wire_switch(switch, Some(survives)))
        }
    };
    Ok(Some(pb::WatchKillSwitchEventsResponse {
        revision: signed(record.version),
        occur_time: Some(wire_time(record.time)),
        actor: record.actor.subject.clone(),
        traceparent: record.traceparent.clone(),
        event: Some(event),
    }))
}
