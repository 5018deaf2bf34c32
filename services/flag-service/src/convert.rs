//! Between the wire and the core, as far as `flag-wire` leaves it: names, revisions, refusals.

use contracts::flag as pb;
use flag_core::{Definition, Limits, Problem, Reason};
use prost_types::Struct;
use service_kit::fault::{Fault, checked, last_part};
use service_kit::wire::{etag, signed, wire_time};
use vocab::FlagKey;

use crate::error::DOMAIN;
use crate::state::Stored;

/// A problem of a field, to a caller.
pub(crate) fn fault(problem: Problem) -> Fault {
    Fault::field(DOMAIN, problem.path, problem.why)
}

/// A problem of a field, as one line.
pub(crate) fn shown(problem: &Problem) -> String {
    problem.to_string()
}

/// Reads a flag's name.
pub(crate) fn flag_key(path: &str, name: &str) -> Result<FlagKey, Fault> {
    flag_name(path, name).and_then(|key| checked(DOMAIN, path, FlagKey::new(key)))
}

/// Reads the key of a flag where it stands: a question needs it for a moment.
pub(crate) fn flag_name<'a>(path: &str, name: &'a str) -> Result<&'a str, Fault> {
    let key = last_part(DOMAIN, path, name, "flags")?;
    checked(DOMAIN, path, FlagKey::check(key)).map(|()| key)
}

/// Reads a definition; `path` names it in refusals.
pub(crate) fn definition(path: &str, wire: &pb::FlagDefinition) -> Result<Definition, Fault> {
    flag_wire::definition(path, wire).map_err(fault)
}

/// Reads limits.
pub(crate) fn limits(path: &str, wire: &pb::UploadLimits) -> Result<Limits, Fault> {
    flag_wire::limits(path, wire).map_err(fault)
}

/// Checks the attributes of a workspace.
pub(crate) fn attributes(wire: Option<&Struct>) -> Result<(), Fault> {
    flag_wire::attributes("attributes", wire).map_err(fault)
}

/// A flag as callers see it.
pub(crate) fn public_flag(stored: &Stored) -> pb::Flag {
    pb::Flag {
        revision: signed(stored.revision),
        create_time: Some(wire_time(stored.created_at)),
        update_time: Some(wire_time(stored.updated_at)),
        delete_time: stored.deleted_at.map(wire_time),
        problem: stored.problem.as_ref().map_or_else(String::new, |(revision, why)| {
            format!("revision {revision} cannot be read: {why}")
        }),
        etag: etag(stored.revision),
        ..flag_wire::wire_flag(&stored.flag)
    }
}

pub(crate) const fn wire_reason(reason: Reason) -> pb::Reason {
    flag_wire::wire_reason(reason)
}
