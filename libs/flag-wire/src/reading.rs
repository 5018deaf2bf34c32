//! From the wire to the core.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::exclusion::Test;
use contracts::flag::variant::Value as WireValue;
use flag_core::flagd::Imported;
use flag_core::limits::{CONDITION_DEPTH_MAX, EXCLUSIONS_MAX, LISTED_MAX, RULES_MAX};
use flag_core::{
    About, Attributes, Audience, Definition, Flag, Limits, Patterns, Problem, Rule, Serve, Split,
    Value, Variant, Variants, join,
};
use plan::{Exclusion, ExclusionTest};
use prost_types::Struct;
use serde_json::Value as Json;
use vocab::{BasisPoints, FlagKey, Invalid, Pattern, PhaseId, PipelineId, Timestamp};

use crate::{condition, json, problem};

const DESCRIPTION_MAX: usize = 1_000;
const OWNER_MAX: usize = 200;

/// Reads a definition; `path` names it in refusals.
///
/// # Errors
/// Names the field.
pub fn definition(path: &str, wire: &pb::FlagDefinition) -> Result<Definition, Problem> {
    if wire.flagd_json.is_empty() {
        let audience = audience(wire).map_err(|problem| problem.within(path))?;
        return Ok(audience.into());
    }
    let alone =
        pb::FlagDefinition { flagd_json: wire.flagd_json.clone(), ..pb::FlagDefinition::default() };
    let path = join(path, "flagd_json");
    if *wire != alone {
        return Err(problem(path, "excludes every other field of the definition"));
    }
    let imported = Imported::parse(&wire.flagd_json).map_err(|problem| problem.within(&path))?;
    Ok(Definition::Imported(Arc::new(imported)))
}

fn audience(wire: &pb::FlagDefinition) -> Result<Audience, Problem> {
    let variants = variants(wire)?;
    let percentage =
        checked("percentage_basis_points", BasisPoints::new(wire.percentage_basis_points.into()))?;
    at_most("exclusions", wire.exclusions.len(), EXCLUSIONS_MAX)?;
    at_most("rules", wire.rules.len(), RULES_MAX)?;
    let exclusions = wire.exclusions.iter().enumerate();
    let exclusions = exclusions
        .map(|(at, one)| exclusion(&format!("exclusions[{at}]"), one))
        .collect::<Result<_, _>>()?;
    let rules = wire.rules.iter().enumerate();
    let rules = rules
        .map(|(at, one)| rule(&format!("rules[{at}]"), one, &variants))
        .collect::<Result<_, _>>()?;
    let audience = Audience {
        enabled: wire.enabled,
        allow: patterns("allowlist", &wire.allowlist)?,
        deny: patterns("denylist", &wire.denylist)?,
        percentage,
        exclusions,
        split: split("split", &wire.split, &variants)?,
        rules,
        variants,
    };
    audience.check()?;
    Ok(audience)
}

fn variants(wire: &pb::FlagDefinition) -> Result<Variants, Problem> {
    if wire.variants.is_empty() {
        let needless =
            [("default_variant", &wire.default_variant), ("on_variant", &wire.on_variant)];
        return match needless.iter().find(|(_, name)| !name.is_empty()) {
            Some((path, _)) => Err(problem(*path, "names a variant, and there are no `variants`")),
            None => Ok(Variants::default()),
        };
    }
    let list = wire.variants.iter().enumerate().map(|(at, one)| {
        let value = one.value.as_ref().ok_or_else(|| {
            problem(format!("variants[{at}].value"), "is required: a variant has a value")
        })?;
        let value = match value {
            WireValue::BooleanValue(truth) => Value::Truth(*truth),
            WireValue::StringValue(text) => Value::Text(text.clone()),
            WireValue::IntegerValue(number) => Value::Integer(*number),
            WireValue::FloatValue(number) => Value::Float(*number),
            WireValue::ObjectValue(object) => {
                Value::Nested(Json::Object(json::json_of_struct(object)))
            }
        };
        Ok(Variant { name: one.name.as_str().into(), value })
    });
    let list = list.collect::<Result<_, _>>()?;
    Variants::new(list, &wire.default_variant, &wire.on_variant)
}

fn patterns(path: &str, listed: &[String]) -> Result<Patterns, Problem> {
    at_most(path, listed.len(), LISTED_MAX)?;
    let patterns = listed.iter().enumerate();
    let patterns = patterns
        .map(|(at, text)| checked(&format!("{path}[{at}]"), Pattern::new(text)))
        .collect::<Result<_, _>>()?;
    Patterns::new(patterns).map_err(|problem| problem.within(path))
}

fn exclusion(path: &str, wire: &pb::Exclusion) -> Result<Exclusion, Problem> {
    let test = match &wire.test {
        Some(Test::Equals(text)) => ExclusionTest::Equals(text.clone()),
        Some(Test::Above(bound)) => ExclusionTest::Above(*bound),
        None => return Err(problem(join(path, "test"), "is required")),
    };
    Ok(Exclusion { attribute: wire.attribute.clone(), test })
}

