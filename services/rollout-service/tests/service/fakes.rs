//! The services around the conductor, reduced to what it asks of them, and failing when told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::flag as flag_pb;
use contracts::flag::blast_radius_service_server::{BlastRadiusService, BlastRadiusServiceServer};
use contracts::flag::flag_service_server::{FlagService, FlagServiceServer};
use contracts::gate as gate_pb;
use contracts::gate::gate_service_server::{GateService, GateServiceServer};
use contracts::killswitch as kill_pb;
use contracts::killswitch::kill_switch_service_server::{
    KillSwitchService, KillSwitchServiceServer,
};
use service_kit::server;
use service_kit::shutdown::{self, Trigger};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;

/// When a call does not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It is lost on the way there.
    Before(usize),
    /// It is carried out, and its answer is lost.
    After(usize),
}

/// What the fakes have been told, and what they say.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// Every call that changes anything, in the order in which it was carried out.
    pub(crate) told: Vec<String>,
    /// Where calls are cut; from there on none comes through.
    pub(crate) cut: Option<Cut>,
    calls: usize,
    phase_generation: i64,
    kill_epoch: i64,
    /// Whether thresholds are met.
    pub(crate) thresholds_met: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Fakes {
    pub(crate) address: SocketAddr,
    world: Arc<Mutex<World>>,
    events: Arc<watch::Sender<Vec<gate_pb::TriggerEvent>>>,
    _running: Arc<Trigger>,
}

impl Fakes {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (running, ended) = shutdown::channel();
        let world = Arc::new(Mutex::new(World { thresholds_met: true, ..World::default() }));
        let events = Arc::new(watch::Sender::new(Vec::new()));
        let fakes = Self { address, world, events, _running: Arc::new(running) };
        let router = server::hardened()
            .add_service(FlagServiceServer::new(Flags(fakes.clone())))
            .add_service(BlastRadiusServiceServer::new(Radii))
            .add_service(GateServiceServer::new(Gates(fakes.clone())))
            .add_service(KillSwitchServiceServer::new(Switches(fakes.clone())));
        tokio::spawn(server::serve(router, listener, ended));
        fakes
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls come through again, or are cut from the next one on.
    pub(crate) fn cut(&self, cut: Option<Cut>) {
        let mut world = self.world();
        world.calls = 0;
        world.cut = cut;
    }

    /// A call that changes something.
    fn changes(&self, what: String) -> Result<(), Status> {
        let mut world = self.world();
        world.calls += 1;
        let (calls, lost) = (world.calls, Err(Status::unavailable("the answer is lost")));
        match world.cut {
            Some(Cut::Before(place)) if calls >= place => lost,
            Some(Cut::After(place)) if calls > place => lost,
            Some(Cut::After(place)) if calls == place => {
                world.told.push(what);
                lost
            }
            Some(_) | None => {
                world.told.push(what);
                Ok(())
            }
        }
    }

    /// The gate service sees something of the phase that it knows of, or of an older one.
    pub(crate) fn sees(&self, rollout: &str, kind: gate_pb::TriggerKind, id: &str, fires: bool) {
        let (fired, clear) = (gate_pb::TriggerState::Fired, gate_pb::TriggerState::Clear);
        let (state, previous) = if fires { (fired, clear) } else { (clear, fired) };
        let phase_generation = self.world().phase_generation;
        let event = gate_pb::TriggerEvent {
            rollout: rollout.to_owned(),
            phase_generation,
            trigger: format!("{rollout}/triggers/{id}"),
            kind: kind.into(),
            state: state.into(),
            previous_state: previous.into(),
            title: id.to_owned(),
            evidence: Some(gate_pb::TriggerEvidence {
                value: "35% (7 of 20)".to_owned(),
                ..gate_pb::TriggerEvidence::default()
            }),
            ..gate_pb::TriggerEvent::default()
        };
        self.events.send_modify(|events| events.push(event));
    }
}

/// Implements a service; the calls nobody makes are refused.
macro_rules! fake {
    ($service:ident for $type:ident { $($call:ident: $request:ty => $answer:ty,)* } $($real:tt)*) => {
        #[tonic::async_trait]
        impl $service for $type {
            $(async fn $call(&self, _request: Request<$request>) -> Answer<$answer> {
                Err(Status::unimplemented("a fake"))
            })*
            $($real)*
        }
    };
}

