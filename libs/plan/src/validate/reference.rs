//! Names that must be somebody's: roles, phases, channels, audiences.

use crate::closest::hint;
use crate::node::Node;
use crate::problem::Problems;

/// Checks every reference.
pub(super) fn all(plan: &Node, problems: &mut Problems) {
    let roles = Known::of("role", plan.list("roles"), "role");
    let phases = Known::of("phase", plan.list("phases"), "id");
    for (path, list) in role_lists(plan) {
        roles.has_all(list, &path, problems);
    }
    for (i, threshold) in plan.list("thresholds").iter().enumerate() {
        phases.has_all(threshold.list("phases"), &format!("thresholds[{i}].phases"), problems);
    }
    system_steps(plan, problems);
    if let Some(communication) = plan.get("communication") {
        messages(communication, &phases, problems);
        delivered(plan, communication, problems);
        told(plan, communication, &roles, problems);
    }
}

/// What a criterion waits for must be a message of the plan.
fn delivered(plan: &Node, communication: &Node, problems: &mut Problems) {
    let messages = Known::of("message", communication.list("messages"), "id");
    for (path, criteria) in criteria_lists(plan) {
        for (i, criterion) in criteria.iter().enumerate() {
            if let Some(named) = criterion.get("communication") {
                messages.has(named, &format!("{path}[{i}].communication"), problems);
            }
        }
    }
}

/// What the system is to do in a rollback must be something it can.
fn system_steps(plan: &Node, problems: &mut Problems) {
    for (i, step) in plan.list("rollback_steps").iter().enumerate() {
        let Some(id) = step.get("id").filter(|_| step.text_of("by") == Some("system")) else {
            continue;
        };
        let text = id.text().unwrap_or_default();
        if !crate::SYSTEM_STEPS.contains(&text) {
            let message = format!(
                "the system cannot do `{}`: expected {}, or `by: people`",
                vocab::excerpt(text),
                crate::SYSTEM_STEPS.join(", ")
            );
            problems.error(id.place, &format!("rollback_steps[{i}].id"), message);
        }
    }
}

fn messages(communication: &Node, phases: &Known<'_>, problems: &mut Problems) {
    let channels = Known::of("channel", communication.list("channels"), "id");
    let audiences = Known::of("audience", communication.list("audiences"), "id");
    for (i, message) in communication.list("messages").iter().enumerate() {
        let path = format!("communication.messages[{i}]");
        if message.get("channels").is_some_and(|channels| channels.items().is_empty()) {
            let place = message.get("channels").map_or(message.place, |node| node.place);
            let path = format!("{path}.channels");
            problems.error(place, &path, "the event has no channel: expected at least one");
        }
        phases.has_all(message.list("phases"), &format!("{path}.phases"), problems);
        channels.has_all(message.list("channels"), &format!("{path}.channels"), problems);
        if let Some(audience) = message.get("audience") {
            audiences.has(audience, &format!("{path}.audience"), problems);
        }
    }
    for (i, channel) in communication.list("channels").iter().enumerate() {
        let Some(id) = channel.text_of("id") else { continue };
        let mut used = communication.list("messages").iter().flat_map(|m| m.list("channels"));
        let falls_back = |other: &Node| other.text_of("fallback") == Some(id);
        if !used.any(|other| other.text() == Some(id))
            && !communication.list("channels").iter().any(falls_back)
        {
            let message = format!("no message uses the channel `{}`", vocab::excerpt(id));
            problems.warning(channel.place, &format!("communication.channels[{i}]"), message);
        }
    }
}

