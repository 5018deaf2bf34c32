//! Commands: decided by the core on the state in memory.

use std::sync::Arc;

use client::KillWatch;
use contracts::flag as pb;
use contracts::flag::flag_event::Kind;
use flag_core::limits::{DEFINITION_BYTES_MAX, FLAGS_MAX, RULESET_BYTES_MAX};
use flag_core::{
    About, Audience, Definition, Flag, Limits, check_delete, check_new, check_step, check_update,
};
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::refused;
use service_kit::shutdown::Shutdown;
use service_kit::wire::etag;
use store::{Command, Quotas, Record, Replica, Snapshot};
use vocab::{FlagKey, PhaseId, PipelineId};

use crate::census::Census;
use crate::error::{DOMAIN, Refusal, not_found};
use crate::feed::Feed;
use crate::metrics::Metrics;
use crate::openfeature::changes::Changes;
use crate::openfeature::sync::Document;
use crate::settings::Durations;
use crate::state::{Moment, State, Stored, changed, draft};

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) clock: Clock,
    pub(crate) kills: Arc<KillWatch>,
    pub(crate) quotas: Arc<dyn Quotas>,
    pub(crate) census: Census,
    pub(crate) feed: Feed,
    pub(crate) changes: Changes,
    pub(crate) document: Document,
    pub(crate) metrics: Metrics,
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

/// How a command is given.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) command: Command,
    /// The etag the caller saw; not checked where empty.
    pub(crate) etag: String,
    /// Decides and stores nothing.
    pub(crate) validate_only: bool,
}

/// What a command makes of a flag.
#[derive(Debug)]
pub(crate) enum Change {
    To(Box<Flag>),
    Delete,
    Undelete,
}

/// What of a flag a person changes.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) definition: Definition,
    pub(crate) limits: Limits,
    pub(crate) about: About,
}

impl App {
    /// Finds a flag, also a deleted one.
    pub(crate) fn any_flag(&self, key: &FlagKey) -> Result<Arc<Stored>, Fault> {
        let snapshot = self.replica.snapshot();
        snapshot.state.flags.get(key.as_str()).cloned().ok_or_else(|| not_found(key.as_str()))
    }

    /// Looks where it lies at a flag that can be evaluated.
    pub(crate) fn of_flag<T>(
        &self,
        key: &str,
        look: impl FnOnce(&Stored) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.replica.read(|state| look(state.live(key).ok_or_else(|| not_found(key))?))
    }

    /// Finds a flag that can be evaluated.
    pub(crate) fn flag(&self, key: &str) -> Result<Arc<Stored>, Fault> {
        self.replica.snapshot().state.live(key).cloned().ok_or_else(|| not_found(key))
    }

    pub(crate) async fn create(&self, given: Given, flag: Flag) -> Result<Arc<Stored>, Fault> {
        let key = flag.key.clone();
        let decide = |state: &State| {
            if state.flags.contains_key(flag.key.as_str()) {
                return Err(Refusal::Exists(flag.key.clone()));
            }
            check_new(&flag.definition)?;
            Ok(Some(Change::To(Box::new(flag.clone()))))
        };
        self.change(given, key, decide).await
    }

    pub(crate) async fn update(
        &self,
        given: Given,
        key: FlagKey,
        change: impl Fn(&Flag) -> Result<Parts, Fault> + Send + Sync,
    ) -> Result<Arc<Stored>, Fault> {
        let (wanted, seen) = (key.clone(), given.etag.clone());
        let decide = |state: &State| {
            let stored = known(state, &wanted, &seen)?;
            if stored.is_deleted() {
                return Err(Refusal::Deleted(wanted.clone()));
            }
            let changed = with_parts(&stored.flag, change(&stored.flag)?)?;
            // A flag that cannot be read any more is changed by saying the same again.
            let news = changed != *stored.flag || stored.problem.is_some();
            Ok(news.then(|| Change::To(Box::new(changed))))
        };
        self.change(given, key, decide).await
    }

