//! The rules between parts of a plan (semantics §1).
//!
//! They look at the tree, not at the types: a mistake in one part hides no mistake in another.
//! What a rule cannot read has been reported already, and is passed over.

mod cohort;
mod ramp;
mod reference;
mod unique;

pub(crate) use unique::each_contact_once;

use crate::node::Node;
use crate::problem::Problems;

/// Reports every broken rule.
pub(crate) fn validate(plan: &Node, problems: &mut Problems) {
    unique::ids(plan, problems);
    exit_criteria(plan, problems);
    ramp::steps(plan, problems);
    cohort::kept(plan, problems);
    reference::all(plan, problems);
}

/// A phase is left through a gate that asks for something; the last ends in GA (§2, §6.3).
fn exit_criteria(plan: &Node, problems: &mut Problems) {
    let phases = plan.list("phases");
    for (i, phase) in phases.iter().enumerate() {
        let path = format!("phases[{i}]");
        let name = phase_name(phase);
        let gate = phase.get("gate");
        if i + 1 == phases.len() {
            if let Some(gate) = gate {
                let message = format!("{name} is the last phase: `ga` takes the place of its gate");
                problems.error(gate.place, &format!("{path}.gate"), message);
            }
            continue;
        }
        let criteria = gate.and_then(|gate| gate.get("criteria"));
        if criteria.is_none_or(|criteria| criteria.items().is_empty()) {
            let place = criteria.or(gate).map_or(phase.place, |node| node.place);
            let message = format!(
                "{name} has no exit criteria: expected at least one under `gate.criteria` in \
                 every phase but the last"
            );
            problems.error(place, &format!("{path}.gate.criteria"), message);
        }
    }
    if phases.first().is_some_and(asks_for_a_gate_before) {
        let place = phases[0].place;
        problems.error(place, "phases[0].entry", "no gate comes before the first phase");
    }
}

fn asks_for_a_gate_before(phase: &Node) -> bool {
    phase.list("entry").iter().any(|criterion| criterion.text_of("observed") == Some("gate_passed"))
}

/// What a phase is called in a message.
fn phase_name(phase: &Node) -> String {
    phase.text_of("id").map_or_else(|| "the phase".to_owned(), vocab::excerpt)
}

/// The share a phase ends at: its flag's percentage, or nothing while the flag is disabled.
fn share_of(phase: &Node) -> Option<vocab::BasisPoints> {
    let flag = phase.get("flag")?;
    if !flag.get("enabled")?.boolean()? {
        return Some(vocab::BasisPoints::ZERO);
    }
    match flag.get("percentage") {
        None => Some(vocab::BasisPoints::ZERO),
        Some(percentage) => vocab::BasisPoints::from_percent(percentage.integer()?).ok(),
    }
}