/// Whom the communication plan names besides: contacts, roles, triggers, channels to fall back to.
fn told(plan: &Node, communication: &Node, roles: &Known<'_>, problems: &mut Problems) {
    let contacts = Known::of("contact", communication.list("contacts"), "id");
    let channels = Known::of("channel", communication.list("channels"), "id");
    let audiences = Known::of("audience", communication.list("audiences"), "id");
    let messages = Known::of("message", communication.list("messages"), "id");
    let triggers = Known::of("trigger", plan.list("triggers"), "id");
    for (i, audience) in communication.list("audiences").iter().enumerate() {
        let path = format!("communication.audiences[{i}]");
        contacts.has_all(audience.list("contacts"), &format!("{path}.contacts"), problems);
        roles.has_all(audience.list("roles"), &format!("{path}.roles"), problems);
    }
    for (i, contact) in communication.list("contacts").iter().enumerate() {
        let path = format!("communication.contacts[{i}].roles");
        roles.has_all(contact.list("roles"), &path, problems);
    }
    for (i, channel) in communication.list("channels").iter().enumerate() {
        let Some(fallback) = channel.get("fallback") else { continue };
        let path = format!("communication.channels[{i}].fallback");
        channels.has(fallback, &path, problems);
        if fallback.text() == channel.text_of("id") {
            problems.error(fallback.place, &path, "a channel cannot stand in for itself");
        }
    }
    for (i, template) in communication.list("templates").iter().enumerate() {
        if let Some(message) = template.get("message") {
            messages.has(message, &format!("communication.templates[{i}].message"), problems);
        }
    }
    let felt = communication.list("client_facing");
    triggers.has_all(felt, "communication.client_facing", problems);
    if let Some(escalation) = communication.get("escalation") {
        let path = "communication.escalation.channels";
        channels.has_all(escalation.list("channels"), path, problems);
        if let Some(audience) = escalation.get("audience") {
            audiences.has(audience, "communication.escalation.audience", problems);
        }
    }
}

/// Every list of criteria, with its path.
pub(super) fn criteria_lists(plan: &Node) -> Vec<(String, &[Node])> {
    let mut lists = Vec::new();
    for (i, phase) in plan.list("phases").iter().enumerate() {
        lists.push((format!("phases[{i}].entry"), phase.list("entry")));
        if let Some(gate) = phase.get("gate") {
            lists.push((format!("phases[{i}].gate.criteria"), gate.list("criteria")));
        }
    }
    if let Some(ga) = plan.get("ga") {
        for key in ["quantitative", "qualitative", "checklist"] {
            lists.push((format!("ga.{key}"), ga.list(key)));
        }
    }
    lists
}

/// Every list of roles, with its path.
fn role_lists(plan: &Node) -> Vec<(String, &[Node])> {
    let mut lists = Vec::new();
    for (i, phase) in plan.list("phases").iter().enumerate() {
        if let Some(review) = phase.get("review") {
            lists.push((format!("phases[{i}].review.attendees"), review.list("attendees")));
        }
        if let Some(gate) = phase.get("gate") {
            lists.push((format!("phases[{i}].gate.approvers"), gate.list("approvers")));
        }
    }
    for (path, criteria) in criteria_lists(plan) {
        for (i, criterion) in criteria.iter().enumerate() {
            for key in ["attestation", "sign_off"] {
                lists.push((format!("{path}[{i}].{key}"), criterion.list(key)));
            }
        }
    }
    for (i, trigger) in plan.list("triggers").iter().enumerate() {
        lists.push((format!("triggers[{i}].override_roles"), trigger.list("override_roles")));
    }
    for key in ["ga", "document"] {
        if let Some(part) = plan.get(key) {
            lists.push((format!("{key}.approvers"), part.list("approvers")));
        }
    }
    lists
}

/// The names of one kind that the plan declares.
struct Known<'n> {
    what: &'static str,
    names: Vec<&'n str>,
}

impl<'n> Known<'n> {
    fn of(what: &'static str, list: &'n [Node], key: &str) -> Self {
        Self { what, names: list.iter().filter_map(|item| item.text_of(key)).collect() }
    }

    fn has_all(&self, references: &[Node], path: &str, problems: &mut Problems) {
        for (i, reference) in references.iter().enumerate() {
            let path = format!("{path}[{i}]");
            self.has(reference, &path, problems);
            let twice = references[..i].iter().any(|other| other.value == reference.value);
            if let Some(name) = reference.text().filter(|_| twice) {
                let message = format!("`{}` is named twice", vocab::excerpt(name));
                problems.error(reference.place, &path, message);
            }
        }
    }

    fn has(&self, reference: &Node, path: &str, problems: &mut Problems) {
        let Some(name) = reference.text() else { return };
        if self.names.contains(&name) {
            return;
        }
        if problems.is_full() {
            return; // Looking for the name that was meant costs too much to be thrown away.
        }
        let shown = vocab::excerpt(name);
        let hint = hint(name, self.names.iter().copied());
        let message = format!("the plan has no {} `{shown}`{hint}", self.what);
        problems.error(reference.place, path, message);
    }
}
