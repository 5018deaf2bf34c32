//! Commands: load, decide, append.

mod asked;
mod beginning;
mod telling;
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;

use comms_core::{AttemptOutcome, Next, Policy, after_attempt, stand_ins};
use contracts::comms as pb;
use contracts::comms::comms_event::Kind;
use contracts::comms::message;
use service_kit::clock::{Clock, real_now};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use service_kit::wire::{signed, wire_time};
use store::{Draft, Replica, Snapshot};
use vocab::{Actor, Timestamp};

use crate::affected::Affected;
use crate::channels::Answer;
use crate::convert::told::urgency_of;
use crate::convert::{Concern, Occurrence, What, shown, wire_outcome};
use crate::directory::Directory;
use crate::error::{DOMAIN, Refused};
use crate::metrics::Metrics;
use crate::state::{Applied, State, Stored, draft};

const CURSOR_LAG_MAX: u64 = 100; // Events that tell nobody are recorded this rarely.

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) clock: Clock,
    pub(crate) directory: Directory,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: Metrics,
}

impl App {
    pub(crate) fn state(&self) -> Snapshot<State> {
        self.replica.snapshot()
    }

    /// The state with everything in it that the stream holds by now.
    pub(crate) async fn newest_state(&self) -> Result<Snapshot<State>, Fault> {
        self.execute("", |_| Ok(Vec::new())).await
    }

    /// Handles an event of another service, once: its messages and the cursor are one record.
    /// `plan_source` is the plan it chose, where it chose one; `affected` says whom it
    /// touches.
    pub(crate) async fn handle(
        &self,
        occurrence: &Occurrence,
        plan_source: &[u8],
        affected: &Affected,
    ) -> Result<(), Fault> {
        let contacts = self.directory.contacts();
        self.execute("", |state| {
            let cursor = state.cursor(occurrence.source);
            let rollout = match &occurrence.what {
                What::PlanChosen { rollout, .. } => rollout.clone(),
                What::Nothing if occurrence.revision < cursor + CURSOR_LAG_MAX => {
                    return Ok(Vec::new());
                }
                What::News(..) | What::Nothing => String::new(),
            };
            if occurrence.revision <= cursor {
                return Ok(Vec::new()); // Handled before.
            }
            let handled = pb::SourceHandled {
                source: occurrence.source.to_owned(),
                revision: signed(occurrence.revision),
                messages: Vec::new(),
                made: Some(telling::of_occurrence(
                    state,
                    occurrence,
                    affected,
                    &contacts,
                    &self.clock,
                )),
                plan_source: plan_source.to_vec(),
                rollout,
            };
            Ok(vec![draft(Kind::SourceHandled(handled))])
        })
        .await
        .map(drop)
    }

    /// Whether no plan known so far says whom to tell of this.
    pub(crate) fn lacks_plan(&self, concern: &Concern) -> bool {
        concerned(&self.state().state, concern).is_empty()
    }

    /// Records an attempt to deliver all of `tried`, but those of which somebody recorded one
    /// meanwhile.
    pub(crate) async fn attempted(
        &self,
        tried: &[Arc<Stored>],
        answer: &Answer,
        jitter: u32,
    ) -> Result<(), Fault> {
        let attempt = pb::Attempt {
            occur_time: Some(wire_time(self.clock.now())),
            outcome: wire_outcome(&answer.outcome).into(),
            detail: answer.detail.clone(),
            receipt: answer.receipt.clone(),
        };
        let (now, real) = (self.clock.now(), real_now());
        let recorded = self
            .execute("", |state| {
                let each = tried.iter().filter_map(|tried| {
                    let (next_state, due) = after(state, tried, answer, jitter, real)?;
                    let dead = next_state == message::State::Dead;
                    let fallbacks =
                        if dead { fallbacks(state, &tried.message, now) } else { Vec::new() };
                    Some(draft(Kind::DeliveryAttempted(pb::DeliveryAttempted {
                        message: tried.message.name.clone(),
                        attempt: Some(attempt.clone()),
                        state: next_state.into(),
                        next_attempt_time: due.map(wire_time),
                        fallbacks,
                    })))
                });
                Ok(each.collect())
            })
            .await;
        recorded.map(|_| {
            for tried in tried {
                self.metrics.attempted(&tried.message.channel, &answer.outcome);
            }
        })
    }

