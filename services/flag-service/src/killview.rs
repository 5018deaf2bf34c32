//! What this process knows of the kill switches, kept current by a watch of its own.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::watch_kill_switches_request::{Acknowledgement, Hello, Message};
use killswitch_core::{Engaged, Policy, Scope, Target, View};
use service_kit::clock::Clock;
use service_kit::peers::{Peer, follow};
use service_kit::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use vocab::{Pattern, PhaseId, PipelineId};

/// The newest state heard of.
#[derive(Debug)]
pub(crate) struct KillView {
    view: RwLock<View>,
    policy: Policy,
    clock: Clock,
}

impl KillView {
    /// Starts following. Until the first word, everything counts as killed.
    pub(crate) fn follow(
        peer: Peer,
        clock: Clock,
        stale_after: Duration,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let policy = Policy { stale_after, fail_closed: true };
        let view = Arc::new(Self { view: RwLock::default(), policy, clock });
        let (followed, id) = (Arc::clone(&view), format!("flag-service-{}", uuid::Uuid::new_v4()));
        tokio::spawn(follow("kill switches", shutdown, move || {
            let (view, peer, id) = (Arc::clone(&followed), peer.clone(), id.clone());
            async move { view.listen(peer, id).await }
        }));
        view
    }

    /// Whether the target is stopped, and the epoch that says so.
    pub(crate) fn is_killed(&self, target: Target<'_>) -> (bool, u64) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        (view.is_killed(target, self.policy, self.clock.monotonic()), view.epoch())
    }

    async fn listen(&self, peer: Peer, worker_id: String) -> Result<(), Status> {
        let (tx, rx) = mpsc::channel(4);
        let epoch = self.view.read().unwrap_or_else(PoisonError::into_inner).epoch();
        let hello = Hello { worker_id, pipeline: "all".to_owned(), epoch: signed(epoch) };
        let hello = pb::WatchKillSwitchesRequest { message: Some(Message::Hello(hello)) };
        tx.send(hello).await.ok(); // Cannot fail: the other half is right here.
        let mut client = KillSwitchServiceClient::new(peer);
        let mut states = client.watch_kill_switches(ReceiverStream::new(rx)).await?.into_inner();
        loop {
            // Silence is lost contact: a half-open stream gives no error by itself.
            let next = tokio::time::timeout(self.policy.stale_after, states.next()).await;
            let next = next.map_err(|_e| Status::deadline_exceeded("no sign of life"))?;
            let Some(response) = next.transpose()? else { return Ok(()) };
            let epoch = self.accept(&response.state.unwrap_or_default())?;
            let acknowledgement = Acknowledgement { epoch: signed(epoch) };
            let message = Some(Message::Acknowledgement(acknowledgement));
            if tx.send(pb::WatchKillSwitchesRequest { message }).await.is_err() {
                return Ok(());
            }
        }
    }

    fn accept(&self, state: &pb::KillState) -> Result<u64, Status> {
        let engaged = state.engaged.iter().map(engaged).collect::<Result<_, _>>()?;
        let epoch = u64::try_from(state.epoch).unwrap_or(0);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.accept(epoch, engaged, self.clock.monotonic()) {
            tracing::info!(epoch, engaged = view.engaged().len(), "kill switches changed");
        }
        Ok(view.epoch().min(epoch))
    }
}

fn signed(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}

/// Reads an engaged switch. A scope that does not read is the widest.
fn engaged(wire: &pb::KillSwitch) -> Result<Engaged, Status> {
    let epoch = u64::try_from(wire.epoch).unwrap_or(0);
    let scope = wire.scope.as_ref().and_then(|scope| {
        let pipeline = PipelineId::new(&scope.pipeline).ok();
        match scope.kind() {
            Kind::Unspecified | Kind::Global => None,
            Kind::Pipeline => Some(Scope::Pipeline(pipeline?)),
            Kind::Cohort => Some(Scope::Cohort(pipeline?, PhaseId::new(&scope.phase_id).ok()?)),
            Kind::Workspace => {
                Some(Scope::Workspace(pipeline?, Pattern::new(&scope.workspace_pattern).ok()?))
            }
        }
    });
    Ok(Engaged { scope: scope.unwrap_or(Scope::Global), epoch })
}
