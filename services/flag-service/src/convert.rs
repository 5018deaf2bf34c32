//! Between the wire, the journal and the core.

use contracts::flag as pb;
use contracts::flag::exclusion::Test;
use flag_core::{
    Attribute, Attributes, Definition, Evaluation, Flag, LISTED_MAX, Limits, Patterns, Reason,
};
use plan::{Exclusion, ExclusionTest};
use prost_types::Struct;
use prost_types::value::Kind;
use service_kit::fault::{Fault, checked, last_part};
use service_kit::wire::{etag, signed, wire_time};
use vocab::{BasisPoints, FlagKey, Invalid, Pattern, PhaseId, PipelineId};

use crate::error::DOMAIN;
use crate::state::Stored;

const EXCLUSIONS_MAX: usize = 100;
const ATTRIBUTES_MAX: usize = 64;
const ATTRIBUTE_LENGTH_MAX: usize = 1_024;

/// Reads a flag's name.
pub(crate) fn flag_key(path: &str, name: &str) -> Result<FlagKey, Fault> {
    checked(DOMAIN, path, FlagKey::new(last_part(DOMAIN, path, name, "flags")?))
}

/// Reads a definition from a request; `path` names it in refusals.
pub(crate) fn definition(path: &str, wire: &pb::FlagDefinition) -> Result<Definition, Fault> {
    let percentage = BasisPoints::new(wire.percentage_basis_points.into());
    let percentage = checked(DOMAIN, &format!("{path}.percentage_basis_points"), percentage)?;
    if wire.exclusions.len() > EXCLUSIONS_MAX {
        let why =
            format!("{} are too many: expected at most {EXCLUSIONS_MAX}", wire.exclusions.len());
        return Err(Fault::field(DOMAIN, format!("{path}.exclusions"), why));
    }
    let exclusions = wire.exclusions.iter().enumerate();
    let exclusions = exclusions
        .map(|(index, one)| exclusion(&format!("{path}.exclusions[{index}]"), one))
        .collect::<Result<_, _>>()?;
    Ok(Definition {
        enabled: wire.enabled,
        allow: patterns(&format!("{path}.allowlist"), &wire.allowlist)?,
        deny: patterns(&format!("{path}.denylist"), &wire.denylist)?,
        percentage,
        exclusions,
    })
}

fn patterns(path: &str, listed: &[String]) -> Result<Patterns, Fault> {
    if listed.len() > LISTED_MAX {
        let why = format!("{} patterns are too many: expected at most {LISTED_MAX}", listed.len());
        return Err(Fault::field(DOMAIN, path, why));
    }
    let patterns = listed
        .iter()
        .enumerate()
        .map(|(index, text)| checked(DOMAIN, &format!("{path}[{index}]"), Pattern::new(text)))
        .collect::<Result<_, _>>()?;
    checked(DOMAIN, path, Patterns::new(patterns))
}

fn exclusion(path: &str, wire: &pb::Exclusion) -> Result<Exclusion, Fault> {
    let attribute = attribute_name(&format!("{path}.attribute"), &wire.attribute)?;
    let test = match &wire.test {
        Some(Test::Equals(text)) => ExclusionTest::Equals(text.clone()),
        Some(Test::Above(bound)) => ExclusionTest::Above(*bound),
        None => return Err(Fault::field(DOMAIN, format!("{path}.test"), "is required")),
    };
    Ok(Exclusion { attribute, test })
}

fn attribute_name(path: &str, name: &str) -> Result<String, Fault> {
    if (1..=128).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Fault::field(DOMAIN, path, "expected 1 to 128 characters"))
}

/// Reads limits from a request.
pub(crate) fn limits(path: &str, wire: &pb::UploadLimits) -> Result<Limits, Fault> {
    let negative = |field: &str| Fault::field(DOMAIN, format!("{path}.{field}"), "is negative");
    let per_day = u32::try_from(wire.uploads_per_day_count)
        .map_err(|_e| negative("uploads_per_day_count"))?;
    let size =
        u64::try_from(wire.file_size_max_bytes).map_err(|_e| negative("file_size_max_bytes"))?;
    Ok(Limits {
        uploads_per_day: Some(per_day).filter(|limit| *limit > 0),
        file_size_max_bytes: Some(size).filter(|limit| *limit > 0),
    })
}

