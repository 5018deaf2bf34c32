//! Watching all the time: one replica evaluates, under a lease; what changed is decided once, on
//! the journal, whoever evaluates.
//!
//! **Invariant:** a change of a trigger is appended with the version it was decided on. Two replicas
//! that both believe to hold the lease decide on the same state, and the second finds nothing to
//! do. Every state of a rollout is watched, a paused one too.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use contracts::gate::gate_event::Kind;
use gate_core::{MEASURED_SPANS, Observed, Standing, State as Stands, observe, step, watched};
use plan::WindowSpan;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused, store_failed};
use service_kit::shutdown::Shutdown;
use store::{Batch, BatchId, Change, Draft, Hash, Lease, Leases, StoreError};
use tokio::sync::watch::Receiver;
use tonic::Status;
use uuid::Uuid;
use vocab::{Actor, Timestamp};

use crate::app::App;
use crate::error::{DOMAIN, Refusal};
use crate::evidence::{EVALUATED, Gathered, Wanted, scope};
use crate::exported::samples;
use crate::ga;
use crate::state::draft;
use crate::triggers::{event, name_of};
use crate::watched::Watched;

const LEASE: &str = "gate-watching";
const LEASE_TTL: Duration = Duration::from_secs(10);
const ROUND_MAX: Duration = Duration::from_secs(3); // Renews the lease in time.
const ROUND_MIN: Duration = Duration::from_millis(250); // However fast a demo clock runs.
const EVALUATED_KEPT: Duration = Duration::from_secs(60);
const UNINTERRUPTED: usize = 16; // Evaluations by the clock before those that something happened to.
const MOVES_MAX: usize = 100; // Of one append; the rest follows with the next round.

/// What the one who evaluates keeps to itself: since when what has fired is over.
#[derive(Debug, Default)]
pub(crate) struct Over(Mutex<BTreeMap<String, Timestamp>>);

impl Over {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One trigger, or one incident of one, as observed.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    /// Which of the plan's it is.
    pub(crate) index: usize,
    pub(crate) observed: Observed,
}

/// Watches until asked to end.
pub(crate) async fn keep_watching(app: Arc<App>, leases: Arc<dyn Leases>, mut shutdown: Shutdown) {
    let holder = format!("gate-{}", Uuid::new_v4());
    let mut changes = app.replica.changes();
    let mut due = BTreeMap::new();
    let mut held = None;
    loop {
        changes.mark_unchanged();
        match leases.acquire(LEASE, &holder, LEASE_TTL).await {
            Ok(Some(lease)) => {
                held = Some(lease);
                round(&app, &mut due, &changes).await;
            }
            Ok(None) => {
                held = None; // Another replica watches, and shows what it sees.
                app.meters.forget();
            }
            Err(error) => tracing::warn!(%error, "cannot watch now"),
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND_MAX.min(app.round_length())) => {}
            // An incident or a breaker is evaluated when it is told.
            changed = changes.changed() => match changed {
                Ok(()) => {}
                Err(_closed) => break,
            },
            () = shutdown.wait() => break,
        }
    }
    end(leases.as_ref(), held).await;
}

async fn end(leases: &dyn Leases, held: Option<Lease>) {
    if let Some(lease) = held {
        let released: Result<(), StoreError> = leases.release(&lease).await;
        released.unwrap_or_else(|error| tracing::debug!(%error, "the lease runs out by itself"));
    }
}

/// As it was when last evaluated, and when it is due by the clock.
type Due = BTreeMap<String, (Arc<Watched>, Duration)>;

/// Evaluates every rollout that is due: first those that something happened to.
async fn round<T: Send + Sync>(app: &Arc<App>, due: &mut Due, changes: &Receiver<T>) {
    let rollouts = app.replica.snapshot().state.rollouts.clone();
    let in_phase = rollouts.into_iter().filter(|(_, watched)| !watched.phase_id.is_empty());
    // Whatever changes a rollout leaves the value that is kept here alone and makes another.
    let (touched, same): (Vec<_>, Vec<_>) = in_phase
        .partition(|(name, one)| due.get(name).is_none_or(|(seen, _)| !Arc::ptr_eq(seen, one)));
    for (name, watched) in touched {
        evaluate(app, due, name, watched).await;
    }
    let mut evaluated = 0;
    for (name, watched) in same {
        if due.get(&name).is_some_and(|(_, due)| app.clock.monotonic() < *due) {
            continue;
        }
        if evaluated >= UNINTERRUPTED && changes.has_changed().unwrap_or(false) {
            return; // The others stay due.
        }
        evaluated += 1;
        evaluate(app, due, name, watched).await;
    }
}

async fn evaluate(app: &Arc<App>, due: &mut Due, name: String, watched: Arc<Watched>) {
    let every = app.clock.real(watched.plan().watching.evaluate_every).max(ROUND_MIN);
    due.insert(name.clone(), (Arc::clone(&watched), app.clock.monotonic() + every));
    let app = Arc::clone(app);
    // In a task of its own: a panic in one rollout does not end the watching of the others.
    let evaluated = tokio::spawn(async move { app.evaluate_watched(&watched).await }).await;
    match evaluated {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            let why = Status::from(fault);
            tracing::warn!(rollout = name, why = why.message(), "not evaluated this time");
        }
        Err(error) => tracing::error!(rollout = name, %error, "watching did not end well"),
    }
}

impl App {
    /// How often to look whether anything is due.
    fn round_length(&self) -> Duration {
        let snapshot = self.replica.snapshot();
        let every = snapshot.state.rollouts.values().map(|one| one.plan().watching.evaluate_every);
        let every = every.map(|every| self.clock.real(every)).min().unwrap_or(ROUND_MAX);
        every.max(ROUND_MIN)
    }

