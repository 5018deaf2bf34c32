//! Who is told of what, and where.

use super::word::{ADDRESS, ID, PHASE_ID, SECTION};
use super::{Kind, Object, may, must, names, object};
use crate::{ChannelKind, CommunicationEvent};

pub(crate) static COMMUNICATION: Object = object(
    "communication",
    "The communication plan.",
    &[
        must("channels", Kind::List(0, &Kind::Object(&CHANNEL)), "Where messages go."),
        must("audiences", Kind::List(0, &Kind::Object(&AUDIENCE)), "Who they are for."),
        must("messages", Kind::List(0, &Kind::Object(&MESSAGE)), "Which event sends what."),
    ],
);

pub(crate) static CHANNEL: Object = object(
    "channel",
    "Where messages go; addresses and secrets are settings of the comms service.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("kind", Kind::OneOf("kind of channel", || names(ChannelKind::ALL)), "Its protocol."),
        must("label", Kind::Text, "Where, as people say it."),
    ],
);

pub(crate) static AUDIENCE: Object = object(
    "audience",
    "Roles, or a set of clients the comms service works out.",
    &[
        must("id", Kind::Word(&ID), "Its id."),
        must("title", Kind::Text, "Its title."),
        may("addresses", Kind::List(0, &Kind::Word(&ADDRESS)), "For channels that need them."),
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
    ],
);
