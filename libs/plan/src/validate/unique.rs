//! Ids are given once.

use std::collections::HashMap;

use crate::node::Node;
use crate::problem::{Place, Problems};

/// An id, where it stands, and its path.
type Given<'n> = (&'n str, Place, String);

/// Checks every kind of id by itself.
pub(super) fn ids(plan: &Node, problems: &mut Problems) {
    let lists = [
        ("role", plan.list("roles"), "roles", "role"),
        ("phase", plan.list("phases"), "phases", "id"),
        ("signal", plan.list("signals"), "signals", "id"),
        ("trigger", plan.list("triggers"), "triggers", "id"),
        ("rollback step", plan.list("rollback_steps"), "rollback_steps", "id"),
        ("matrix row", plan.list("decision_matrix"), "decision_matrix", "id"),
        ("task", plan.list("post_ga"), "post_ga", "id"),
    ];
    for (what, list, path, key) in lists {
        once(what, given(list, path, key), problems);
    }
    if let Some(communication) = plan.get("communication") {
        for (what, key) in [
            ("channel", "channels"),
            ("audience", "audiences"),
            ("message", "messages"),
            ("contact", "contacts"),
        ] {
            let path = format!("communication.{key}");
            once(what, given(communication.list(key), &path, "id"), problems);
        }
    }
    once("criterion", criteria(plan), problems);
    once("gate", gates(plan), problems);
    let transitions = plan.list("state_transitions").iter().enumerate().filter_map(|(i, node)| {
        Some((node.text()?, node.place, format!("state_transitions[{i}]")))
    });
    once("state transition", transitions.collect(), problems);
}

/// The same for a directory.
pub(crate) fn each_contact_once(directory: &Node, problems: &mut Problems) {
    once("contact", given(directory.list("contacts"), "contacts", "id"), problems);
}

fn given<'n>(list: &'n [Node], path: &str, key: &str) -> Vec<Given<'n>> {
    let ids = list.iter().enumerate().filter_map(|(i, item)| {
        let id = item.get(key)?;
        Some((id.text()?, id.place, format!("{path}[{i}].{key}")))
    });
    ids.collect()
}

fn gates(plan: &Node) -> Vec<Given<'_>> {
    let gates = plan.list("phases").iter().enumerate().filter_map(|(i, phase)| {
        let id = phase.get("gate")?.get("id")?;
        Some((id.text()?, id.place, format!("phases[{i}].gate.id")))
    });
    gates.collect()
}

fn criteria(plan: &Node) -> Vec<Given<'_>> {
    super::reference::criteria_lists(plan)
        .into_iter()
        .flat_map(|(path, list)| given(list, &path, "id"))
        .collect()
}

fn once(what: &str, ids: Vec<Given<'_>>, problems: &mut Problems) {
    let mut first: HashMap<&str, Place> = HashMap::new();
    for (id, place, path) in ids {
        if let Some(before) = first.get(id) {
            let id = vocab::excerpt(id);
            let message = format!(
                "the {what} `{id}` is there already, on line {}: expected each once",
                before.line
            );
            problems.error(place, &path, message);
        } else {
            first.insert(id, place);
        }
    }
}