fn rule(path: &str, wire: &pb::Rule, variants: &Variants) -> Result<Rule, Problem> {
    text(&join(path, "description"), &wire.description, OWNER_MAX)?;
    let condition_path = join(path, "condition");
    let condition = wire.condition.as_ref();
    let condition = condition.ok_or_else(|| problem(&condition_path, "is required"))?;
    let serve = match (wire.variant.is_empty(), wire.split.is_empty()) {
        (false, true) => Serve::Variant(variants.find(&join(path, "variant"), &wire.variant)?),
        (true, false) => Serve::Split(split(&join(path, "split"), &wire.split, variants)?),
        (true, true) => return Err(problem(join(path, "variant"), "is required, or a split")),
        (false, false) => return Err(problem(join(path, "split"), "excludes `variant`")),
    };
    Ok(Rule {
        description: wire.description.clone(),
        condition: condition::read(&condition_path, condition, CONDITION_DEPTH_MAX)?,
        serve,
    })
}

fn split(path: &str, wire: &[pb::WeightedVariant], variants: &Variants) -> Result<Split, Problem> {
    let shares = wire.iter().enumerate().map(|(at, one)| {
        let variant = variants.find(&format!("{path}[{at}].variant"), &one.variant)?;
        let weight = BasisPoints::new(one.weight_basis_points.into());
        Ok((variant, checked(&format!("{path}[{at}].weight_basis_points"), weight)?))
    });
    Split::new(path, shares.collect::<Result<_, Problem>>()?)
}

/// Reads limits.
///
/// # Errors
/// Names the field.
pub fn limits(path: &str, wire: &pb::UploadLimits) -> Result<Limits, Problem> {
    let negative = |field: &str| problem(join(path, field), "is negative");
    let per_day = u32::try_from(wire.uploads_per_day_count)
        .map_err(|_e| negative("uploads_per_day_count"))?;
    let size =
        u64::try_from(wire.file_size_max_bytes).map_err(|_e| negative("file_size_max_bytes"))?;
    Ok(Limits {
        uploads_per_day: Some(per_day).filter(|limit| *limit > 0),
        file_size_max_bytes: Some(size).filter(|limit| *limit > 0),
    })
}

/// Reads what is said about a flag.
///
/// # Errors
/// Names the field.
pub fn about(path: &str, wire: &pb::Flag) -> Result<About, Problem> {
    text(&join(path, "description"), &wire.description, DESCRIPTION_MAX)?;
    text(&join(path, "owner"), &wire.owner, OWNER_MAX)?;
    let expires_at = wire.expire_time.as_ref().map(|time| {
        // Year 9999, beyond which no date is written.
        const LAST: i64 = 253_402_300_799;
        if !(0..=LAST).contains(&time.seconds) || !(0..1_000_000_000).contains(&time.nanos) {
            return Err(problem(join(path, "expire_time"), "is not a time between 1970 and 9999"));
        }
        Ok(Timestamp::from_millis(time.seconds * 1_000 + i64::from(time.nanos / 1_000_000)))
    });
    Ok(About {
        description: wire.description.clone(),
        owner: wire.owner.clone(),
        expires_at: expires_at.transpose()?,
        metadata: metadata(&join(path, "metadata"), wire.metadata.as_ref())?,
    })
}

/// Reads metadata.
///
/// # Errors
/// Names the entry.
pub fn metadata(path: &str, wire: Option<&Struct>) -> Result<Attributes, Problem> {
    json::attributes(path, wire)?;
    Ok(json::owned(wire))
}

/// Reads a flag as it is kept and sent.
///
/// # Errors
/// Names the field.
pub fn flag(wire: &pb::Flag) -> Result<Flag, Problem> {
    let name = wire.name.strip_prefix("flags/").unwrap_or(&wire.name);
    let (empty, no_limits) = (pb::FlagDefinition::default(), pb::UploadLimits::default());
    let phase = match wire.phase_id.as_str() {
        "" => None,
        phase => Some(checked("phase_id", PhaseId::new(phase))?),
    };
    Ok(Flag {
        key: checked("name", FlagKey::new(name))?,
        pipeline: checked("pipeline", PipelineId::new(&wire.pipeline))?,
        definition: definition("definition", wire.definition.as_ref().unwrap_or(&empty))?,
        limits: limits("limits", wire.limits.as_ref().unwrap_or(&no_limits))?,
        rollout: wire.rollout.clone(),
        phase,
        generation: u64::try_from(wire.generation).unwrap_or(0),
        paused: wire.paused,
        about: about("", wire)?,
    })
}

fn text(path: &str, text: &str, max: usize) -> Result<(), Problem> {
    let count = text.chars().count();
    if count > max {
        return Err(problem(
            path,
            format!("{count} characters are too many: expected at most {max}"),
        ));
    }
    Ok(())
}

fn at_most(path: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count > max {
        return Err(problem(path, format!("{count} are too many: expected at most {max}")));
    }
    Ok(())
}

fn checked<T>(path: &str, value: Result<T, Invalid>) -> Result<T, Problem> {
    value.map_err(|why| problem(path, why.to_string()))
}
