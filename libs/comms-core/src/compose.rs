//! From an event to the messages the plan asks for.

use std::collections::BTreeSet;

use plan::{Channel, ChannelKind, CommunicationEvent, Plan};
use vocab::{BasisPoints, PhaseId, Timestamp};

use crate::template::{Fields, render};

/// Something people may have to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A phase started.
    PhaseStarted {
        /// The phase.
        phase: PhaseId,
        /// The share that is on by percentage.
        exposure: BasisPoints,
    },
    /// The rollout was paused.
    RolloutPaused {
        /// Why.
        reason: String,
    },
    /// A kill switch was engaged.
    KillSwitchEngaged {
        /// What it stops, in words.
        scope: String,
        /// Why.
        reason: String,
    },
    /// A kill switch was released.
    KillSwitchReleased {
        /// What goes on, in words.
        scope: String,
        /// Why it is safe.
        reason: String,
    },
}

/// A message to one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Stable over retries and replicas: made from event, channel and destination.
    pub id: String,
    /// The plan's id of the message, e.g. `phase-start`.
    pub event: String,
    /// The channel.
    pub channel: String,
    /// What it speaks.
    pub kind: ChannelKind,
    /// A channel label or one mail address.
    pub destination: String,
    /// For whom, in words.
    pub audience: String,
    /// Subject, one line.
    pub subject: String,
    /// Text.
    pub body: String,
}

/// Composes the messages `plan` asks for. `source` names the event uniquely, e.g. `rollout-17`.
///
/// # Errors
/// Names a template that does not render; the event is not lost but cannot be told.
pub fn compose(
    plan: &Plan,
    news: &News,
    source: &str,
    actor: &str,
    time: Timestamp,
) -> Result<Vec<NewMessage>, String> {
    let (event, phase, fields) = describe(plan, news, actor, time);
    let Some(rendered) = render(event, &fields) else {
        return Ok(Vec::new());
    };
    let (subject, body) = rendered?;
    let wanted = plan.communication.messages.iter().filter(|message| {
        let fits = |phase: &PhaseId| message.phases.is_empty() || message.phases.contains(phase);
        message.event == event && phase.as_ref().is_none_or(fits)
    });
    let mut messages = Vec::new();
    let mut ids = Ids::default();
    for message in wanted {
        let audience =
            plan.communication.audiences.iter().find(|known| known.id == message.audience);
        let title = audience.map_or_else(String::new, |audience| audience.title.clone());
        let addresses = audience.map_or(&[][..], |audience| audience.addresses.as_slice());
        for channel in
            plan.communication.channels.iter().filter(|c| message.channels.contains(&c.id))
        {
            for destination in destinations(channel, addresses) {
                let wanted = format!("{source}.{}.{}.{destination}", message.id, channel.id);
                let Some(id) = ids.give(wanted) else {
                    continue; // The same destination, named twice.
                };
                messages.push(NewMessage {
                    id,
                    event: message.id.to_string(),
                    channel: channel.id.to_string(),
                    kind: channel.kind,
                    destination,
                    audience: title.clone(),
                    subject: subject.clone(),
                    body: body.clone(),
                });
            }
        }
    }
    Ok(messages)
}

/// Ids given out for one event: safe in a resource name and in a header, and distinct.
#[derive(Debug, Default)]
struct Ids {
    wanted: BTreeSet<String>,
    given: BTreeSet<String>,
}

impl Ids {
    /// An id made of letters, digits and `._@-`; `None` where the same was wanted before. Two that
    /// differ only in other characters are told apart by a number.
    fn give(&mut self, wanted: String) -> Option<String> {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '_' };
        let plain: String = wanted.chars().map(safe).collect();
        if !self.wanted.insert(wanted) {
            return None;
        }
        let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
        let mut candidates = std::iter::once(plain.clone()).chain(numbered);
        let id = candidates.find(|id| !self.given.contains(id))?;
        self.given.insert(id.clone());
        Some(id)
    }
}

/// Mail goes to each address by itself; everything else to the channel.
fn destinations(channel: &Channel, addresses: &[String]) -> Vec<String> {
    match channel.kind {
        ChannelKind::Mail | ChannelKind::Meeting => addresses.to_vec(),
        ChannelKind::Slack
        | ChannelKind::Banner
        | ChannelKind::Blog
        | ChannelKind::StatusPage
        | ChannelKind::Webhook => vec![channel.label.clone()],
    }
}

