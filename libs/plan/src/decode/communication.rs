//! Reads the communication plan.

use vocab::{Pattern, PhaseId, ResourceId, Role, parse_duration};

use super::fields::{Decoded, Fields, verbatim};
use crate::node::Node;
use crate::shape::{
    AUDIENCE, CHANNEL, COMMUNICATION, CONTACT, DIRECTORY, ESCALATION, MESSAGE, QUIET_HOURS,
    TEMPLATE, parse_clock_time, parse_utc_offset,
};
use crate::{
    Audience, Channel, ChannelKind, Clients, Communication, CommunicationEvent, Contact,
    Escalation, Message, OnUnknown, QuietHours, Template,
};

pub(super) fn communication(node: &Node) -> Decoded<Communication> {
    let fields = Fields::of(node, &COMMUNICATION);
    Ok(Communication {
        channels: fields.list("channels", channel)?,
        audiences: fields.list("audiences", audience)?,
        messages: fields.list("messages", message)?,
        contacts: fields.list("contacts", contact)?,
        templates: fields.list("templates", template)?,
        client_facing: fields.words("client_facing", ResourceId::new)?,
        quiet_hours: fields.maybe_one("quiet_hours", quiet_hours)?,
        digest_every: fields.maybe_word("digest_every", parse_duration)?,
        escalation: fields.maybe_one("escalation", escalation)?,
    })
}

/// The contacts of a directory.
pub(super) fn directory(node: &Node) -> Decoded<Vec<Contact>> {
    Fields::of(node, &DIRECTORY).list("contacts", contact)
}

fn contact(node: &Node) -> Decoded<Contact> {
    let fields = Fields::of(node, &CONTACT);
    Ok(Contact {
        id: fields.word("id", ResourceId::new)?,
        addresses: fields.words("addresses", verbatim)?,
        roles: fields.words("roles", Role::new)?,
        workspaces: fields.words("workspaces", Pattern::new)?,
    })
}

fn template(node: &Node) -> Decoded<Template> {
    let fields = Fields::of(node, &TEMPLATE);
    Ok(Template {
        message: fields.word("message", ResourceId::new)?,
        kind: fields.maybe_named("kind", ChannelKind::ALL)?,
        subject: fields.text("subject")?,
        body: fields.words("body", verbatim)?,
    })
}

fn quiet_hours(node: &Node) -> Decoded<QuietHours> {
    let fields = Fields::of(node, &QUIET_HOURS);
    Ok(QuietHours {
        offset_minutes: fields.word("utc_offset", parse_utc_offset)?,
        from_minute: fields.word("from", parse_clock_time)?,
        to_minute: fields.word("to", parse_clock_time)?,
    })
}

fn escalation(node: &Node) -> Decoded<Escalation> {
    let fields = Fields::of(node, &ESCALATION);
    Ok(Escalation {
        after: fields.word("after", parse_duration)?,
        channels: fields.words("channels", ResourceId::new)?,
        audience: fields.word("audience", ResourceId::new)?,
    })
}

fn channel(node: &Node) -> Decoded<Channel> {
    let fields = Fields::of(node, &CHANNEL);
    Ok(Channel {
        id: fields.word("id", ResourceId::new)?,
        kind: fields.named("kind", ChannelKind::ALL)?,
        label: fields.text("label")?,
        fallback: fields.maybe_word("fallback", ResourceId::new)?,
        on_unknown: fields.maybe_named("on_unknown", OnUnknown::ALL)?,
        rate_per_minute: fields.maybe_integer("rate_per_minute")?,
    })
}

fn audience(node: &Node) -> Decoded<Audience> {
    let fields = Fields::of(node, &AUDIENCE);
    Ok(Audience {
        id: fields.word("id", ResourceId::new)?,
        title: fields.text("title")?,
        addresses: fields.words("addresses", verbatim)?,
        contacts: fields.words("contacts", ResourceId::new)?,
        roles: fields.words("roles", Role::new)?,
        clients: fields.maybe_named("clients", Clients::ALL)?,
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
        deadline: fields.maybe_word("deadline", parse_duration)?,
    })
}
