//! From the core to the wire.

use contracts::flag as pb;
use contracts::flag::exclusion::Test;
use contracts::flag::variant::Value as WireValue;
use flag_core::{Attributes, Audience, Definition, Flag, Patterns, Serve, Split, Value, Variants};
use plan::ExclusionTest;
use prost_types::{Struct, Timestamp as WireTime};
use serde_json::Value as Json;
use vocab::Timestamp;

use crate::{condition, json};

/// A flag without what follows from where it is kept: revision, etag, times.
#[must_use]
pub fn wire_flag(flag: &Flag) -> pb::Flag {
    let per_day = flag.limits.uploads_per_day;
    let size = flag.limits.file_size_max_bytes;
    pb::Flag {
        name: format!("flags/{}", flag.key),
        definition: Some(wire_definition(&flag.definition)),
        rollout: flag.rollout.clone(),
        phase_id: flag.phase.as_ref().map_or_else(String::new, ToString::to_string),
        generation: i64::try_from(flag.generation).unwrap_or(i64::MAX),
        paused: flag.paused,
        limits: Some(pb::UploadLimits {
            uploads_per_day_count: per_day
                .map_or(0, |limit| i32::try_from(limit).unwrap_or(i32::MAX)),
            file_size_max_bytes: size.map_or(0, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
        }),
        pipeline: flag.pipeline.to_string(),
        description: flag.about.description.clone(),
        owner: flag.about.owner.clone(),
        expire_time: flag.about.expires_at.map(wire_time),
        metadata: wire_metadata(&flag.about.metadata),
        ..pb::Flag::default()
    }
}

/// Metadata; `None` where there is none.
#[must_use]
pub fn wire_metadata(metadata: &Attributes) -> Option<Struct> {
    let fields = metadata.iter().map(|(name, value)| (name.clone(), json::value_of(&value.into())));
    (!metadata.is_empty()).then(|| Struct { fields: fields.collect() })
}

fn wire_time(time: Timestamp) -> WireTime {
    let nanos = i32::try_from(time.as_millis().rem_euclid(1_000) * 1_000_000).unwrap_or(0);
    WireTime { seconds: time.as_seconds(), nanos }
}

/// A definition.
#[must_use]
pub fn wire_definition(definition: &Definition) -> pb::FlagDefinition {
    match definition {
        Definition::Audience(audience) => wire_audience(audience),
        Definition::Imported(imported) => pb::FlagDefinition {
            flagd_json: imported.source().to_string(),
            ..pb::FlagDefinition::default()
        },
    }
}

fn wire_audience(audience: &Audience) -> pb::FlagDefinition {
    let listed = |patterns: &Patterns| patterns.listed().iter().map(ToString::to_string).collect();
    let exclusions = audience.exclusions.iter().map(|exclusion| pb::Exclusion {
        attribute: exclusion.attribute.clone(),
        test: Some(match &exclusion.test {
            ExclusionTest::Equals(text) => Test::Equals(text.clone()),
            ExclusionTest::Above(bound) => Test::Above(*bound),
        }),
    });
    let variants = &audience.variants;
    let rules = audience.rules.iter().map(|rule| {
        let (variant, split) = match &rule.serve {
            Serve::Variant(variant) => (variants.at(*variant).name.to_string(), Vec::new()),
            Serve::Split(split) => (String::new(), wire_split(split, variants)),
        };
        let condition = Some(condition::write(&rule.condition));
        pb::Rule { description: rule.description.clone(), condition, variant, split }
    });
    let mut wire = pb::FlagDefinition {
        enabled: audience.enabled,
        allowlist: listed(&audience.allow),
        denylist: listed(&audience.deny),
        percentage_basis_points: audience.percentage.get().into(),
        exclusions: exclusions.collect(),
        rules: rules.collect(),
        split: wire_split(&audience.split, variants),
        ..pb::FlagDefinition::default()
    };
    if !variants.is_short() {
        wire.default_variant = variants.at(variants.default_index()).name.to_string();
        let on = variants.on_index().map(|on| variants.at(on).name.to_string());
        wire.on_variant = on.unwrap_or_default();
        wire.variants = variants
            .list()
            .iter()
            .map(|one| pb::Variant {
                name: one.name.to_string(),
                value: Some(wire_value(&one.value)),
            })
            .collect();
    }
    wire
}

fn wire_split(split: &Split, variants: &Variants) -> Vec<pb::WeightedVariant> {
    let shares = split.shares().iter().map(|share| pb::WeightedVariant {
        variant: variants.at(share.variant).name.to_string(),
        weight_basis_points: share.weight.get().into(),
    });
    shares.collect()
}

fn wire_value(value: &Value) -> WireValue {
    match value {
        Value::Truth(truth) => WireValue::BooleanValue(*truth),
        Value::Text(text) => WireValue::StringValue(text.clone()),
        Value::Integer(number) => WireValue::IntegerValue(*number),
        Value::Float(number) => WireValue::FloatValue(*number),
        Value::Nested(Json::Object(fields)) => WireValue::ObjectValue(json::struct_of(fields)),
        // A variant of ours is an object, never a list: `Variants::new` says so.
        Value::Nested(_) => WireValue::ObjectValue(Struct::default()),
    }
}
