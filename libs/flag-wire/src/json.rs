//! Protobuf's JSON values, and attributes in them.

use std::collections::BTreeMap;

use flag_core::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, ATTRIBUTE_TEXT_BYTES_MAX, ATTRIBUTES_MAX, CONTEXT_BYTES_MAX,
    CONTEXT_VALUES_MAX, DEPTH_MAX,
};
use flag_core::{Attribute, Attributes, Fact, Facts, KEY_ATTRIBUTE, Problem, number_as_json};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Value as Json};

use crate::problem;

/// Attributes as they came, looked up where they are. They have been checked before.
#[derive(Debug, Clone, Copy)]
pub struct StructFacts<'a>(pub Option<&'a Struct>);

impl Facts for StructFacts<'_> {
    fn fact(&self, name: &str) -> Option<Fact<'_>> {
        Some(match self.0?.fields.get(name)?.kind.as_ref()? {
            Kind::NullValue(_) => return None,
            Kind::StringValue(text) => Fact::Text(text),
            Kind::NumberValue(number) => Fact::Number(*number),
            Kind::BoolValue(truth) => Fact::Truth(*truth),
            Kind::StructValue(_) | Kind::ListValue(_) => Fact::Nested,
        })
    }

    fn document(&self) -> Map<String, Json> {
        self.0.map(json_of_struct).unwrap_or_default()
    }
}

/// A struct as a JSON object.
#[must_use]
pub fn json_of_struct(wire: &Struct) -> Map<String, Json> {
    wire.fields.iter().map(|(name, value)| (name.clone(), json_of(value))).collect()
}

pub(crate) fn json_of(wire: &Value) -> Json {
    match &wire.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(*truth),
        Some(Kind::NumberValue(number)) => number_as_json(*number),
        Some(Kind::StringValue(text)) => Json::String(text.clone()),
        Some(Kind::ListValue(list)) => list.values.iter().map(json_of).collect(),
        Some(Kind::StructValue(wire)) => Json::Object(json_of_struct(wire)),
    }
}

/// A JSON object as a struct.
#[must_use]
pub fn struct_of(fields: &Map<String, Json>) -> Struct {
    Struct { fields: fields.iter().map(|(name, json)| (name.clone(), value_of(json))).collect() }
}

/// A JSON value as protobuf's.
#[must_use]
pub fn value_of(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(0.0)),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(value_of).collect() })
        }
        Json::Object(fields) => Kind::StructValue(struct_of(fields)),
    };
    Value { kind: Some(kind) }
}

/// Checks the attributes of a workspace: at most 64 of texts, numbers and truth values.
///
/// # Errors
/// Names the attribute under `path`.
pub fn attributes(path: &str, wire: Option<&Struct>) -> Result<(), Problem> {
    let Some(wire) = wire else { return Ok(()) };
    if wire.fields.len() > ATTRIBUTES_MAX {
        let count = wire.fields.len();
        return Err(problem(
            path,
            format!("{count} are too many: expected at most {ATTRIBUTES_MAX}"),
        ));
    }
    for (name, value) in &wire.fields {
        let refused = |why: &str| Err(problem(format!("{path}.{}", vocab::excerpt(name)), why));
        let within = (1..=ATTRIBUTE_NAME_BYTES_MAX).contains(&name.len());
        if !within || name.chars().any(char::is_control) {
            return refused("expected a name of 1 to 128 characters");
        }
        match &value.kind {
            Some(Kind::StringValue(text)) if text.len() > ATTRIBUTE_TEXT_BYTES_MAX => {
                return refused("is longer than 1024 bytes");
            }
            Some(Kind::NumberValue(number)) if !number.is_finite() => {
                return refused("is not a finite number");
            }
            Some(Kind::StructValue(_) | Kind::ListValue(_)) => {
                return refused("expected a text, a number or a truth value");
            }
            Some(
                Kind::StringValue(_)
                | Kind::NumberValue(_)
                | Kind::BoolValue(_)
                | Kind::NullValue(_),
            )
            | None => {}
        }
    }
    Ok(())
}

/// One attribute; `None` for null.
#[must_use]
pub fn attribute(wire: &Value) -> Option<Attribute> {
    Some(match wire.kind.as_ref()? {
        Kind::NullValue(_) => return None,
        Kind::StringValue(text) => Attribute::Text(text.clone()),
        Kind::NumberValue(number) => Attribute::Number(*number),
        Kind::BoolValue(truth) => Attribute::Truth(*truth),
        Kind::StructValue(_) | Kind::ListValue(_) => Attribute::Nested(json_of(wire)),
    })
}

/// Checks the context of an OpenFeature client, in which anything may be nested, and takes the
/// targeting key out of it: an empty one is none.
///
/// # Errors
/// Refuses what is too large, too deep, or not finite.
pub fn context(wire: Option<&Struct>) -> Result<Option<&str>, Problem> {
    let Some(wire) = wire else { return Ok(None) };
    let mut left = (CONTEXT_VALUES_MAX, CONTEXT_BYTES_MAX);
    check_fields(&wire.fields, &mut left, 1).map_err(|why| problem("context", why))?;
    match wire.fields.get(KEY_ATTRIBUTE).and_then(|value| value.kind.as_ref()) {
        None | Some(Kind::NullValue(_)) => Ok(None),
        Some(Kind::StringValue(key)) if key.len() > flag_core::limits::KEY_BYTES_MAX => {
            Err(problem("context.targetingKey", "is longer than 1024 bytes"))
        }
        Some(Kind::StringValue(key)) => Ok(Some(key.as_str()).filter(|key| !key.is_empty())),
        Some(_) => Err(problem("context.targetingKey", "expected a text")),
    }
}

fn check_fields(
    fields: &BTreeMap<String, Value>,
    left: &mut (usize, usize),
    depth: usize,
) -> Result<(), String> {
    for (name, value) in fields {
        take_bytes(left, name.len())?;
        check(value, left, depth)?;
    }
    Ok(())
}

fn check(value: &Value, left: &mut (usize, usize), depth: usize) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("is nested too deeply: expected at most {DEPTH_MAX} levels"));
    }
    left.0 = left
        .0
        .checked_sub(1)
        .ok_or_else(|| format!("has too many values: expected at most {CONTEXT_VALUES_MAX}"))?;
    match &value.kind {
        Some(Kind::StringValue(text)) => take_bytes(left, text.len()),
        Some(Kind::NumberValue(number)) if !number.is_finite() => {
            Err("has a number that is not finite".to_owned())
        }
        Some(Kind::StructValue(wire)) => check_fields(&wire.fields, left, depth + 1),
        Some(Kind::ListValue(list)) => {
            list.values.iter().try_for_each(|value| check(value, left, depth + 1))
        }
        Some(Kind::NumberValue(_) | Kind::BoolValue(_) | Kind::NullValue(_)) | None => Ok(()),
    }
}

fn take_bytes(left: &mut (usize, usize), bytes: usize) -> Result<(), String> {
    left.1 = left.1.checked_sub(bytes).ok_or_else(|| {
        format!("is too large: expected at most {CONTEXT_BYTES_MAX} bytes of names and texts")
    })?;
    Ok(())
}

/// Attributes out of a struct that has been checked.
pub(crate) fn owned(wire: Option<&Struct>) -> Attributes {
    let fields = wire.into_iter().flat_map(|wire| &wire.fields);
    fields.filter_map(|(name, value)| Some((name.clone(), attribute(value)?))).collect()
}