    /// Evaluates everything watched of one rollout, and the day that has ended.
    async fn evaluate_watched(&self, watched: &Watched) -> Result<(), Fault> {
        let now = self.clock.now();
        let Gathered { evidence, evaluated } =
            self.gather(watched, wanted_by_all(watched), now).await?;
        let seen = look(watched, &evidence, now);
        // A demo clock may run through the longest gap between two rounds.
        let factor = self.clock.demo().map_or(1, |demo| demo.factor);
        let rounds = self.round_length().saturating_mul(factor.saturating_mul(3));
        let gap_max = watched.plan().watching.gap_max.max(rounds);
        let previous = evaluated.map(|one| Timestamp::from_millis(one.value));
        self.settle(watched, &seen, (previous, gap_max), now).await?;
        let (value, gauge) = (now.as_millis(), EVALUATED.to_owned());
        let id = BatchId::new(&format!("evaluated-{}", Uuid::new_v4()));
        let id = id.map_err(|why| Fault::field(DOMAIN, "batch_id", why.0))?;
        let batch = Batch { id, contents: Hash::default() };
        let scope = scope(watched.plan().pipeline.as_str())?;
        // The newest stays: after a clock was set back this one has to be newer all the same.
        let behind = evaluated.map_or(now, |one| one.at.plus(Duration::from_millis(1)));
        let change = vec![Change::Set { gauge, value, at: now.max(behind) }];
        let added = self.counters.add(&scope, &batch, EVALUATED_KEPT, change).await;
        added.map_err(|error| store_failed(DOMAIN, &error))?;
        self.meters.evaluated(&watched.rollout, samples(watched, &evidence, &seen, now));
        ga::judge_day(self, watched, now).await
    }

    /// Decides what an evaluation changes, and records it.
    async fn settle(
        &self,
        watched: &Watched,
        seen: &[Seen],
        times: (Option<Timestamp>, Duration),
        now: Timestamp,
    ) -> Result<(), Fault> {
        let over = self.over.lock().clone();
        let (drafts, mut after) = moves(watched, seen, &over, times, now);
        if !drafts.is_empty() {
            let command = command(&self.clock, Actor::system("gate"), "evaluated", None);
            let (rollout, generation) = (&watched.rollout, watched.phase_generation);
            self.replica
                .execute(&command, |state, _| {
                    let current = state.rollouts.get(rollout);
                    let Some(same) = current.filter(|one| one.phase_generation == generation)
                    else {
                        return Ok(Vec::new());
                    };
                    let (drafts, decided) = moves(same, seen, &over, times, now);
                    after = decided;
                    Ok::<_, Refusal>(drafts)
                })
                .await
                .map_err(|error| refused(DOMAIN, error))?;
        }
        *self.over.lock() = after;
        Ok(())
    }
}

/// What triggers, thresholds and advisories look at.
pub(crate) fn wanted_by_triggers(watched: &Watched) -> Wanted<'_> {
    let plan = watched.plan();
    let all = gate_core::watched(plan);
    let spans = all.iter().flat_map(gate_core::Watched::spans);
    Wanted {
        spans: spans.map(|span| (span, Duration::ZERO)).collect(),
        previous_gate: None,
        whole: false,
        queries: crate::watched::trigger_queries(plan),
    }
}

/// And what the criteria of the phase's gate look at, which are exported with it.
fn wanted_by_all(watched: &Watched) -> Wanted<'_> {
    let mut wanted = wanted_by_triggers(watched);
    let criteria = watched.exit_criteria();
    wanted.spans.extend(Watched::spans(&criteria));
    wanted.spans.push((WindowSpan::SincePhaseStart, Duration::ZERO));
    wanted.spans.extend(MEASURED_SPANS.map(|span| (span, Duration::ZERO)));
    wanted.queries.extend(Watched::queries(&criteria));
    wanted
}

/// What changes where everything stands as `current` says; and since when what has fired is over.
fn moves(
    current: &Watched,
    seen: &[Seen],
    over: &BTreeMap<String, Timestamp>,
    times: (Option<Timestamp>, Duration),
    now: Timestamp,
) -> (Vec<Draft>, BTreeMap<String, Timestamp>) {
    let all = watched(current.plan());
    let (mut drafts, mut after) = (Vec::new(), over.clone());
    for one in seen {
        let Some(rule) = all.get(one.index) else { continue };
        let kept = current.standings.get(&one.name).map_or(Stands::Clear, |kept| kept.state);
        let before = Standing { state: kept, over_since: over.get(&one.name).copied() };
        let next = step(before, &rule.timing, &one.observed, times, now);
        match next.over_since {
            Some(since) => drop(after.insert(one.name.clone(), since)),
            None => drop(after.remove(&one.name)),
        }
        if next.state != kept && drafts.len() < MOVES_MAX {
            let event = event(current, rule, one, (kept, next.state), now);
            drafts.push(draft(Kind::TriggerChanged(event)));
        }
    }
    (drafts, after)
}

/// Observes everything that is watched in the rollout's phase.
pub(crate) fn look(watched: &Watched, evidence: &gate_core::Evidence, now: Timestamp) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (index, rule) in gate_core::watched(watched.plan()).iter().enumerate() {
        if !rule.applies_in(&watched.phase_id) {
            continue;
        }
        for observed in observe(rule, evidence, now) {
            let name = name_of(&watched.rollout, rule, &observed.instance);
            seen.push(Seen { name, index, observed });
        }
    }
    seen
}