struct Flags(Fakes);

fake!(FlagService for Flags {
    list_flags: flag_pb::ListFlagsRequest => flag_pb::ListFlagsResponse,
    create_flag: flag_pb::CreateFlagRequest => flag_pb::Flag,
    update_flag: flag_pb::UpdateFlagRequest => flag_pb::Flag,
    delete_flag: flag_pb::DeleteFlagRequest => flag_pb::Flag,
    undelete_flag: flag_pb::UndeleteFlagRequest => flag_pb::Flag,
}
    async fn get_flag(&self, request: Request<flag_pb::GetFlagRequest>) -> Answer<flag_pb::Flag> {
        let name = request.into_inner().name;
        Ok(Response::new(flag_pb::Flag { name, ..flag_pb::Flag::default() }))
    }

    async fn apply_rollout_step(
        &self,
        request: Request<flag_pb::ApplyRolloutStepRequest>,
    ) -> Answer<flag_pb::Flag> {
        let step = request.into_inner();
        let share = step.definition.map_or(0, |definition| definition.percentage_basis_points);
        let paused = if step.paused { ", paused" } else { "" };
        self.0.changes(format!("flag: {} at {share}{paused}", step.phase_id))?;
        Ok(Response::new(flag_pb::Flag { name: step.name, ..flag_pb::Flag::default() }))
    }
);

struct Radii;

fake!(BlastRadiusService for Radii {
    get_blast_radius: flag_pb::GetBlastRadiusRequest => flag_pb::BlastRadius,
    compute_stratification: Streaming<flag_pb::ComputeStratificationRequest> => flag_pb::Stratification,
}
    async fn compute_blast_radius(
        &self,
        _request: Request<Streaming<flag_pb::ComputeBlastRadiusRequest>>,
    ) -> Answer<flag_pb::BlastRadius> {
        let digest = "a".repeat(64);
        Ok(Response::new(flag_pb::BlastRadius { digest, ..flag_pb::BlastRadius::default() }))
    }
);

struct Gates(Fakes);

impl Gates {
    /// A report in which everything is met.
    fn report(&self, gate: &str) -> gate_pb::GateReport {
        let generation = self.0.world().phase_generation;
        let criterion = gate_pb::CriterionResult {
            criterion_id: "everything".to_owned(),
            verdict: gate_pb::Verdict::Pass.into(),
            ..gate_pb::CriterionResult::default()
        };
        gate_pb::GateReport {
            gate: gate.to_owned(),
            generation,
            verdict: gate_pb::Verdict::Pass.into(),
            criteria: vec![criterion],
            digest: format!("{}@{generation}", gate.rsplit('/').next().unwrap_or_default()),
            ..gate_pb::GateReport::default()
        }
    }
}

