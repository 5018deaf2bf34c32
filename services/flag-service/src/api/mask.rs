//! Field masks of `UpdateFlag`: which parts of a flag a change takes from the request.

use contracts::flag as pb;
use prost_types::FieldMask;
use service_kit::fault::Fault;

use crate::app::Parts;
use crate::convert;
use crate::error::DOMAIN;

const PATHS: [&str; 17] = [
    "definition",
    "definition.enabled",
    "definition.allowlist",
    "definition.denylist",
    "definition.percentage_basis_points",
    "definition.exclusions",
    "definition.variants",
    "definition.default_variant",
    "definition.on_variant",
    "definition.rules",
    "definition.split",
    "definition.flagd_json",
    "limits",
    "description",
    "owner",
    "expire_time",
    "metadata",
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
pub(super) fn overlay(flag: &pb::Flag, change: &pb::Flag, paths: &[&str]) -> Result<Parts, Fault> {
    let mut result = flag.clone();
    // What the mask names must be there: a forgotten field would switch everybody off.
    let required = |path: &str| Fault::field(DOMAIN, path, "is required: the mask names it");
    if change.definition.is_none() && paths.iter().any(|path| path.starts_with("definition")) {
        return Err(required("flag.definition"));
    }
    if change.limits.is_none() && paths.contains(&"limits") {
        return Err(required("flag.limits"));
    }
    let mut definition = flag.definition.clone().unwrap_or_default();
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
            "definition.variants" => definition.variants.clone_from(&from.variants),
            "definition.default_variant" => {
                definition.default_variant.clone_from(&from.default_variant);
            }
            "definition.on_variant" => definition.on_variant.clone_from(&from.on_variant),
            "definition.rules" => definition.rules.clone_from(&from.rules),
            "definition.split" => definition.split.clone_from(&from.split),
            "definition.flagd_json" => definition.flagd_json.clone_from(&from.flagd_json),
            "limits" => result.limits = change.limits,
            "description" => result.description.clone_from(&change.description),
            "owner" => result.owner.clone_from(&change.owner),
            "expire_time" => result.expire_time = change.expire_time,
            _metadata => result.metadata.clone_from(&change.metadata),
        }
    }
    Ok(Parts {
        definition: convert::definition("flag.definition", &definition)?,
        limits: convert::limits("flag.limits", &result.limits.unwrap_or_default())?,
        about: flag_wire::about("flag", &result).map_err(convert::fault)?,
    })
}