    pub(crate) async fn delete(&self, given: Given, key: FlagKey) -> Result<Arc<Stored>, Fault> {
        let (wanted, seen) = (key.clone(), given.etag.clone());
        let decide = |state: &State| {
            let stored = known(state, &wanted, &seen)?;
            if stored.is_deleted() {
                return Ok(None);
            }
            check_delete(&stored.flag)?;
            Ok(Some(Change::Delete))
        };
        self.change(given, key, decide).await
    }

    pub(crate) async fn undelete(&self, given: Given, key: FlagKey) -> Result<Arc<Stored>, Fault> {
        let (wanted, seen) = (key.clone(), given.etag.clone());
        let decide = |state: &State| {
            let stored = known(state, &wanted, &seen)?;
            Ok(stored.is_deleted().then_some(Change::Undelete))
        };
        self.change(given, key, decide).await
    }

    pub(crate) async fn apply_step(&self, given: Given, step: Step) -> Result<Arc<Stored>, Fault> {
        let key = step.key.clone();
        let decide = |state: &State| {
            let stored = state.flags.get(step.key.as_str());
            if stored.is_some_and(|stored| stored.is_deleted()) {
                return Err(Refusal::Deleted(step.key.clone()));
            }
            let known = stored.map(|stored| stored.flag.as_ref());
            let definition = stepped(known, &step.definition);
            let newer = check_step(known, &step.rollout, step.generation, &definition)?;
            Ok(newer.then(|| {
                Change::To(Box::new(Flag {
                    key: step.key.clone(),
                    pipeline: step.pipeline.clone(),
                    definition,
                    limits: step.limits,
                    rollout: step.rollout.clone(),
                    phase: Some(step.phase.clone()),
                    generation: step.generation,
                    paused: step.paused,
                    about: known.map_or_else(About::default, |known| known.about.clone()),
                }))
            }))
        };
        self.change(given, key, decide).await
    }

    /// Appends what `decide` makes of the flag, and returns it as stored; with `validate_only`
    /// the decision is made and nothing is stored.
    async fn change(
        &self,
        given: Given,
        key: FlagKey,
        mut decide: impl FnMut(&State) -> Result<Option<Change>, Refusal> + Send,
    ) -> Result<Arc<Stored>, Fault> {
        let decide = |state: &State| {
            Ok(decide(state)?.map(|change| (key.clone(), change)).into_iter().collect())
        };
        let (snapshot, records) = self.change_all(given, decide).await?;
        let current =
            snapshot.state.flags.get(key.as_str()).ok_or_else(|| not_found(key.as_str()))?;
        match records.first() {
            // A repeated request finds its own record, which may not be the newest of the flag.
            Some(record) if record.version != current.revision => {
                let then = crate::history::of_record(record, &key)
                    .map_err(|why| Fault::unavailable(DOMAIN, why))?;
                let flag = then.map_or_else(|| Arc::clone(&current.flag), Arc::new);
                let (revision, updated_at) = (record.version, record.time);
                Ok(Arc::new(Stored { flag, revision, updated_at, ..current.as_ref().clone() }))
            }
            Some(_) | None => Ok(Arc::clone(current)),
        }
    }

    /// The same for many flags at once: all of it or nothing.
    pub(crate) async fn change_all(
        &self,
        given: Given,
        mut decide: impl FnMut(&State) -> Result<Vec<(FlagKey, Change)>, Refusal> + Send,
    ) -> Result<(Snapshot<State>, Vec<Record>), Fault> {
        if given.validate_only {
            let snapshot = self.replica.snapshot();
            let changes = decide(&snapshot.state).map_err(Fault::from)?;
            let kinds = kinds(&snapshot.state, changes).map_err(Fault::from)?;
            return Ok((tried(snapshot, &given.command, kinds), Vec::new()));
        }
        let done = self
            .replica
            .execute(&given.command, |state, _| {
                let kinds = kinds(state, decide(state)?)?;
                Ok::<_, Refusal>(together(kinds).into_iter().map(draft).collect())
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok((done.snapshot, done.records))
    }
}

/// A flag that is there, as the caller saw it.
fn known<'a>(state: &'a State, key: &FlagKey, seen: &str) -> Result<&'a Arc<Stored>, Refusal> {
    let stored = state.flags.get(key.as_str()).ok_or_else(|| Refusal::NotFound(key.clone()))?;
    let current = etag(stored.revision);
    if !seen.is_empty() && seen != current {
        return Err(Refusal::EtagMismatch { current });
    }
    Ok(stored)
}