fake!(GateService for Gates {
    get_gate_plan: gate_pb::GetGatePlanRequest => gate_pb::GatePlan,
    attest_criterion: gate_pb::AttestCriterionRequest => gate_pb::Attestation,
    withdraw_attestation: gate_pb::WithdrawAttestationRequest => gate_pb::Attestation,
    get_ga_record: gate_pb::GetGaRecordRequest => gate_pb::GaRecord,
}
    async fn apply_gate_plan(
        &self,
        request: Request<gate_pb::ApplyGatePlanRequest>,
    ) -> Answer<gate_pb::GatePlan> {
        let plan = request.into_inner();
        self.0.changes(format!("gate: {} in {}", plan.phase_id, plan.phase_generation))?;
        self.0.world().phase_generation = plan.phase_generation;
        Ok(Response::new(gate_pb::GatePlan::default()))
    }

    async fn evaluate_gate(
        &self,
        request: Request<gate_pb::EvaluateGateRequest>,
    ) -> Answer<gate_pb::GateReport> {
        Ok(Response::new(self.report(&request.into_inner().name)))
    }

    async fn get_gate_report(
        &self,
        request: Request<gate_pb::GetGateReportRequest>,
    ) -> Answer<gate_pb::GateReport> {
        let pb = request.into_inner();
        let gate = pb.digest.split('@').next().unwrap_or_default();
        Ok(Response::new(self.report(&format!("{}/gates/{gate}", pb.name))))
    }

    async fn list_gate_reports(
        &self,
        _request: Request<gate_pb::ListGateReportsRequest>,
    ) -> Answer<gate_pb::ListGateReportsResponse> {
        Ok(Response::new(gate_pb::ListGateReportsResponse::default()))
    }

    async fn list_metrics(
        &self,
        _request: Request<gate_pb::ListMetricsRequest>,
    ) -> Answer<gate_pb::ListMetricsResponse> {
        Err(Status::unavailable("no numbers today"))
    }

    async fn list_triggers(
        &self,
        _request: Request<gate_pb::ListTriggersRequest>,
    ) -> Answer<gate_pb::ListTriggersResponse> {
        let met = self.0.world().thresholds_met;
        let value = if met { "0.1% (1 of 1000)" } else { "" };
        let threshold = gate_pb::Trigger {
            kind: gate_pb::TriggerKind::Threshold.into(),
            state: gate_pb::TriggerState::Clear.into(),
            evidence: Some(gate_pb::TriggerEvidence {
                value: value.to_owned(),
                ..gate_pb::TriggerEvidence::default()
            }),
            watched: true,
            ..gate_pb::Trigger::default()
        };
        Ok(Response::new(gate_pb::ListTriggersResponse { triggers: vec![threshold] }))
    }

    type WatchTriggersStream = ReceiverStream<Result<gate_pb::WatchTriggersResponse, Status>>;

    async fn watch_triggers(
        &self,
        request: Request<gate_pb::WatchTriggersRequest>,
    ) -> Answer<Self::WatchTriggersStream> {
        let (tx, rx) = mpsc::channel(16);
        let mut events = self.0.events.subscribe();
        let mut sent = usize::try_from(request.get_ref().after_revision).unwrap();
        tokio::spawn(async move {
            loop {
                let all = events.borrow_and_update().clone();
                for event in all.into_iter().skip(sent) {
                    sent += 1;
                    let revision = i64::try_from(sent).unwrap();
                    let (event, traceparent) = (Some(event), String::new());
                    let response = gate_pb::WatchTriggersResponse { revision, traceparent, event };
                    if tx.send(Ok(response)).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = events.changed() => if changed.is_err() { return },
                    () = tx.closed() => return,
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(rx)))
    }
);

struct Switches(Fakes);

fake!(KillSwitchService for Switches {
    release_kill_switch: kill_pb::ReleaseKillSwitchRequest => kill_pb::KillSwitch,
    get_kill_switch: kill_pb::GetKillSwitchRequest => kill_pb::KillSwitch,
    get_propagation: kill_pb::GetPropagationRequest => kill_pb::Propagation,
    run_drill: kill_pb::RunDrillRequest => kill_pb::Drill,
    watch_kill_switches:
        Streaming<kill_pb::WatchKillSwitchesRequest> => Self::WatchKillSwitchesStream,
    watch_kill_switch_events:
        kill_pb::WatchKillSwitchEventsRequest => Self::WatchKillSwitchEventsStream,
}
    type WatchKillSwitchesStream =
        ReceiverStream<Result<kill_pb::WatchKillSwitchesResponse, Status>>;
    type WatchKillSwitchEventsStream =
        ReceiverStream<Result<kill_pb::WatchKillSwitchEventsResponse, Status>>;

    async fn engage_kill_switch(
        &self,
        _request: Request<kill_pb::EngageKillSwitchRequest>,
    ) -> Answer<kill_pb::KillSwitch> {
        self.0.changes("kill switch: engaged".to_owned())?;
        let mut world = self.0.world();
        world.kill_epoch = world.kill_epoch.max(1); // Repeating it changes nothing.
        let epoch = world.kill_epoch;
        Ok(Response::new(kill_pb::KillSwitch { epoch, ..kill_pb::KillSwitch::default() }))
    }

    async fn list_kill_switches(
        &self,
        _request: Request<kill_pb::ListKillSwitchesRequest>,
    ) -> Answer<kill_pb::ListKillSwitchesResponse> {
        Ok(Response::new(kill_pb::ListKillSwitchesResponse::default()))
    }

    async fn apply_kill_switch_rules(
        &self,
        _request: Request<kill_pb::ApplyKillSwitchRulesRequest>,
    ) -> Answer<kill_pb::ApplyKillSwitchRulesResponse> {
        self.0.changes("kill switch: rules".to_owned())?;
        Ok(Response::new(kill_pb::ApplyKillSwitchRulesResponse::default()))
    }
);
