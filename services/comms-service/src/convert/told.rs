//! What the core decides to tell, as it is recorded and shown.

use std::time::Duration;

use comms_core::{
    Content, Incident, IncidentStatus, NewCommunication, NewMessage, Reminder, Review, Standing,
    Urgency,
};
use contracts::comms as pb;
use contracts::comms::status_update::{Impact, Status as IncidentState};
use contracts::comms::{message, standing};
use prost_types::Duration as WireDuration;
use service_kit::wire::{signed, time_of, wire_time};
use vocab::{PhaseId, Timestamp};

/// When messages are made and due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// On the clock of the rollout.
    pub(crate) made: Timestamp,
    /// In real time, by which deliveries go.
    pub(crate) real: Timestamp,
    /// When messages of low urgency are due, in real time.
    pub(crate) low_due: Timestamp,
}

/// A communication as recorded. Its deadline is in real time, like the deliveries it is about.
pub(crate) fn communication(
    rollout: &str,
    new: &NewCommunication,
    occurred: Timestamp,
    moment: Moment,
) -> pb::Communication {
    pb::Communication {
        name: format!("communications/{}", new.id),
        rollout: rollout.to_owned(),
        event: new.event.clone(),
        phase_id: new.phase.as_ref().map_or_else(String::new, ToString::to_string),
        phase_generation: signed(new.generation),
        create_time: Some(wire_time(occurred)),
        deadline_time: Some(wire_time(moment.real.plus(new.deadline))),
        detail: new.lacking.join("; "),
        ..pb::Communication::default()
    }
}

/// A message as recorded.
pub(crate) fn message(
    rollout: &str,
    communication: &NewCommunication,
    new: NewMessage,
    moment: Moment,
) -> pb::Message {
    let due = if new.urgency == Urgency::Low { moment.low_due } else { moment.real };
    let deadline = moment.real.plus(communication.deadline);
    pb::Message {
        name: format!("messages/{}", new.id),
        event: new.event,
        rollout: rollout.to_owned(),
        channel: new.channel,
        destination: new.destination,
        audience: new.audience,
        subject: new.subject,
        body: new.body,
        html_body: new.html_body,
        template_digest: new.template_digest,
        urgency: urgency(new.urgency).into(),
        thread: new.thread,
        state: message::State::Pending.into(),
        create_time: Some(wire_time(moment.made)),
        next_attempt_time: Some(wire_time(due)),
        deadline_time: Some(wire_time(deadline)),
        communication: format!("communications/{}", communication.id),
        content: content(new.content),
        workspaces: new.workspaces,
        ..pb::Message::default()
    }
}

const fn urgency(urgency: Urgency) -> message::Urgency {
    match urgency {
        Urgency::Low => message::Urgency::Low,
        Urgency::Normal => message::Urgency::Normal,
        Urgency::Incident => message::Urgency::Incident,
    }
}

/// How soon a message must be told. Not said is read as soon.
pub(crate) fn urgency_of(message: &pb::Message) -> Urgency {
    match message.urgency() {
        message::Urgency::Incident => Urgency::Incident,
        message::Urgency::Low => Urgency::Low,
        message::Urgency::Normal | message::Urgency::Unspecified => Urgency::Normal,
    }
}

fn content(content: Content) -> Option<message::Content> {
    Some(match content {
        Content::None => return None,
        Content::Meeting(meeting) => message::Content::Meeting(pb::Meeting {
            uid: meeting.uid,
            sequence: i32::try_from(meeting.sequence).unwrap_or(i32::MAX),
            cancelled: meeting.cancelled,
            start_time: Some(wire_time(meeting.start)),
            end_time: Some(wire_time(meeting.end)),
            attendees: meeting.attendees,
        }),
        Content::Banner { banner, flag, withdrawn } => {
            let flag = format!("flags/{flag}");
            message::Content::Banner(pb::BannerContent { banner, flag, withdrawn })
        }
        Content::BlogPost { post } => message::Content::BlogPost(pb::BlogPost { post }),
        Content::StatusUpdate { incident, status, components } => {
            let over = status == IncidentStatus::Resolved;
            message::Content::StatusUpdate(pb::StatusUpdate {
                incident,
                status: incident_state(status).into(),
                impact: if over { Impact::None } else { Impact::Major }.into(),
                components,
            })
        }
        Content::ChannelArchive => message::Content::ChannelArchive(pb::ChannelArchive {}),
    })
}

const fn incident_state(status: IncidentStatus) -> IncidentState {
    match status {
        IncidentStatus::Investigating => IncidentState::Investigating,
        IncidentStatus::Identified => IncidentState::Identified,
        IncidentStatus::Monitoring => IncidentState::Monitoring,
        IncidentStatus::Resolved => IncidentState::Resolved,
    }
}

