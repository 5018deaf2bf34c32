//! The services around it, reduced to what it follows.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use contracts::killswitch as kill;
use contracts::killswitch::kill_switch_service_server::{
    KillSwitchService, KillSwitchServiceServer,
};
use contracts::rollout as ro;
use contracts::rollout::rollout_service_server::{RolloutService, RolloutServiceServer};
use service_kit::server;
use service_kit::shutdown::{self, Trigger};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// A stream of events that grows, and the cursors it was asked to go on from.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    events: watch::Sender<Vec<T>>,
    cursors: Mutex<Vec<i64>>,
}

impl<T: Clone + Send + Sync + 'static> Feed<T> {
    fn new() -> Self {
        Self { events: watch::Sender::new(Vec::new()), cursors: Mutex::default() }
    }

    /// Adds an event; its revision is its place.
    pub(crate) fn push(&self, event: impl FnOnce(i64) -> T) {
        self.events.send_modify(|all| {
            let revision = i64::try_from(all.len() + 1).unwrap();
            all.push(event(revision));
        });
    }

    /// The cursors of those who followed, in order.
    pub(crate) fn cursors(&self) -> Vec<i64> {
        self.cursors.lock().unwrap().clone()
    }

    fn follow(&self, after: i64) -> ReceiverStream<Result<T, Status>> {
        self.cursors.lock().unwrap().push(after);
        let (tx, rx) = mpsc::channel(16);
        let mut events = self.events.subscribe();
        let mut sent = usize::try_from(after).unwrap();
        tokio::spawn(async move {
            loop {
                let all = events.borrow_and_update().clone();
                for event in all.into_iter().skip(sent) {
                    sent += 1;
                    if tx.send(Ok(event)).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = events.changed() => if changed.is_err() { return },
                    () = tx.closed() => return,
                }
            }
        });
        ReceiverStream::new(rx)
    }
}

/// Both services on one port.
#[derive(Debug)]
pub(crate) struct Fakes {
    pub(crate) address: SocketAddr,
    pub(crate) rollouts: Arc<Feed<ro::WatchRolloutEventsResponse>>,
    pub(crate) switches: Arc<Feed<kill::WatchKillSwitchEventsResponse>>,
    /// How often a plan is refused before it is given.
    pub(crate) plan_refusals: Arc<AtomicUsize>,
    /// The plan of every rollout.
    pub(crate) plan: Arc<Mutex<String>>,
    _running: Trigger,
}

impl Fakes {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (rollouts, switches) = (Arc::new(Feed::new()), Arc::new(Feed::new()));
        let (running, ended) = shutdown::channel();
        let plan_refusals = Arc::new(AtomicUsize::new(0));
        let plan = Arc::new(Mutex::new(plan::SHIPPED.to_owned()));
        let router = server::hardened()
            .add_service(RolloutServiceServer::new(Rollouts {
                events: Arc::clone(&rollouts),
                refusals: Arc::clone(&plan_refusals),
                plan: Arc::clone(&plan),
            }))
            .add_service(KillSwitchServiceServer::new(Switches(Arc::clone(&switches))));
        tokio::spawn(server::serve(router, listener, ended));
        Self { address, rollouts, switches, plan_refusals, plan, _running: running }
    }
}

type Answer<T> = Result<Response<T>, Status>;

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

struct Rollouts {
    events: Arc<Feed<ro::WatchRolloutEventsResponse>>,
    refusals: Arc<AtomicUsize>,
    plan: Arc<Mutex<String>>,
}