    /// Tries a dead message again. Any other is left as it is.
    pub(crate) async fn redrive(
        &self,
        name: &str,
        actor: Actor,
        reason: String,
    ) -> Result<pb::Message, Fault> {
        let missing = || Refused::NoMessage(name.to_owned());
        let command = command(&self.clock, actor, reason, None);
        let executed = self.replica.execute(&command, |state, _| {
            let stored = state.message(name).ok_or_else(missing)?;
            if !matches!(stored.message.state(), message::State::Dead | message::State::Unknown) {
                return Ok::<_, Refused>(Vec::new());
            }
            let next_attempt_time = Some(wire_time(real_now()));
            let redriven = pb::Redriven { message: name.to_owned(), next_attempt_time };
            Ok(vec![draft(Kind::Redriven(redriven))])
        });
        let done = executed.await.map_err(|error| refused(DOMAIN, error))?;
        let stored = done.snapshot.state.message(name).ok_or_else(missing)?;
        Ok(shown(stored, &self.clock))
    }

    /// Decides and appends as this service itself.
    async fn execute(
        &self,
        reason: &str,
        mut decide: impl FnMut(&State) -> Result<Vec<Draft>, Refused>,
    ) -> Result<Snapshot<State>, Fault> {
        let command = command(&self.clock, Actor::system("comms"), reason, None);
        let executed = self.replica.execute(&command, |state, _| decide(state)).await;
        executed.map(|done| done.snapshot).map_err(|error| refused(DOMAIN, error))
    }
}

/// How a message's channel handles it.
pub(crate) fn policy(state: &State, message: &pb::Message) -> Policy {
    let audience = state.plans.get(&message.rollout).and_then(|applied| {
        let plan = &applied.plan.communication;
        let known = plan.messages.iter().find(|one| one.id.as_str() == message.event)?;
        plan.audiences.iter().find(|one| one.id == known.audience)
    });
    let to_clients = audience.is_some_and(|audience| audience.clients.is_some());
    Policy::of(state.channel(message), urgency_of(message), to_clients)
}

/// What becomes of a message after an attempt, and when it is tried next; `None` where somebody
/// recorded an attempt since it was read.
fn after(
    state: &State,
    tried: &Stored,
    answer: &Answer,
    jitter: u32,
    now: Timestamp,
) -> Option<(message::State, Option<Timestamp>)> {
    let current = state.message(&tried.message.name)?;
    let sent = matches!(answer.outcome, AttemptOutcome::Sent);
    // Cancelled while it was on its way, and taken all the same: that is what happened.
    let late = sent && current.message.state() == message::State::Cancelled;
    if current.revision() != tried.revision() && !late {
        return None;
    }
    let policy = policy(state, &tried.message);
    Some(match after_attempt(&answer.outcome, tried.tries + 1, jitter, now, policy) {
        Next::Sent => (message::State::Sent, None),
        Next::RetryAt(due) => (message::State::Pending, Some(due)),
        Next::Dead => (message::State::Dead, None),
        Next::Parked => (message::State::Unknown, None),
    })
}

/// What stands in for a message that its channel refused for good: one for each destination in the
/// channel that the plan names. One that stands in itself is not stood in for.
fn fallbacks(state: &State, dead: &pb::Message, made: Timestamp) -> Vec<pb::Message> {
    if dead.test || !dead.fallback_for.is_empty() {
        return Vec::new();
    }
    let known = state.plans.get(&dead.rollout);
    let found = known.and_then(|known| stand_ins(&known.plan, &dead.event, &dead.channel));
    let Some((channel, destinations)) = found else { return Vec::new() };
    let one = |destination: String| {
        let id = dead.name.strip_prefix("messages/").unwrap_or(&dead.name);
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '_' };
        let to: String = destination.chars().map(safe).collect();
        let name = format!("messages/{id}.instead.{channel}.{to}");
        if state.message(&name).is_some() {
            return None; // A redrive failed again: who stands in was told before.
        }
        Some(pb::Message {
            name,
            channel: channel.clone(),
            destination,
            html_body: comms_core::html_of(&dead.body),
            state: message::State::Pending.into(),
            attempts: Vec::new(),
            receipt: String::new(),
            create_time: Some(wire_time(made)),
            next_attempt_time: Some(wire_time(real_now())),
            fallback_for: dead.name.clone(),
            content: None,
            ..dead.clone()
        })
    };
    destinations.into_iter().filter_map(one).collect()
}

/// The plans an event concerns: of several rollouts of one pipeline, that of the newest.
fn concerned<'a>(state: &'a State, concern: &Concern) -> Vec<(&'a String, &'a Applied)> {
    let mut newest: BTreeMap<&str, (&String, &Applied)> = BTreeMap::new();
    for (rollout, applied) in &state.plans {
        let fits = match concern {
            Concern::Rollout(name) => name == rollout,
            Concern::Pipeline(pipeline) => *pipeline == applied.plan.pipeline,
            Concern::Everything => true,
        };
        let pipeline = applied.plan.pipeline.as_str();
        if fits && newest.get(pipeline).is_none_or(|(_, known)| known.since < applied.since) {
            newest.insert(pipeline, (rollout, applied));
        }
    }
    newest.into_values().collect()
}
