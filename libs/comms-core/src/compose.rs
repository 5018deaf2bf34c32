//! From news to what the plan wants told, and to whom.

use std::time::Duration;

use plan::{Audience, Channel, ChannelKind, Clients, CommunicationEvent, Message, Plan};
use vocab::{PhaseId, Timestamp, WorkspaceId};

use crate::audience::addresses;
use crate::facts::{Facts, facts};
use crate::message::{Content, Ids, NewCommunication, NewMessage, Urgency};
use crate::template::render;
use crate::{News, Standing};

/// No communication goes to more destinations: a record of the journal holds them all.
pub const DESTINATIONS_MAX: usize = 5_000;
const INCIDENT_DEADLINE: Duration = Duration::from_secs(15 * 60);
const DEADLINE: Duration = Duration::from_secs(24 * 3_600);
pub(crate) const MEETING_LENGTH: Duration = Duration::from_secs(30 * 60);

/// What surrounds some news.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The rollout's id, without `rollouts/`.
    pub rollout: &'a str,
    /// Names the event uniquely, e.g. `rollout-17.ingestion-v2`.
    pub source: &'a str,
    /// Orders changes of phase.
    pub revision: u64,
    /// Who did it.
    pub actor: &'a str,
    /// When it happened.
    pub time: Timestamp,
    /// The workspaces with uploads in the phase; `None` where nobody can say.
    pub affected: Option<&'a [WorkspaceId]>,
}

/// What follows from some news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Where the rollout stands now.
    pub standing: Standing,
    /// What the plan wants told.
    pub communications: Vec<NewCommunication>,
    /// Messages about a phase that was left are told no more: why.
    pub overtaken: Option<String>,
}

/// Decides what is told of `news`.
#[must_use]
pub fn tell(context: &Context<'_>, before: &Standing, news: &News) -> Told {
    let Context { plan, source, revision, time, .. } = *context;
    let standing = before.after(plan, news, revision, source, time);
    let facts = facts(context, before, &standing, news);
    let standing = Standing { review: facts.review, ..standing };
    let mut ids = Ids::default();
    let mut communications = Vec::new();
    for event in news.events(standing.incident.as_ref().is_some_and(|one| one.client_facing)) {
        for message in plan.communication.messages.iter().filter(|one| one.event == event) {
            if is_asked_for(plan, before, &standing, news, message) {
                let one = communicate(context, &standing, message, &facts, &mut ids);
                communications.push(one);
            }
        }
    }
    if let (News::ReviewUnanswered { .. }, Some(to)) = (news, &plan.communication.escalation) {
        let message = Message {
            id: plan
                .communication
                .messages
                .iter()
                .find(|one| one.event == CommunicationEvent::ReviewReminder)
                .map_or_else(|| to.audience.clone(), |one| one.id.clone()),
            section: "4.2".to_owned(),
            event: CommunicationEvent::ReviewReminder,
            phases: Vec::new(),
            channels: to.channels.clone(),
            audience: to.audience.clone(),
            deadline: None,
        };
        communications.push(communicate(context, &standing, &message, &facts, &mut ids));
    }
    let overtaken = if let News::RollbackStarted { from, .. } = news {
        Some(format!("{from} was left by a rollback"))
    } else {
        None
    };
    Told { standing, communications, overtaken }
}

/// Composes one message of the plan because a person asks, for a reason. The news is what is the case
/// now.
#[must_use]
pub fn tell_by_hand(
    context: &Context<'_>,
    standing: &Standing,
    message: &Message,
    reason: &str,
) -> NewCommunication {
    let facts = crate::facts::by_hand(context, standing, message.event, reason);
    communicate(context, standing, message, &facts, &mut Ids::default())
}

/// Composes one message of the plan to be looked at: what only an event gives is in brackets.
#[must_use]
pub fn preview(context: &Context<'_>, standing: &Standing, message: &Message) -> NewCommunication {
    let mut facts = crate::facts::by_hand(context, standing, message.event, "");
    for (name, value) in &mut facts.fields {
        if value.is_empty() {
            *value = format!("[{name}]");
        }
    }
    communicate(context, standing, message, &facts, &mut Ids::default())
}

