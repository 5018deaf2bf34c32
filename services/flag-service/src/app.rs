//! Commands and questions: decided by the core on the state in memory.

use std::sync::Arc;

use client::KillWatch;
use flag_core::{Definition, Flag, Limits, check_new, check_step, check_update};
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::refused;
use service_kit::shutdown::Shutdown;
use service_kit::wire::etag;
use store::{Command, Draft, Quotas, Replica};
use vocab::{FlagKey, PhaseId, PipelineId};

use crate::error::{DOMAIN, Refusal, not_found};
use crate::settings::Durations;
use crate::state::{State, Stored, changed, draft};

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) clock: Clock,
    pub(crate) kills: Arc<KillWatch>,
    pub(crate) quotas: Arc<dyn Quotas>,
    pub(crate) durations: Durations,
    pub(crate) shutdown: Shutdown,
}

/// A step of a rollout.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) key: FlagKey,
    pub(crate) rollout: String,
    pub(crate) generation: u64,
    pub(crate) phase: PhaseId,
    pub(crate) pipeline: PipelineId,
    pub(crate) definition: Definition,
    pub(crate) limits: Limits,
    pub(crate) paused: bool,
}

impl App {
    /// Finds a flag.
    pub(crate) fn flag(&self, key: &FlagKey) -> Result<Arc<Stored>, Fault> {
        let snapshot = self.replica.snapshot();
        snapshot.state.flags.get(key.as_str()).cloned().ok_or_else(|| not_found(key))
    }

    pub(crate) async fn create(
        &self,
        command: Command,
        flag: Flag,
        validate_only: bool,
    ) -> Result<Arc<Stored>, Fault> {
        let key = flag.key.clone();
        let decide = |state: &State| {
            if state.flags.contains_key(flag.key.as_str()) {
                return Err(Refusal::Exists(flag.key.clone()));
            }
            check_new(&flag.definition)?;
            Ok(Some(flag.clone()))
        };
        self.change(command, key, validate_only, decide).await
    }

    pub(crate) async fn update(
        &self,
        command: Command,
        key: FlagKey,
        seen: &str,
        change: impl Fn(&Flag) -> Result<(Definition, Limits), Fault> + Send,
        validate_only: bool,
    ) -> Result<Arc<Stored>, Fault> {
        let wanted = key.clone();
        let decide = |state: &State| {
            let stored = state
                .flags
                .get(wanted.as_str())
                .ok_or_else(|| Refusal::NotFound(wanted.clone()))?;
            let current = etag(stored.revision);
            if !seen.is_empty() && seen != current {
                return Err(Refusal::EtagMismatch { current });
            }
            let (definition, limits) = change(&stored.flag)?;
            check_update(&stored.flag, &definition, &limits)?;
            let changed = Flag { definition, limits, ..stored.flag.clone() };
            Ok((changed != stored.flag).then_some(changed))
        };
        self.change(command, key, validate_only, decide).await
    }

    pub(crate) async fn apply_step(
        &self,
        command: Command,
        step: Step,
    ) -> Result<Arc<Stored>, Fault> {
        let key = step.key.clone();
        let decide = |state: &State| {
            let known = state.flags.get(step.key.as_str()).map(|stored| &stored.flag);
            let newer = check_step(known, &step.rollout, step.generation, &step.definition)?;
            Ok(newer.then(|| Flag {
                key: step.key.clone(),
                pipeline: step.pipeline.clone(),
                definition: step.definition.clone(),
                limits: step.limits,
                rollout: step.rollout.clone(),
                phase: Some(step.phase.clone()),
                generation: step.generation,
                paused: step.paused,
            }))
        };
        self.change(command, key, false, decide).await
    }

    /// Appends what `decide` makes of the flag, and returns it as stored; with `validate_only`
    /// the decision is made and nothing is stored.
    async fn change(
        &self,
        command: Command,
        key: FlagKey,
        validate_only: bool,
        mut decide: impl FnMut(&State) -> Result<Option<Flag>, Refusal>,
    ) -> Result<Arc<Stored>, Fault> {
        if validate_only {
            let snapshot = self.replica.snapshot();
            let changed = decide(&snapshot.state).map_err(Fault::from)?;
            let known = snapshot.state.flags.get(key.as_str());
            return match (changed, known) {
                (None, Some(known)) => Ok(Arc::clone(known)),
                (Some(flag), known) => {
                    let created_at = known.map_or(command.time, |known| known.created_at);
                    let revision = known.map_or(0, |known| known.revision);
                    Ok(Arc::new(Stored { flag, revision, created_at, updated_at: command.time }))
                }
                (None, None) => Err(not_found(&key)),
            };
        }
        let done = self
            .replica
            .execute(&command, |state, _| {
                Ok::<Vec<Draft>, Refusal>(decide(state)?.iter().map(draft).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        let current = done.snapshot.state.flags.get(key.as_str()).ok_or_else(|| not_found(&key))?;
        match done.records.first() {
            // A repeated request finds its own record, which may not be the newest of the flag.
            Some(record) if record.version != current.revision => {
                let flag = changed(record).map_err(|why| Fault::unavailable(DOMAIN, why))?;
                let (revision, updated_at) = (record.version, record.time);
                let created_at = current.created_at;
                Ok(Arc::new(Stored { flag, revision, created_at, updated_at }))
            }
            Some(_) | None => Ok(Arc::clone(current)),
        }
    }
}