/// A flag with what a person changes of it.
pub(crate) fn with_parts(flag: &Flag, parts: Parts) -> Result<Flag, Refusal> {
    check_update(flag, &parts.definition, &parts.limits)?;
    let Parts { definition, limits, about } = parts;
    Ok(Flag { definition, limits, about, ..flag.clone() })
}

/// A plan says who is on; what a flag can be stays as it is.
fn stepped(known: Option<&Flag>, wanted: &Definition) -> Definition {
    match (known.and_then(|known| known.definition.audience()), wanted) {
        (Some(known), Definition::Audience(wanted))
            if wanted.is_short() && known.variants.on_index().is_some() =>
        {
            let variants = known.variants.clone();
            Audience { variants, ..wanted.as_ref().clone() }.into()
        }
        (Some(_) | None, wanted) => wanted.clone(),
    }
}

/// What to append for changes, as far as there is room.
fn kinds(state: &State, changes: Vec<(FlagKey, Change)>) -> Result<Vec<Kind>, Refusal> {
    let (mut count, mut total) = (state.flags.len(), state.bytes);
    let mut kinds = Vec::with_capacity(changes.len());
    for (key, change) in changes {
        let known = state.flags.get(key.as_str());
        kinds.push(match change {
            Change::Delete => Kind::FlagDeleted(pb::FlagDeleted { name: format!("flags/{key}") }),
            Change::Undelete => match known {
                Some(known) => changed(&known.flag),
                None => return Err(Refusal::NotFound(key)),
            },
            Change::To(flag) => {
                let wire = flag_wire::wire_definition(&flag.definition);
                let bytes = prost::Message::encoded_len(&wire);
                count += usize::from(known.is_none());
                total = total + bytes - known.map_or(0, |known| known.bytes);
                if bytes > DEFINITION_BYTES_MAX {
                    let what = "the definition";
                    return Err(Refusal::TooLarge { bytes, max: DEFINITION_BYTES_MAX, what });
                }
                changed(&flag)
            }
        });
    }
    if count > FLAGS_MAX && count > state.flags.len() {
        return Err(Refusal::TooMany);
    }
    if total > RULESET_BYTES_MAX && total > state.bytes {
        let what = "all definitions together";
        return Err(Refusal::TooLarge { bytes: total, max: RULESET_BYTES_MAX, what });
    }
    Ok(kinds)
}

/// Several changes as one event: a document is taken in as a whole.
fn together(kinds: Vec<Kind>) -> Vec<Kind> {
    if kinds.len() < 2 {
        return kinds;
    }
    let flags = kinds.into_iter().filter_map(|kind| match kind {
        Kind::FlagChanged(changed) => changed.flag,
        Kind::FlagDeleted(_) | Kind::BlastRadiusKept(_) | Kind::FlagsImported(_) => None,
    });
    vec![Kind::FlagsImported(pb::FlagsImported { flags: flags.collect() })]
}

/// The state as it would be. Nothing of it is stored: revisions stay as they are.
fn tried(mut snapshot: Snapshot<State>, command: &Command, kinds: Vec<Kind>) -> Snapshot<State> {
    let state = Arc::make_mut(&mut snapshot.state);
    for kind in kinds {
        let name = match &kind {
            Kind::FlagChanged(changed) => changed.flag.as_ref().map(|flag| flag.name.clone()),
            Kind::FlagDeleted(deleted) => Some(deleted.name.clone()),
            Kind::BlastRadiusKept(_) | Kind::FlagsImported(_) => None,
        };
        let known =
            name.as_deref().and_then(|name| state.flags.get(name.trim_start_matches("flags/")));
        let at = Moment { revision: known.map_or(0, |known| known.revision), time: command.time };
        state.take(kind, at).ok(); // It was made a moment ago, of something.
    }
    snapshot
}