fn describe(
    plan: &Plan,
    news: &News,
    actor: &str,
    time: Timestamp,
) -> (CommunicationEvent, Option<PhaseId>, Fields) {
    let mut fields: Fields = vec![
        ("pipeline", plan.pipeline.to_string()),
        ("actor", actor.to_owned()),
        ("time", time.to_string()),
    ];
    let mut incident = |title: String, why: &str, effect: &str| {
        fields.push(("title", title));
        fields.push(("why", why.to_owned()));
        fields.push(("effect", effect.to_owned()));
    };
    match news {
        News::PhaseStarted { phase: id, exposure } => {
            let phase = plan.phase(id);
            let text = |part: fn(&plan::Phase) -> &str| {
                phase.map_or_else(String::new, |phase| part(phase).to_owned())
            };
            fields.push(("phase_id", id.to_string()));
            fields.push(("phase_name", text(|phase| &phase.name)));
            fields.push(("objective", text(|phase| &phase.objective)));
            fields.push(("audience", text(|phase| &phase.audience)));
            fields.push(("review", text(|phase| &phase.review.description)));
            fields.push(("exposure", exposure.to_string()));
            (CommunicationEvent::PhaseStart, Some(id.clone()), fields)
        }
        News::RolloutPaused { reason } => {
            incident(
                "rollout paused".to_owned(),
                reason,
                "new uploads of the phase's cohort wait; ramp and phase clock stand still",
            );
            (CommunicationEvent::Incident, None, fields)
        }
        News::KillSwitchEngaged { scope, reason } => {
            incident(
                format!("kill switch engaged for {scope}"),
                reason,
                "new uploads in this scope wait until the switch is released",
            );
            (CommunicationEvent::Incident, None, fields)
        }
        News::KillSwitchReleased { scope, reason } => {
            incident(format!("kill switch released for {scope}"), reason, "uploads go on");
            (CommunicationEvent::Incident, None, fields)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> Plan {
        Plan::parse(plan::SHIPPED).expect("the shipped plan is valid").0
    }

    fn told(news: &News) -> Vec<NewMessage> {
        compose(&shipped(), news, "rollout-7", "ada", Timestamp::EPOCH).unwrap()
    }

    #[test]
    fn a_phase_start_is_told_in_slack_and_by_mail() {
        let phase = PhaseId::new("P1").unwrap();
        let messages = told(&News::PhaseStarted { phase, exposure: BasisPoints::ZERO });
        let slack = messages.iter().find(|message| message.kind == ChannelKind::Slack).unwrap();
        assert_eq!(slack.destination, "#engineering");
        assert_eq!(slack.subject, "ingestion_v2: P1 Canary has started");
        assert!(messages.iter().any(|message| message.kind == ChannelKind::Mail));
    }

    #[test]
    fn a_kill_is_an_incident_and_says_why() {
        let news =
            News::KillSwitchEngaged { scope: "everything".into(), reason: "bad data".into() };
        let messages = told(&news);
        let slack = messages.iter().find(|message| message.kind == ChannelKind::Slack).unwrap();
        assert_eq!(slack.destination, "#incidents");
        assert!(slack.body.contains("Reason: bad data"), "{}", slack.body);
    }

    #[test]
    fn ids_are_stable_and_distinct() {
        let news = News::RolloutPaused { reason: "look".into() };
        let ids: Vec<_> = told(&news).into_iter().map(|message| message.id).collect();
        let again: Vec<_> = told(&news).into_iter().map(|message| message.id).collect();
        assert_eq!(ids, again);
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn an_id_is_safe_in_a_name_and_distinct_from_its_look_alike() {
        let mut ids = Ids::default();
        assert_eq!(ids.give("a.#x y".into()).as_deref(), Some("a._x_y"));
        assert_eq!(ids.give("a.#x y".into()), None);
        assert_eq!(ids.give("a.#x_y".into()).as_deref(), Some("a._x_y-2"));
        assert_eq!(ids.give("a.b\r\n@c".into()).as_deref(), Some("a.b__@c"));
    }
}
