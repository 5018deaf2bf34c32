//! Who is told of what, and where.

use super::word::{
    ADDRESS, CLOCK_TIME, DURATION, ID, PHASE_ID, ROLE, SECTION, TEMPLATE_TEXT, UTC_OFFSET,
    WORKSPACES,
};
use super::{Kind, Object, may, must, names, object};
use crate::{ChannelKind, Clients, CommunicationEvent, OnUnknown};

pub(crate) static COMMUNICATION: Object = object(
    "communication",
    "The communication plan.",
    &[
        must("channels", Kind::List(0, &Kind::Object(&CHANNEL)), "Where messages go."),
        must("audiences", Kind::List(0, &Kind::Object(&AUDIENCE)), "Who they are for."),
        must("messages", Kind::List(0, &Kind::Object(&MESSAGE)), "Which event sends what."),
        may("contacts", Kind::List(0, &Kind::Object(&CONTACT)), "People, teams and clients."),
        may("templates", Kind::List(0, &Kind::Object(&TEMPLATE)), "Texts of its own."),
        may("client_facing", Kind::List(0, &Kind::Word(&ID)), "Triggers that clients feel."),
        may("quiet_hours", Kind::Object(&QUIET_HOURS), "When what is not urgent waits."),
        may(
            "digest_every",
            Kind::Word(&DURATION),
            "Sends what is not urgent at multiples of this, in one message to each.",
        ),
        may("escalation", Kind::Object(&ESCALATION), "When nobody acknowledges a reminder."),
    ],
);

pub(crate) static CONTACT: Object = object(
    "contact",
    "Somebody who can be written to.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("addresses", Kind::List(1, &Kind::Word(&ADDRESS)), "Its mail addresses."),
        may("roles", Kind::List(0, &Kind::Word(&ROLE)), "Roles it stands for."),
        may("workspaces", Kind::List(0, &Kind::Word(&WORKSPACES)), "Workspaces of this client."),
    ],
);

/// A file of contacts beside the plan.
pub(crate) static DIRECTORY: Object = object(
    "directory",
    "People, teams and clients, kept apart from the plan.",
    &[must("contacts", Kind::List(0, &Kind::Object(&CONTACT)), "Who they are.")],
);

pub(crate) static TEMPLATE: Object = object(
    "template",
    "A text that takes the place of the one that comes with Softlaunch.",
    &[
        must("message", Kind::Word(&ID), "The message it is for."),
        may("kind", Kind::OneOf("kind of channel", || names(ChannelKind::ALL)), "Its channels."),
        must("subject", Kind::Word(&TEMPLATE_TEXT), "The subject."),
        must("body", Kind::List(1, &Kind::Word(&TEMPLATE_TEXT)), "The text, line by line."),
    ],
);

pub(crate) static QUIET_HOURS: Object = object(
    "quiet_hours",
    "Hours of the day in which messages of low urgency wait.",
    &[
        must("utc_offset", Kind::Word(&UTC_OFFSET), "How local time differs from UTC."),
        must("from", Kind::Word(&CLOCK_TIME), "When they begin, in local time."),
        must("to", Kind::Word(&CLOCK_TIME), "When they end, in local time."),
    ],
);

pub(crate) static ESCALATION: Object = object(
    "escalation",
    "Who is told when nobody acknowledges that a review is due.",
    &[
        must("after", Kind::Word(&DURATION), "After so long."),
        must("channels", Kind::List(1, &Kind::Word(&ID)), "Where."),
        must("audience", Kind::Word(&ID), "Who."),
    ],
);

pub(crate) static CHANNEL: Object = object(
    "channel",
    "Where messages go; addresses and secrets are settings of the comms service.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("kind", Kind::OneOf("kind of channel", || names(ChannelKind::ALL)), "Its protocol."),
        must("label", Kind::Text, "Where, as people say it."),
        may("fallback", Kind::Word(&ID), "Takes what this one refuses for good."),
        may(
            "on_unknown",
            Kind::OneOf("policy", || names(OnUnknown::ALL)),
            "What if nobody knows whether a message was taken; by urgency where left out.",
        ),
        may("rate_per_minute", Kind::Integer(1, 6000), "At most so many messages in a minute."),
    ],
);

pub(crate) static AUDIENCE: Object = object(
    "audience",
    "Roles, or a set of clients the comms service works out.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "Its title."),
        may("addresses", Kind::List(0, &Kind::Word(&ADDRESS)), "For channels that need them."),
        may("contacts", Kind::List(0, &Kind::Word(&ID)), "Contacts in it."),
        may("roles", Kind::List(0, &Kind::Word(&ROLE)), "Roles in it."),
        may("clients", Kind::OneOf("set of clients", || names(Clients::ALL)), "Clients in it."),
    ],
);

pub(crate) static MESSAGE: Object = object(
    "message",
    "What an event sends.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("section", Kind::Word(&SECTION), "The section it comes from."),
        must("event", Kind::OneOf("event", || names(CommunicationEvent::ALL)), "The event."),
        may("phases", Kind::List(0, &Kind::Word(&PHASE_ID)), "Only these phases; all if empty."),
        must("channels", Kind::List(0, &Kind::Word(&ID)), "Channels it goes to."),
        must("audience", Kind::Word(&ID), "For whom."),
        may("deadline", Kind::Word(&DURATION), "Everybody must have been told after so long."),
    ],
);
