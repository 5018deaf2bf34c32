//! Turns a tree that passed every check into a [`Plan`].

mod closing;
mod communication;
mod criterion;
mod fields;
mod phase;
mod response;

use vocab::{FlagKey, PipelineId, Role};

use self::fields::{Decoded, Fields};
use crate::node::Node;
use crate::shape::{PLAN, ROLE_TITLE};
use crate::{Contact, Plan, RoleTitle};

/// Reads the plan. After the checks this cannot fail; if it does, the problem says where the
/// shape and the reader disagree.
pub(crate) fn plan(node: &Node) -> Decoded<Plan> {
    let fields = Fields::of(node, &PLAN);
    Ok(Plan {
        pipeline: fields.word("pipeline", PipelineId::new)?,
        version: fields.text("version")?,
        title: fields.text("title")?,
        flag: fields.word("flag", FlagKey::new)?,
        roles: fields.list("roles", role_title)?,
        kill_switch: fields.one("kill_switch", response::kill_switch)?,
        state_transitions: fields.words("state_transitions", fields::verbatim)?,
        phases: fields.list("phases", phase::phase)?,
        thresholds: fields.list("thresholds", response::threshold)?,
        signals: fields.list("signals", response::signal)?,
        watching: fields.maybe_one("watching", response::watching)?.unwrap_or_default(),
        triggers: fields.list("triggers", response::trigger)?,
        rollback_steps: fields.list("rollback_steps", response::rollback_step)?,
        decision_matrix: fields.list("decision_matrix", response::matrix_row)?,
        ga: fields.one("ga", closing::ga)?,
        communication: fields.one("communication", communication::communication)?,
        post_ga: fields.list("post_ga", closing::post_ga_task)?,
        enhancements: fields.list("enhancements", closing::enhancement)?,
        references: fields.list("references", closing::reference)?,
        document: fields.one("document", closing::document)?,
    })
}

/// Reads the contacts of a directory.
pub(crate) fn directory(node: &Node) -> Decoded<Vec<Contact>> {
    communication::directory(node)
}

fn role_title(node: &Node) -> Decoded<RoleTitle> {
    let fields = Fields::of(node, &ROLE_TITLE);
    Ok(RoleTitle { role: fields.word("role", Role::new)?, title: fields.text("title")? })
}

/// Every key that was asked for, with the name of its map; for the test that nothing is listed
/// in vain.
#[cfg(test)]
pub(crate) use fields::keys_read;