fake!(RolloutService for Rollouts {
    create_plan_version: ro::CreatePlanVersionRequest => ro::PlanVersion,
    create_rollout: ro::CreateRolloutRequest => ro::Rollout,
    get_rollout: ro::GetRolloutRequest => ro::Rollout,
    start_rollout: ro::StartRolloutRequest => ro::Rollout,
    approve_gate: ro::ApproveGateRequest => ro::Rollout,
    advance_rollout: ro::AdvanceRolloutRequest => ro::Rollout,
    ramp_rollout: ro::RampRolloutRequest => ro::Rollout,
    pause_rollout: ro::PauseRolloutRequest => ro::Rollout,
    resume_rollout: ro::ResumeRolloutRequest => ro::Rollout,
    approve_plan_version: ro::ApprovePlanVersionRequest => ro::PlanVersion,
    roll_back_rollout: ro::RollBackRolloutRequest => ro::Rollout,
    complete_rollback_step: ro::CompleteRollbackStepRequest => ro::Rollout,
    note_timeline: ro::NoteTimelineRequest => ro::TimelineEntry,
    list_timeline: ro::ListTimelineRequest => ro::ListTimelineResponse,
    list_records: ro::ListRecordsRequest => ro::ListRecordsResponse,
    advise: ro::AdviseRequest => ro::AdviseResponse,
    change_rollout_plan: ro::ChangeRolloutPlanRequest => ro::Rollout,
    announce_ga: ro::AnnounceGaRequest => ro::Rollout,
    declare_ga: ro::DeclareGaRequest => ro::Rollout,
    complete_post_ga_task: ro::CompletePostGaTaskRequest => ro::Rollout,
    archive_rollout: ro::ArchiveRolloutRequest => ro::Rollout,
    watch_rollout: ro::WatchRolloutRequest => Self::WatchRolloutStream,
}
    async fn get_plan_version(
        &self,
        request: Request<ro::GetPlanVersionRequest>,
    ) -> Answer<ro::PlanVersion> {
        let refused = |left: usize| left.checked_sub(1);
        if self.refusals.fetch_update(Relaxed, Relaxed, refused).is_ok() {
            return Err(Status::unavailable("not yet"));
        }
        let name = request.into_inner().name;
        let source = self.plan.lock().unwrap().as_bytes().to_vec();
        Ok(Response::new(ro::PlanVersion { name, source, ..ro::PlanVersion::default() }))
    }

    async fn list_rollouts(
        &self,
        _request: Request<ro::ListRolloutsRequest>,
    ) -> Answer<ro::ListRolloutsResponse> {
        let mut response = ro::ListRolloutsResponse::default();
        for event in self.events.events.borrow().iter().filter_map(|one| one.event.as_ref()) {
            if let Some(ro::rollout_event::Kind::RolloutCreated(_)) = event.kind {
                let (name, pipeline) = (event.rollout.clone(), "ingestion_v2".to_owned());
                response.rollouts.push(ro::Rollout { name, pipeline, ..ro::Rollout::default() });
            }
        }
        Ok(Response::new(response))
    }

    type WatchRolloutStream = ReceiverStream<Result<ro::WatchRolloutResponse, Status>>;
    type WatchRolloutEventsStream =
        ReceiverStream<Result<ro::WatchRolloutEventsResponse, Status>>;

    async fn watch_rollout_events(
        &self,
        request: Request<ro::WatchRolloutEventsRequest>,
    ) -> Answer<Self::WatchRolloutEventsStream> {
        Ok(Response::new(self.events.follow(request.get_ref().after_revision)))
    }
);

struct Switches(Arc<Feed<kill::WatchKillSwitchEventsResponse>>);

fake!(KillSwitchService for Switches {
    engage_kill_switch: kill::EngageKillSwitchRequest => kill::KillSwitch,
    release_kill_switch: kill::ReleaseKillSwitchRequest => kill::KillSwitch,
    get_kill_switch: kill::GetKillSwitchRequest => kill::KillSwitch,
    list_kill_switches: kill::ListKillSwitchesRequest => kill::ListKillSwitchesResponse,
    get_propagation: kill::GetPropagationRequest => kill::Propagation,
    apply_kill_switch_rules:
        kill::ApplyKillSwitchRulesRequest => kill::ApplyKillSwitchRulesResponse,
    run_drill: kill::RunDrillRequest => kill::Drill,
    watch_kill_switches: Streaming<kill::WatchKillSwitchesRequest> => Self::WatchKillSwitchesStream,
}
    type WatchKillSwitchesStream =
        ReceiverStream<Result<kill::WatchKillSwitchesResponse, Status>>;
    type WatchKillSwitchEventsStream =
        ReceiverStream<Result<kill::WatchKillSwitchEventsResponse, Status>>;

    async fn watch_kill_switch_events(
        &self,
        request: Request<kill::WatchKillSwitchEventsRequest>,
    ) -> Answer<Self::WatchKillSwitchEventsStream> {
        Ok(Response::new(self.0.follow(request.get_ref().after_revision)))
    }
);
