//! The kill switch as one process knows it, kept current by a stream that it acknowledges.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::watch_kill_switches_request::{Acknowledgement, Hello, Message};
use killswitch_core::{Engaged, Policy, Scope, Target, View};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;
use vocab::{Pattern, PhaseId, PipelineId};

use crate::clock::Stopwatch;

const DELAY_FIRST: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(2);

/// How to watch.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Identifies the watcher, e.g. `worker-1`.
    pub worker_id: String,
    /// The pipeline served; drills count its watchers.
    pub pipeline: String,
    /// What to do in silence.
    pub policy: Policy,
}

/// The newest state heard of. Until the first word, everything counts as killed.
#[derive(Debug)]
pub struct KillWatch {
    view: RwLock<View>,
    options: WatchOptions,
    clock: Stopwatch,
    heard: watch::Sender<bool>,
}

impl KillWatch {
    /// Starts watching, for as long as the runtime lives. Must be called inside one.
    #[must_use]
    pub fn start(channel: Channel, options: WatchOptions) -> Arc<Self> {
        let watch = Arc::new(Self {
            view: RwLock::default(),
            options,
            clock: Stopwatch::start(),
            heard: watch::Sender::new(false),
        });
        let watching = Arc::clone(&watch);
        tokio::spawn(async move {
            let mut delay = DELAY_FIRST;
            loop {
                match watching.listen(channel.clone(), &mut delay).await {
                    Ok(()) => delay = DELAY_FIRST,
                    Err(status) => {
                        if delay == DELAY_FIRST {
                            let (code, why) = (status.code(), status.message());
                            tracing::warn!(%code, why, "lost touch with the kill switch");
                        }
                        delay = (delay * 2).min(DELAY_MAX);
                    }
                }
                tokio::time::sleep(delay).await;
            }
        });
        watch
    }

    /// Whether the target is stopped, and the epoch this process holds.
    #[must_use]
    pub fn is_killed(&self, target: Target<'_>) -> (bool, u64) {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        (view.is_killed(target, self.options.policy, self.clock.elapsed()), view.epoch())
    }

    /// Whether a switch covers the target for certain: a cohort's does so only where the phase
    /// is known.
    pub(crate) fn covers_without_phase(&self, target: Target<'_>) -> bool {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.engaged().iter().any(|switch| match &switch.scope {
            Scope::Cohort(..) => target.phase.is_some() && switch.scope.covers(target),
            Scope::Global | Scope::Pipeline(_) | Scope::Workspace(..) => {
                switch.scope.covers(target)
            }
        })
    }

    /// The highest epoch heard of.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.view.read().unwrap_or_else(PoisonError::into_inner).epoch()
    }

    /// Waits for the first word of the kill-switch service.
    pub async fn first_word(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        drop(self.heard.subscribe().wait_for(|heard| *heard).await);
    }

    /// Whether the last word is older than the policy trusts, or there was none.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        view.is_stale(self.options.policy, self.clock.elapsed())
    }

    /// Listens until contact is lost. A word of the service makes the next attempt a quick one.
    async fn listen(&self, channel: Channel, delay: &mut Duration) -> Result<(), Status> {
        let (tx, rx) = mpsc::channel(4);
        let hello = Hello {
            worker_id: self.options.worker_id.clone(),
            pipeline: self.options.pipeline.clone(),
            epoch: signed(self.epoch()),
            ..Hello::default()
        };
        let hello = pb::WatchKillSwitchesRequest { message: Some(Message::Hello(hello)) };
        // The receiver is held below: the first message always fits.
        drop(tx.send(hello).await);
        let mut client = KillSwitchServiceClient::new(channel);
        let mut states = client.watch_kill_switches(ReceiverStream::new(rx)).await?.into_inner();
        loop {
            // Silence is lost contact: a half-open stream gives no error by itself.
            let next =
                tokio::time::timeout(self.options.policy.stale_after, states.message()).await;
            let next = next.map_err(|_e| Status::deadline_exceeded("no sign of life"))?;
            let Some(response) = next? else { return Ok(()) };
            // A message without a state says nothing: it is not "nothing is engaged".
            let Some(state) = response.state else { continue };
            *delay = DELAY_FIRST;
            let epoch = self.accept(&state);
            let acknowledgement = Acknowledgement { epoch: signed(epoch) };
            let message = Some(Message::Acknowledgement(acknowledgement));
            if tx.send(pb::WatchKillSwitchesRequest { message }).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Takes a state in; returns the epoch to acknowledge.
    fn accept(&self, state: &pb::KillState) -> u64 {
        let engaged = state.engaged.iter().map(engaged).collect();
        let epoch = u64::try_from(state.epoch).unwrap_or(0);
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.accept(epoch, engaged, self.clock.elapsed()) {
            tracing::info!(epoch, engaged = view.engaged().len(), "kill switches changed");
        }
        self.heard.send_replace(true);
        view.epoch().min(epoch)
    }
}

fn signed(epoch: u64) -> i64 {
    i64::try_from(epoch).unwrap_or(i64::MAX)
}

/// Reads an engaged switch. A scope that does not read is the widest.
fn engaged(wire: &pb::KillSwitch) -> Engaged {
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
    Engaged { scope: scope.unwrap_or(Scope::Global), epoch }
}
