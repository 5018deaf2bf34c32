//! What people ask for: to tell, to tell again, to look, to acknowledge.

use std::collections::BTreeSet;
use std::sync::Arc;

use comms_core::{Context, REVIEW, preview, tell_by_hand};
use contracts::comms as pb;
use contracts::comms::comms_event::Kind;
use contracts::comms::message;
use plan::Plan;
use service_kit::clock::real_now;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused, request_key};
use service_kit::wire::{time_of, wire_time};
use uuid::Uuid;
use vocab::{Actor, Role};

use super::App;
use super::telling::{id, moment};
use crate::convert::told::{communication, message};
use crate::convert::{shown_communication, shown_message};
use crate::directory;
use crate::error::{DOMAIN, Refused};
use crate::state::{Applied, State, draft};

/// As many at once as one page shows.
const REDRIVEN_MAX: usize = 1_000;

impl App {
    /// Tells what the plan has for an event, because somebody asks.
    pub(crate) async fn send(
        &self,
        request: pb::SendCommunicationRequest,
        actor: Actor,
        reason: String,
    ) -> Result<pb::Communication, Fault> {
        let key = request_key(DOMAIN, "SendCommunication", &request.request_id, &request)?;
        // Under one request id it has one name, whoever carries it out.
        let unique = Uuid::try_parse(&request.request_id).unwrap_or_else(|_e| Uuid::new_v4());
        let rollout = id(&request.rollout);
        let source = format!("hand-{unique}.{rollout}");
        let name = format!("communications/{source}.{}", request.event);
        let by = actor.subject.clone();
        let roles = actor.roles.clone();
        let command = command(&self.clock, actor, reason.clone(), key);
        let contacts = self.directory.contacts();
        let executed = self.replica.execute(&command, |state, _| {
            let applied = applied(state, &request.rollout)?;
            let plan = directory::with(&applied.plan, &contacts);
            known_role(&applied.plan, &roles, &by)?;
            let event = event(&applied.plan, &request.event)?;
            let standing = state.standing(&request.rollout);
            let now = self.clock.now();
            let context = Context {
                plan: &plan,
                rollout,
                source: &source,
                revision: standing.generation,
                actor: &by,
                time: now,
                affected: None,
            };
            let new = tell_by_hand(&context, &standing, event, &reason);
            let moment = moment(applied, &self.clock);
            let messages = new.messages.iter().cloned();
            let made = pb::Made {
                communications: vec![communication(&request.rollout, &new, now, moment)],
                messages: messages
                    .map(|one| message(&request.rollout, &new, one, moment))
                    .collect(),
                ..pb::Made::default()
            };
            let made = pb::MessagesMade { made: Some(made), ..pb::MessagesMade::default() };
            Ok::<_, Refused>(vec![draft(Kind::MessagesMade(made))])
        });
        let done = executed.await.map_err(|error| refused(DOMAIN, error))?;
        let made = done.snapshot.state.communications.get(&name);
        let made = made.ok_or_else(|| Refused::NoEvent(request.event.clone()))?;
        Ok(shown_communication(&made.communication, &self.clock))
    }

    /// Tries all messages again that fit, or only counts them.
    pub(crate) async fn redrive_all(
        &self,
        request: pb::RedriveMessagesRequest,
        actor: Actor,
        reason: String,
    ) -> Result<pb::RedriveMessagesResponse, Fault> {
        let wanted = match request.state() {
            message::State::Unspecified | message::State::Dead => message::State::Dead,
            message::State::Unknown => message::State::Unknown,
            message::State::Pending | message::State::Sent | message::State::Cancelled => {
                let why = "cannot be redriven: expected DEAD or UNKNOWN";
                return Err(Fault::field(DOMAIN, "state", why));
            }
        };
        let fits = |one: &pb::Message| {
            let same = |filter: &str, value: &str| filter.is_empty() || filter == value;
            one.state() == wanted
                && same(&request.rollout, &one.rollout)
                && same(&request.channel, &one.channel)
                && same(&request.event, &one.event)
                && request
                    .since_time
                    .as_ref()
                    .is_none_or(|since| time_of(one.create_time.as_ref()) >= time_of(Some(since)))
        };
        let found = |state: &State| {
            let all = state.messages.values().filter(|stored| fits(&stored.message));
            all.map(|stored| stored.message.name.clone()).take(REDRIVEN_MAX + 1).collect::<Vec<_>>()
        };
        let count = if request.validate_only {
            found(&self.newest_state().await?.state).len()
        } else {
            let command = command(&self.clock, actor, reason, None);
            let mut count = 0;
            let executed = self.replica.execute(&command, |state, _| {
                let names = found(state);
                count = names.len();
                let next_attempt_time = Some(wire_time(real_now()));
                let redriven = names.into_iter().take(REDRIVEN_MAX).map(|message| {
                    draft(Kind::Redriven(pb::Redriven { message, next_attempt_time }))
                });
                Ok::<_, Refused>(redriven.collect())
            });
            executed.await.map_err(|error| refused(DOMAIN, error))?;
            count
        };
        Ok(pb::RedriveMessagesResponse {
            message_count: i32::try_from(count.min(REDRIVEN_MAX)).unwrap_or(i32::MAX),
            more: count > REDRIVEN_MAX,
        })
    }

