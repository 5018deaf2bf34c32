//! Field masks of `UpdateFlag`: which parts of a flag a change takes from the request.

use contracts::flag as pb;
use flag_core::{Definition, Limits};
use prost_types::FieldMask;
use service_kit::fault::Fault;

use crate::convert;
use crate::error::DOMAIN;

const PATHS: [&str; 7] = [
    "definition",
    "definition.enabled",
    "definition.allowlist",
    "definition.denylist",
    "definition.percentage_basis_points",
    "definition.exclusions",
    "limits",
];

/// Checks a mask; the whole definition where none is given.
pub(super) fn paths(mask: Option<&FieldMask>) -> Result<Vec<&'static str>, Fault> {
    let asked = mask.map_or(&[][..], |mask| mask.paths.as_slice());
    if asked.is_empty() {
        return Ok(vec!["definition"]);
    }
    let known = |path: &String| {
        PATHS.iter().find(|known| *known == path).copied().ok_or_else(|| {
            let why = format!("`{}` cannot be changed: {}", vocab::excerpt(path), PATHS.join(", "));
            Fault::field(DOMAIN, "update_mask", why)
        })
    };
    asked.iter().map(known).collect()
}

/// Lays the masked parts of `change` over `flag` and reads the result.
pub(super) fn overlay(
    flag: &pb::Flag,
    change: &pb::Flag,
    paths: &[&str],
) -> Result<(Definition, Limits), Fault> {
    let mut definition = flag.definition.clone().unwrap_or_default();
    let mut limits = flag.limits.unwrap_or_default();
    // What the mask names must be there: a forgotten field would switch everybody off.
    let required = |path: &str| Fault::field(DOMAIN, path, "is required: the mask names it");
    if change.definition.is_none() && paths.iter().any(|path| path.starts_with("definition")) {
        return Err(required("flag.definition"));
    }
    if change.limits.is_none() && paths.contains(&"limits") {
        return Err(required("flag.limits"));
    }
    let from = change.definition.clone().unwrap_or_default();
    for path in paths {
        match *path {
            "definition" => definition = from.clone(),
            "definition.enabled" => definition.enabled = from.enabled,
            "definition.allowlist" => definition.allowlist.clone_from(&from.allowlist),
            "definition.denylist" => definition.denylist.clone_from(&from.denylist),
            "definition.percentage_basis_points" => {
                definition.percentage_basis_points = from.percentage_basis_points;
            }
            "definition.exclusions" => definition.exclusions.clone_from(&from.exclusions),
            _ => limits = change.limits.unwrap_or_default(),
        }
    }
    Ok((
        convert::definition("flag.definition", &definition)?,
        convert::limits("flag.limits", &limits)?,
    ))
}