/// Where a rollout stands, as recorded.
pub(crate) fn wire_standing(rollout: &str, standing: &Standing) -> pb::Standing {
    let duration = |length: Duration| WireDuration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(length.subsec_nanos()).unwrap_or(0),
    };
    pb::Standing {
        rollout: rollout.to_owned(),
        phase_id: standing.phase.as_ref().map_or_else(String::new, ToString::to_string),
        phase_generation: signed(standing.generation),
        phase_start_time: Some(wire_time(standing.phase_since)),
        stop_time: standing.stopped_since.map(wire_time),
        stopped_duration: Some(duration(standing.stopped_for)),
        kills: standing.kills.iter().cloned().collect(),
        incident: standing.incident.as_ref().map(|incident| standing::Incident {
            incident_id: incident.id.clone(),
            status: incident_state(incident.status).into(),
            client_facing: incident.client_facing,
        }),
        approved_roles: standing.approved.iter().cloned().collect(),
        ga_declare_time: standing.ga_declared.map(wire_time),
        done_tasks: standing.done_tasks.iter().cloned().collect(),
        archived: standing.archived,
        review: standing.review.map(|review| standing::Review {
            sequence: i32::try_from(review.sequence).unwrap_or(i32::MAX),
            start_time: Some(wire_time(review.start)),
        }),
        reminders: standing
            .reminders
            .iter()
            .map(|(subject, reminder)| standing::Reminder {
                subject: subject.clone(),
                number: i32::try_from(reminder.number).unwrap_or(i32::MAX),
                remind_time: Some(wire_time(reminder.at)),
                acknowledged: reminder.acknowledged,
                escalated: reminder.escalated,
            })
            .collect(),
    }
}

/// Reads where a rollout stands.
pub(crate) fn standing_of(wire: pb::Standing) -> Standing {
    let length = wire.stopped_duration.unwrap_or_default();
    let incident = wire.incident.map(|incident| Incident {
        status: match incident.status() {
            IncidentState::Unspecified | IncidentState::Investigating => {
                IncidentStatus::Investigating
            }
            IncidentState::Identified => IncidentStatus::Identified,
            IncidentState::Monitoring => IncidentStatus::Monitoring,
            IncidentState::Resolved => IncidentStatus::Resolved,
        },
        id: incident.incident_id,
        client_facing: incident.client_facing,
    });
    let reminders = wire.reminders.into_iter().map(|reminder| {
        let read = Reminder {
            number: u32::try_from(reminder.number).unwrap_or(0),
            at: time_of(reminder.remind_time.as_ref()),
            acknowledged: reminder.acknowledged,
            escalated: reminder.escalated,
        };
        (reminder.subject, read)
    });
    Standing {
        phase: PhaseId::new(&wire.phase_id).ok(),
        generation: u64::try_from(wire.phase_generation).unwrap_or(0),
        phase_since: time_of(wire.phase_start_time.as_ref()),
        stopped_since: wire.stop_time.as_ref().map(|time| time_of(Some(time))),
        stopped_for: Duration::new(
            u64::try_from(length.seconds).unwrap_or(0),
            u32::try_from(length.nanos).unwrap_or(0),
        ),
        kills: wire.kills.into_iter().collect(),
        incident,
        approved: wire.approved_roles.into_iter().collect(),
        ga_declared: wire.ga_declare_time.as_ref().map(|time| time_of(Some(time))),
        done_tasks: wire.done_tasks.into_iter().collect(),
        archived: wire.archived,
        review: wire.review.map(|review| Review {
            sequence: u32::try_from(review.sequence).unwrap_or(0),
            start: time_of(review.start_time.as_ref()),
        }),
        reminders: reminders.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_rollout_stands_comes_back_as_it_was_recorded() {
        let standing = Standing {
            phase: PhaseId::new("P2").ok(),
            generation: 7,
            phase_since: Timestamp::from_millis(1_500),
            stopped_since: Some(Timestamp::from_millis(9_000)),
            stopped_for: Duration::from_millis(2_250),
            kills: ["all".to_owned()].into(),
            incident: Some(Incident {
                id: "incident-1".to_owned(),
                status: IncidentStatus::Identified,
                client_facing: true,
            }),
            approved: ["sre_lead".to_owned()].into(),
            ga_declared: Some(Timestamp::from_millis(4)),
            done_tasks: ["a".to_owned()].into(),
            archived: true,
            review: Some(Review { sequence: 3, start: Timestamp::from_millis(8) }),
            reminders: [(
                "review".to_owned(),
                Reminder {
                    number: 2,
                    at: Timestamp::from_millis(5),
                    acknowledged: true,
                    escalated: false,
                },
            )]
            .into(),
        };
        assert_eq!(standing_of(wire_standing("rollouts/r", &standing)), standing);
    }
}