/// Whether the plan wants this message for this news.
fn is_asked_for(
    plan: &Plan,
    before: &Standing,
    after: &Standing,
    news: &News,
    message: &Message,
) -> bool {
    let covers = |phase: Option<&PhaseId>| {
        message.phases.is_empty() || phase.is_some_and(|phase| message.phases.contains(phase))
    };
    match (message.event, news) {
        // Before its phase, as soon as nothing but the entry criteria is missing.
        (CommunicationEvent::CanaryInvitation, _) => {
            let next = next_phase(plan, after.phase.as_ref());
            let first = message.phases.first().or(next);
            next.is_some() && first == next && just_approved(plan, before, after)
        }
        // Shown in its phases, and withdrawn where it was shown before.
        (CommunicationEvent::BetaAnnouncement, News::RollbackStarted { .. }) => {
            covers(after.phase.as_ref())
        }
        (CommunicationEvent::BetaAnnouncement, News::PhaseStarted { .. }) => {
            covers(after.phase.as_ref())
                || (before.phase.is_some() && covers(before.phase.as_ref()))
        }
        // A meeting is arranged where there is a gate, and changed only where there is a meeting.
        (CommunicationEvent::GateReview, News::PhaseStarted { .. }) => {
            covers(after.phase.as_ref()) && gate(plan, after).is_some()
        }
        (CommunicationEvent::GateReview, _) => before.review.is_some_and(|review| {
            covers(after.phase.as_ref()) && crate::facts::review_moves(plan, after, review, news)
        }),
        (_, News::RollbackStepDone { step, .. }) => {
            plan.rollback_steps.iter().any(|known| known.id.as_str() == step && !known.by_system)
        }
        _ => after.phase.is_none() || covers(after.phase.as_ref()),
    }
}

pub(crate) fn gate<'a>(plan: &'a Plan, standing: &Standing) -> Option<&'a plan::Gate> {
    plan.phase(standing.phase.as_ref()?)?.gate.as_ref()
}

pub(crate) fn next_phase<'a>(plan: &'a Plan, phase: Option<&PhaseId>) -> Option<&'a PhaseId> {
    let mut behind = plan.phases.iter().skip_while(|one| Some(&one.id) != phase).skip(1);
    behind.next().map(|next| &next.id)
}

/// Whether the last role that was missing has approved the gate.
fn just_approved(plan: &Plan, before: &Standing, after: &Standing) -> bool {
    let Some(gate) = gate(plan, after) else { return false };
    let by_all =
        |standing: &Standing| gate.approvers.iter().all(|r| standing.approved.contains(r.as_str()));
    by_all(after) && !by_all(before)
}

/// The messages of one communication; or why there are none, which makes it incomplete.
fn communicate(
    context: &Context<'_>,
    standing: &Standing,
    message: &Message,
    facts: &Facts,
    ids: &mut Ids,
) -> NewCommunication {
    let urgency = Urgency::of(message.event);
    let usual = if urgency == Urgency::Incident { INCIDENT_DEADLINE } else { DEADLINE };
    let mut made = NewCommunication {
        id: ids.give(format!("{}.{}", context.source, message.id)),
        event: message.id.to_string(),
        phase: standing.phase.clone(),
        generation: standing.generation,
        deadline: message.deadline.unwrap_or(usual),
        messages: Vec::new(),
        lacking: Vec::new(),
    };
    let plan = context.plan;
    let audience = plan.communication.audiences.iter().find(|one| one.id == message.audience);
    let workspaces = workspaces(context, audience);
    let threaded = urgency == Urgency::Incident;
    let channels = plan.communication.channels.iter();
    for channel in channels.filter(|one| message.channels.contains(&one.id)) {
        let rendered = match render(plan, message, channel.kind, &facts.fields) {
            Ok(rendered) => rendered,
            Err(why) => {
                made.lacking.push(format!("{}: {why}", channel.id));
                continue;
            }
        };
        let destinations = destinations(context, channel, audience, message);
        if destinations.is_empty() {
            made.lacking.push(format!("{}: nobody in the audience has an address", channel.id));
        }
        if destinations.len() > DESTINATIONS_MAX {
            made.lacking.push(format!(
                "{}: {} destinations, and {DESTINATIONS_MAX} are the most",
                channel.id,
                destinations.len()
            ));
        }
        let told = destinations.iter().take(DESTINATIONS_MAX);
        made.messages.extend(told.map(|destination| NewMessage {
            id: ids.give(format!("{}.{}.{}.{destination}", context.source, message.id, channel.id)),
            event: message.id.to_string(),
            channel: channel.id.to_string(),
            kind: channel.kind,
            destination: destination.clone(),
            audience: audience.map_or_else(String::new, |audience| audience.title.clone()),
            subject: rendered.subject.clone(),
            body: rendered.body.clone(),
            html_body: rendered.html.clone(),
            template_digest: rendered.digest.clone(),
            urgency,
            thread: facts.thread.clone().filter(|_| threaded).unwrap_or_default(),
            content: content(context, message, channel, facts, &destinations),
            workspaces: workspaces.clone(),
        }));
    }
    made
}