    /// Records that somebody knows that a review is due; which it is.
    pub(crate) async fn acknowledge(
        &self,
        rollout: &str,
        actor: Actor,
        reason: String,
    ) -> Result<i32, Fault> {
        let (by, roles) = (actor.subject.clone(), actor.roles.clone());
        let command = command(&self.clock, actor, reason, None);
        let mut number = 0;
        let executed = self.replica.execute(&command, |state, _| {
            known_role(&applied(state, rollout)?.plan, &roles, &by)?;
            let standing = state.standing(rollout);
            let reminder = standing.reminders.get(REVIEW);
            let reminder =
                reminder.ok_or_else(|| Refused::NothingToAcknowledge(rollout.to_owned()))?;
            number = i32::try_from(reminder.number).unwrap_or(i32::MAX);
            if reminder.acknowledged {
                return Ok::<_, Refused>(Vec::new());
            }
            let (rollout, subject) = (rollout.to_owned(), REVIEW.to_owned());
            let known = pb::ReminderAcknowledged { rollout, subject };
            Ok(vec![draft(Kind::ReminderAcknowledged(known))])
        });
        executed.await.map_err(|error| refused(DOMAIN, error))?;
        Ok(number)
    }

    /// Shows what would be sent.
    pub(crate) fn preview(
        &self,
        request: &pb::PreviewMessageRequest,
    ) -> Result<pb::PreviewMessageResponse, Fault> {
        let snapshot = self.state();
        let applied = if request.plan_source.is_empty() {
            applied(&snapshot.state, &request.rollout)?.clone()
        } else {
            let plan = crate::state::parse(&request.plan_source)
                .map_err(|why| Fault::field(DOMAIN, "plan_source", why))?;
            Applied { plan: Arc::new(plan), since: 0 }
        };
        let event = event(&applied.plan, &request.event)?;
        if !request.channel.is_empty() {
            channel(&applied.plan, &request.channel)?;
        }
        let mut standing = snapshot.state.standing(&request.rollout);
        if standing.phase.is_none() {
            let first = event.phases.first().or(applied.plan.phases.first().map(|one| &one.id));
            standing.phase = first.cloned();
        }
        let plan = directory::with(&applied.plan, &self.directory.contacts());
        let context = Context {
            plan: &plan,
            rollout: id(&request.rollout),
            source: "preview",
            revision: standing.generation,
            actor: "[actor]",
            time: self.clock.now(),
            affected: None,
        };
        let new = preview(&context, &standing, event);
        let moment = moment(&applied, &self.clock);
        let wanted = new
            .messages
            .iter()
            .filter(|one| request.channel.is_empty() || one.channel == request.channel);
        let made = wanted.cloned().map(|one| message(&request.rollout, &new, one, moment));
        let messages = made.map(|message| shown_message(message, &self.clock)).collect();
        Ok(pb::PreviewMessageResponse { messages, detail: new.lacking.join("; ") })
    }
}

pub(super) fn applied<'a>(state: &'a State, rollout: &str) -> Result<&'a Applied, Refused> {
    state.plans.get(rollout).ok_or_else(|| Refused::NoRollout(rollout.to_owned()))
}

pub(super) fn event<'a>(plan: &'a Plan, id: &str) -> Result<&'a plan::Message, Refused> {
    let found = plan.communication.messages.iter().find(|one| one.id.as_str() == id);
    found.ok_or_else(|| Refused::NoEvent(id.to_owned()))
}

pub(super) fn channel<'a>(plan: &'a Plan, id: &str) -> Result<&'a plan::Channel, Refused> {
    let found = plan.communication.channels.iter().find(|one| one.id.as_str() == id);
    found.ok_or_else(|| Refused::NoChannel(id.to_owned()))
}

/// Whoever makes others be told, or takes it upon them to know, is somebody in the plan.
pub(super) fn known_role(plan: &Plan, roles: &BTreeSet<Role>, actor: &str) -> Result<(), Refused> {
    let known = plan.roles.iter().any(|known| roles.contains(&known.role));
    if known { Ok(()) } else { Err(Refused::RoleMissing(actor.to_owned())) }
}
