//! What is told: communications, and the messages they are made of.

use std::collections::BTreeSet;
use std::time::Duration;

use plan::{ChannelKind, CommunicationEvent};
use vocab::{PhaseId, Timestamp};

use crate::IncidentStatus;

/// Something that happened and that the plan wants told to an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommunication {
    /// Stable over replicas: made from event and message of the plan.
    pub id: String,
    /// The plan's id of the message, e.g. `phase-start`.
    pub event: String,
    /// The phase that was on.
    pub phase: Option<PhaseId>,
    /// Which stay in it.
    pub generation: u64,
    /// Everybody must have been told after so long.
    pub deadline: Duration,
    /// The messages, one for each destination.
    pub messages: Vec<NewMessage>,
    /// Who cannot be told, and why; where not empty it is never complete.
    pub lacking: Vec<String>,
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
    /// The same as HTML; empty for channels that do not take it.
    pub html_body: String,
    /// Identifies the template.
    pub template_digest: String,
    /// How soon it must be told.
    pub urgency: Urgency,
    /// What it belongs together with; empty for nothing.
    pub thread: String,
    /// What the channel needs besides the text.
    pub content: Content,
    /// The workspaces it is about, where its audience is made of those that something touched.
    pub workspaces: Vec<String>,
}

/// How soon a message must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Outside quiet hours, and together with others of its kind.
    Low,
    /// Soon, at any hour.
    Normal,
    /// At once, at any hour.
    Incident,
}

impl Urgency {
    /// How soon messages of an event must be told.
    #[must_use]
    pub const fn of(event: CommunicationEvent) -> Self {
        match event {
            CommunicationEvent::Incident
            | CommunicationEvent::ClientIncident
            | CommunicationEvent::RollbackNotice => Self::Incident,
            CommunicationEvent::PostGaFollowUp | CommunicationEvent::ReviewReminder => Self::Low,
            CommunicationEvent::PhaseStart
            | CommunicationEvent::GateReview
            | CommunicationEvent::GaDeclaration
            | CommunicationEvent::CanaryInvitation
            | CommunicationEvent::BetaAnnouncement
            | CommunicationEvent::GaAnnouncement
            | CommunicationEvent::Advisory
            | CommunicationEvent::PhaseOverdue
            | CommunicationEvent::RolloutArchived => Self::Normal,
        }
    }
}

/// What a channel needs besides the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    None,
    /// An invitation.
    Meeting(Meeting),
    /// A banner in the product.
    Banner {
        /// The same for every change of it.
        banner: String,
        /// Shown to those for whom this flag is on.
        flag: String,
        /// Not shown any more.
        withdrawn: bool,
    },
    /// A blog post.
    BlogPost {
        /// The same for every change of it.
        post: String,
    },
    /// An update of an incident.
    StatusUpdate {
        /// The same for every update of it.
        incident: String,
        /// How far it is.
        status: IncidentStatus,
        /// What it touches.
        components: Vec<String>,
    },
    /// The channel itself ends.
    ChannelArchive,
}

/// A meeting that people are invited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The same for every change of it.
    pub uid: String,
    /// Rises with every change.
    pub sequence: u32,
    /// It is called off.
    pub cancelled: bool,
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// Mail addresses of all who are invited.
    pub attendees: Vec<String>,
}

/// Ids given out for one event: safe in a resource name and in a header, and distinct.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    given: BTreeSet<String>,
}

impl Ids {
    /// An id made of letters, digits and `._@-`. Two that differ only in other characters are told
    /// apart by a number.
    pub(crate) fn give(&mut self, wanted: String) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || "._@-".contains(c) { c } else { '_' };
        let plain: String = wanted.chars().map(safe).collect();
        let mut id = plain.clone();
        let mut number = 1_u32;
        while !self.given.insert(id.clone()) {
            number += 1;
            id = format!("{plain}-{number}");
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_safe_in_a_name_and_distinct_from_its_look_alike() {
        let mut ids = Ids::default();
        assert_eq!(ids.give("a.#x y".into()), "a._x_y");
        assert_eq!(ids.give("a.#x_y".into()), "a._x_y-2");
        assert_eq!(ids.give("a.b\r\n@c".into()), "a.b__@c");
    }
}