/// The workspaces that a message is about.
fn workspaces(context: &Context<'_>, audience: Option<&Audience>) -> Vec<String> {
    let touched = audience.is_some_and(|one| one.clients == Some(Clients::Affected));
    let known = context.affected.filter(|_| touched).unwrap_or_default();
    known.iter().map(ToString::to_string).collect()
}

/// The channel that takes what `channel` refuses for good, and the destinations in it.
#[must_use]
pub fn stand_ins(plan: &Plan, event: &str, channel: &str) -> Option<(String, Vec<String>)> {
    let known = &plan.communication;
    let refused = known.channels.iter().find(|one| one.id.as_str() == channel)?;
    let other = known.channels.iter().find(|one| Some(&one.id) == refused.fallback.as_ref())?;
    let message = known.messages.iter().find(|one| one.id.as_str() == event)?;
    if message.channels.contains(&other.id) {
        return None; // It is told there anyway.
    }
    let audience = known.audiences.iter().find(|one| one.id == message.audience);
    let destinations = match other.kind {
        ChannelKind::Mail | ChannelKind::Meeting => {
            audience.map_or_else(Vec::new, |one| addresses(plan, one, message, None))
        }
        ChannelKind::Slack
        | ChannelKind::Banner
        | ChannelKind::Blog
        | ChannelKind::StatusPage
        | ChannelKind::Webhook => vec![other.label.clone()],
    };
    Some((other.id.to_string(), destinations))
}

/// Mail goes to each address by itself; everything else to the channel.
fn destinations(
    context: &Context<'_>,
    channel: &Channel,
    audience: Option<&Audience>,
    message: &Message,
) -> Vec<String> {
    match channel.kind {
        ChannelKind::Mail | ChannelKind::Meeting => audience.map_or_else(Vec::new, |audience| {
            addresses(context.plan, audience, message, context.affected)
        }),
        ChannelKind::Slack
        | ChannelKind::Banner
        | ChannelKind::Blog
        | ChannelKind::StatusPage
        | ChannelKind::Webhook => vec![channel.label.clone()],
    }
}

/// What the channel needs besides the text.
fn content(
    context: &Context<'_>,
    message: &Message,
    channel: &Channel,
    facts: &Facts,
    destinations: &[String],
) -> Content {
    let stable = || format!("{}.{}", context.rollout, message.id);
    match channel.kind {
        ChannelKind::Meeting => match &facts.meeting {
            Some(meeting) => {
                let mut meeting = meeting.clone();
                meeting.attendees = destinations.to_vec();
                Content::Meeting(meeting)
            }
            None => Content::None,
        },
        ChannelKind::Banner => Content::Banner {
            banner: stable(),
            flag: context.plan.flag.to_string(),
            withdrawn: facts.withdrawn(message),
        },
        ChannelKind::Blog => Content::BlogPost { post: stable() },
        ChannelKind::StatusPage => Content::StatusUpdate {
            incident: facts.thread.clone().unwrap_or_else(stable),
            status: facts.status,
            components: vec![context.plan.pipeline.to_string()],
        },
        ChannelKind::Slack if message.event == CommunicationEvent::RolloutArchived => {
            Content::ChannelArchive
        }
        ChannelKind::Slack | ChannelKind::Mail | ChannelKind::Webhook => Content::None,
    }
}

#[cfg(test)]
mod tests;
