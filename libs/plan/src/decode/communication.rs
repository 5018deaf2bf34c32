//! Reads the communication plan.

use vocab::{PhaseId, ResourceId};

use super::fields::{Decoded, Fields, verbatim};
use crate::node::Node;
use crate::shape::{AUDIENCE, CHANNEL, COMMUNICATION, MESSAGE};
use crate::{Audience, Channel, ChannelKind, Communication, CommunicationEvent, Message};

pub(super) fn communication(node: &Node) -> Decoded<Communication> {
    let fields = Fields::of(node, &COMMUNICATION);
    Ok(Communication {
        channels: fields.list("channels", channel)?,
        audiences: fields.list("audiences", audience)?,
        messages: fields.list("messages", message)?,
    })
}

fn channel(node: &Node) -> Decoded<Channel> {
    let fields = Fields::of(node, &CHANNEL);
    Ok(Channel {
        id: fields.word("id", ResourceId::new)?,
        kind: fields.named("kind", ChannelKind::ALL)?,
        label: fields.text("label")?,
    })
}

fn audience(node: &Node) -> Decoded<Audience> {
    let fields = Fields::of(node, &AUDIENCE);
    Ok(Audience {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        addresses: fields.words("addresses", verbatim)?,
    })
}

fn message(node: &Node) -> Decoded<Message> {
    let fields = Fields::of(node, &MESSAGE);
    Ok(Message {
        id: fields.word("id", ResourceId::new)?,
        section: fields.text("section")?,
        event: fields.named("event", CommunicationEvent::ALL)?,
        phases: fields.words("phases", PhaseId::new)?,
        channels: fields.words("channels", ResourceId::new)?,
        audience: fields.word("audience", ResourceId::new)?,
    })
}