/// Reads the attributes of a workspace.
pub(crate) fn attributes(wire: Option<&Struct>) -> Result<Attributes, Fault> {
    let Some(wire) = wire else { return Ok(Attributes::new()) };
    if wire.fields.len() > ATTRIBUTES_MAX {
        let why = format!("{} are too many: expected at most {ATTRIBUTES_MAX}", wire.fields.len());
        return Err(Fault::field(DOMAIN, "attributes", why));
    }
    let mut attributes = Attributes::new();
    for (name, value) in &wire.fields {
        let path = format!("attributes.{}", vocab::excerpt(name));
        let name = attribute_name(&path, name)?;
        let value = match &value.kind {
            Some(Kind::StringValue(text)) if text.len() <= ATTRIBUTE_LENGTH_MAX => {
                Attribute::Text(text.clone())
            }
            Some(Kind::StringValue(_)) => {
                let why = format!("is longer than {ATTRIBUTE_LENGTH_MAX} bytes");
                return Err(Fault::field(DOMAIN, path, why));
            }
            Some(Kind::NumberValue(number)) if number.is_finite() => Attribute::Number(*number),
            Some(Kind::BoolValue(truth)) => Attribute::Truth(*truth),
            Some(Kind::NullValue(_)) | None => continue,
            Some(Kind::NumberValue(_)) => {
                return Err(Fault::field(DOMAIN, path, "is not a finite number"));
            }
            Some(Kind::StructValue(_) | Kind::ListValue(_)) => {
                return Err(Fault::field(
                    DOMAIN,
                    path,
                    "expected a text, a number or a truth value",
                ));
            }
        };
        attributes.insert(name, value);
    }
    Ok(attributes)
}

/// Reads a flag from the journal.
pub(crate) fn stored_flag(wire: &pb::Flag) -> Result<Flag, Invalid> {
    let name = wire.name.strip_prefix("flags/").unwrap_or(&wire.name);
    let unreadable = |_fault: Fault| Invalid::new("a definition that does not read");
    let empty = pb::FlagDefinition::default();
    let no_limits = pb::UploadLimits::default();
    let phase = if wire.phase_id.is_empty() { None } else { Some(PhaseId::new(&wire.phase_id)?) };
    Ok(Flag {
        key: FlagKey::new(name)?,
        pipeline: PipelineId::new(&wire.pipeline)?,
        definition: definition("definition", wire.definition.as_ref().unwrap_or(&empty))
            .map_err(unreadable)?,
        limits: limits("limits", wire.limits.as_ref().unwrap_or(&no_limits)).map_err(unreadable)?,
        rollout: wire.rollout.clone(),
        phase,
        generation: u64::try_from(wire.generation).unwrap_or(0),
        paused: wire.paused,
    })
}

/// The storage form of a flag: without what follows from its record.
pub(crate) fn wire_flag(flag: &Flag) -> pb::Flag {
    let limits = flag.limits;
    pb::Flag {
        name: format!("flags/{}", flag.key),
        definition: Some(wire_definition(&flag.definition)),
        rollout: flag.rollout.clone(),
        phase_id: flag.phase.as_ref().map_or_else(String::new, ToString::to_string),
        generation: signed(flag.generation),
        paused: flag.paused,
        limits: Some(pb::UploadLimits {
            uploads_per_day_count: limits
                .uploads_per_day
                .map_or(0, |limit| i32::try_from(limit).unwrap_or(i32::MAX)),
            file_size_max_bytes: limits.file_size_max_bytes.map_or(0, signed),
        }),
        pipeline: flag.pipeline.to_string(),
        ..pb::Flag::default()
    }
}

/// A flag as callers see it.
pub(crate) fn public_flag(stored: &Stored) -> pb::Flag {
    pb::Flag {
        revision: signed(stored.revision),
        create_time: Some(wire_time(stored.created_at)),
        update_time: Some(wire_time(stored.updated_at)),
        etag: etag(stored.revision),
        ..wire_flag(&stored.flag)
    }
}

fn wire_definition(definition: &Definition) -> pb::FlagDefinition {
    let listed = |patterns: &Patterns| patterns.listed().iter().map(ToString::to_string).collect();
    let exclusions = definition.exclusions.iter().map(|exclusion| pb::Exclusion {
        attribute: exclusion.attribute.clone(),
        test: Some(match &exclusion.test {
            ExclusionTest::Equals(text) => Test::Equals(text.clone()),
            ExclusionTest::Above(bound) => Test::Above(*bound),
        }),
    });
    pb::FlagDefinition {
        enabled: definition.enabled,
        allowlist: listed(&definition.allow),
        denylist: listed(&definition.deny),
        percentage_basis_points: definition.percentage.get().into(),
        exclusions: exclusions.collect(),
        ..pb::FlagDefinition::default()
    }
}

pub(crate) const fn wire_reason(evaluation: Evaluation) -> pb::Reason {
    match evaluation.reason {
        Reason::Killed => pb::Reason::Killed,
        Reason::Paused => pb::Reason::Paused,
        Reason::Denylisted => pb::Reason::Denylisted,
        Reason::Allowlisted => pb::Reason::Allowlisted,
        Reason::Disabled => pb::Reason::Disabled,
        Reason::Excluded => pb::Reason::Excluded,
        Reason::Percentage => pb::Reason::Percentage,
    }
}
