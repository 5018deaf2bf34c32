//! Commands: load, decide, append.

use std::collections::BTreeMap;
use std::sync::Arc;

use comms_core::{NewMessage, Next, after_attempt, compose};
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

use crate::channels::Answer;
use crate::convert::{Concern, Occurrence, What, shown, wire_outcome};
use crate::error::{DOMAIN, Refused};
use crate::state::{Applied, State, Stored, draft};

const CURSOR_LAG_MAX: u64 = 100; // Events that tell nobody are recorded this rarely.

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
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
    /// `plan_source` is the plan it chose, where it chose one.
    pub(crate) async fn handle(
        &self,
        occurrence: &Occurrence,
        plan_source: &[u8],
    ) -> Result<(), Fault> {
        let (made, due) = (self.clock.now(), real_now());
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
            let messages = messages(state, occurrence);
            let messages =
                messages.into_iter().map(|(rollout, new)| pending(rollout, new, made, due));
            let handled = pb::SourceHandled {
                source: occurrence.source.to_owned(),
                revision: signed(occurrence.revision),
                messages: messages.collect(),
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

    /// Records an attempt to deliver `tried`, unless somebody recorded one meanwhile.
    pub(crate) async fn attempted(
        &self,
        tried: &Stored,
        answer: &Answer,
        jitter: u32,
    ) -> Result<(), Fault> {
        let attempt = pb::Attempt {
            occur_time: Some(wire_time(self.clock.now())),
            outcome: wire_outcome(&answer.outcome).into(),
            detail: answer.detail.clone(),
        };
        let next = after_attempt(&answer.outcome, tried.tries + 1, jitter, real_now());
        let (state, due) = match next {
            Next::Sent => (message::State::Sent, None),
            Next::RetryAt(due) => (message::State::Pending, Some(wire_time(due))),
            Next::Dead => (message::State::Dead, None),
        };
        let name = &tried.message.name;
        self.execute("", |current| {
            let now = current.message(name).map(|stored| stored.revision());
            if now != Some(tried.revision()) {
                return Ok(Vec::new());
            }
            Ok(vec![draft(Kind::DeliveryAttempted(pb::DeliveryAttempted {
                message: name.clone(),
                attempt: Some(attempt.clone()),
                state: state.into(),
                next_attempt_time: due,
            }))])
        })
        .await
        .map(drop)
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
            if stored.message.state() != message::State::Dead {
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

/// The messages an event asks for, each with the rollout whose plan asks.
fn messages(state: &State, occurrence: &Occurrence) -> Vec<(String, NewMessage)> {
    let What::News(concern, news) = &occurrence.what else { return Vec::new() };
    let (source, revision) = (occurrence.source, occurrence.revision);
    let plans = concerned(state, concern);
    if plans.is_empty() {
        tracing::warn!(source, revision, ?concern, "no plan says whom to tell: nobody is told");
    }
    let mut messages = Vec::new();
    for (rollout, applied) in plans {
        let id = rollout.rsplit('/').next().unwrap_or_default();
        let origin = format!("{source}-{revision}.{id}");
        match compose(&applied.plan, news, &origin, &occurrence.actor, occurrence.time) {
            Ok(composed) => messages.extend(composed.into_iter().map(|new| (rollout.clone(), new))),
            Err(why) => tracing::error!(source, revision, rollout, why, "cannot be told"),
        }
    }
    messages
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

fn pending(rollout: String, new: NewMessage, made: Timestamp, due: Timestamp) -> pb::Message {
    pb::Message {
        name: format!("messages/{}", new.id),
        event: new.event,
        rollout,
        channel: new.channel,
        destination: new.destination,
        audience: new.audience,
        subject: new.subject,
        body: new.body,
        state: message::State::Pending.into(),
        create_time: Some(wire_time(made)),
        next_attempt_time: Some(wire_time(due)),
        ..pb::Message::default()
    }
}
