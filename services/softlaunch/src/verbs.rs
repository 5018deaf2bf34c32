//! What an operator can do, a module for each noun.

pub(crate) mod audit;
pub(crate) mod certs;
pub(crate) mod comms;
pub(crate) mod doctor;
pub(crate) mod flag;
pub(crate) mod gate;
pub(crate) mod kill;
pub(crate) mod plan;
pub(crate) mod rehearse;
pub(crate) mod rollout;
pub(crate) mod store;
pub(crate) mod tokens;

/// The resource name of a rollout, given with or without its collection.
pub(crate) fn rollout_name(id: &str) -> String {
    if id.starts_with("rollouts/") { id.to_owned() } else { format!("rollouts/{id}") }
}

/// The resource name of a flag, given with or without its collection.
pub(crate) fn flag_name(id: &str) -> String {
    if id.starts_with("flags/") { id.to_owned() } else { format!("flags/{id}") }
}
