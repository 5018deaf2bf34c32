//! Effects: what was decided is carried out, in order, and recorded, until nothing is left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rollout_core::{
    Effect, Event, Rollout, SystemStep, kill_switch_engaged, next_effect, reenter, step_done,
};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use tokio::sync::OwnedMutexGuard;
use tonic::Status;
use tracing::Instrument as _;
use vocab::Actor;

use crate::app::App;
use crate::error::{DOMAIN, Refused};
use crate::state::draft;

const RETRY_DELAY: Duration = Duration::from_millis(500);
/// More than a rollback has steps: whoever needs more is not getting on.
const EFFECTS_MAX: usize = 32;

/// Carries out what is pending, now and after every change; what fails is tried again.
pub(crate) fn run(app: Arc<App>, mut shutdown: Shutdown) {
    tokio::spawn(async move {
        let mut changes = app.replica.changes();
        loop {
            changes.mark_unchanged();
            let snapshot = app.replica.snapshot();
            let rollouts = snapshot.state.rollouts.by_name.values();
            let pending: Vec<_> = rollouts.filter(|one| next_effect(one).is_some()).collect();
            let mut failed = false;
            for rollout in pending {
                failed |= !app.reconcile(rollout).await;
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(RETRY_DELAY), if failed => continue,
                () = shutdown.wait() => return,
            }
            // The command that caused the change tells first, within its own trace.
            tokio::select! {
                () = tokio::time::sleep(RETRY_DELAY) => {}
                () = shutdown.wait() => return,
            }
        }
    });
}

/// Whose turn it is: in one process the effects of a rollout are carried out one after the other.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn of a rollout. There are as many as there are rollouts, which are kept anyway.
    async fn take(&self, rollout: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(rollout.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}

impl App {
    /// Carries out whatever is to be done for a rollout; false where something did not succeed. The
    /// background loop tries that again, and replies say `reconciling`. Safe to repeat.
    pub(crate) async fn reconcile(&self, rollout: &Rollout) -> bool {
        let name = rollout.name.clone();
        let _turn = self.turns.take(&name).await;
        for _effect in 0..EFFECTS_MAX {
            let Ok(rollout) = self.find(&name) else { return true };
            let Some(effect) = next_effect(&rollout) else { return true };
            let span = tracing::info_span!("effect", rollout = name, what = what(&effect));
            if let Err(status) = self.carry_out_effect(&rollout, &effect).instrument(span).await {
                tracing::warn!(
                    rollout = name,
                    what = what(&effect),
                    code = %status.code(),
                    why = status.message(),
                    "an effect did not succeed yet"
                );
                return false;
            }
        }
        true
    }

    async fn carry_out_effect(&self, rollout: &Rollout, effect: &Effect) -> Result<(), Status> {
        match effect {
            Effect::EngageKillSwitch { pipeline, reason, rollback_id } => {
                let switch = self.engage(pipeline, reason).await?;
                let epoch = u64::try_from(switch.epoch).unwrap_or(0);
                let detail =
                    format!("engaged, epoch {epoch}, {}", switch.durability().as_str_name());
                let kill = SystemStep::ActivateKillSwitch;
                self.record(rollout, |rollout| match rollback_id {
                    Some(id) => step_done(rollout, id, kill, &detail, b""),
                    None => kill_switch_engaged(rollout, epoch),
                })
                .await?;
            }
            Effect::Apply(application) => {
                self.tell(application).await?;
                let generation = application.generation;
                self.record(rollout, |rollout| {
                    let known = rollout.applied_generation >= generation;
                    let rollout = rollout.name.clone();
                    let event = || Event::GenerationApplied { rollout, generation };
                    (!known).then(event).into_iter().collect()
                })
                .await?;
            }
            Effect::Step { rollback_id, step } => {
                let (detail, artifact) = self.do_step(rollout, *step).await?;
                let done =
                    |rollout: &Rollout| step_done(rollout, rollback_id, *step, &detail, &artifact);
                self.record(rollout, done).await?;
            }
            Effect::Reenter { rollback_id } => {
                self.record(rollout, |rollout| reenter(rollout, rollback_id)).await?;
            }
        }
        Ok(())
    }

    /// Does a step of a rollback; what came of it, and what it wrote.
    async fn do_step(
        &self,
        rollout: &Rollout,
        step: SystemStep,
    ) -> Result<(String, Vec<u8>), Status> {
        Ok(match step {
            SystemStep::ActivateKillSwitch => {
                let reason = rollout.pause.as_ref().map_or("rollback", |pause| &pause.reason);
                let switch = self.engage(&rollout.plan.plan.pipeline, reason).await?;
                (format!("engaged, epoch {}", switch.epoch), Vec::new())
            }
            SystemStep::NotifyAffectedClients => {
                // The communications service follows the journal from a cursor of its own: what is
                // recorded here is told, once, whatever happens to either.
                ("handed to the communications service".to_owned(), Vec::new())
            }
            SystemStep::CaptureState => self.capture(rollout).await,
            SystemStep::IncidentTimeline => self.write_timeline(rollout).await?,
            SystemStep::RollBackFlag => {
                let phase = rollout.phase().map_or("", |phase| phase.id.as_str());
                (format!("the flag is at {phase}, {}", rollout.exposure), Vec::new())
            }
        })
    }

    /// Records what the system did, where it is not recorded yet.
    pub(crate) async fn record(
        &self,
        rollout: &Rollout,
        decide: impl Fn(&Rollout) -> Vec<Event> + Send + Sync,
    ) -> Result<Vec<store::Record>, Fault> {
        let command = command(&self.clock, Actor::system("rollout"), "as decided", None);
        let name = &rollout.name;
        let done = self
            .replica
            .execute(&command, |state, _| {
                let known = state.rollouts.by_name.get(name);
                let events = known.map(&decide).unwrap_or_default();
                Ok::<_, Refused>(events.iter().map(draft).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(done.records)
    }
}

const fn what(effect: &Effect) -> &'static str {
    match effect {
        Effect::EngageKillSwitch { .. } => "engage the kill switch",
        Effect::Apply(_) => "tell flag, gate and kill switch",
        Effect::Step { step, .. } => step.id(),
        Effect::Reenter { .. } => "take the flag back",
    }
}
