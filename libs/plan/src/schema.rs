//! The shape of a plan as JSON Schema, for editors.

use serde_json::{Map, Value, json};

use crate::shape::{Field, Kind, LIST_LENGTH_MAX, Object, PLAN, TEXT_LENGTH_MAX};

/// The JSON Schema (draft 2020-12) of the plan file.
///
/// It says what the reader accepts key by key. Rules between parts (ramp steps, references, ids
/// given twice) are the reader's alone.
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let plan = object(&PLAN, &mut definitions);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Softlaunch rollout plan",
    });
    if let (Value::Object(schema), Value::Object(plan)) = (&mut schema, plan) {
        schema.extend(plan);
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

fn object(shape: &'static Object, definitions: &mut Map<String, Value>) -> Value {
    let required: Vec<_> =
        shape.fields.iter().filter(|field| field.required).map(|field| field.key).collect();
    let properties: Map<String, Value> = shape
        .fields
        .iter()
        .map(|field| (field.key.to_owned(), property(field, definitions)))
        .collect();
    let mut schema = json!({
        "description": shape.doc,
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    });
    if !shape.exactly_one_of.is_empty() {
        let one: Vec<_> =
            shape.exactly_one_of.iter().map(|key| json!({ "required": [key] })).collect();
        schema["oneOf"] = Value::Array(one);
    }
    schema
}

fn property(field: &'static Field, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = kind(&field.kind, definitions);
    schema["description"] = Value::from(field.doc);
    schema
}

fn kind(kind_of: &'static Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind_of {
        Kind::Text => json!({ "type": "string", "minLength": 1, "maxLength": TEXT_LENGTH_MAX }),
        Kind::Word(word) => {
            json!({ "type": "string", "pattern": word.pattern, "description": word.doc })
        }
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::OneOf(_, names) => json!({ "enum": names() }),
        Kind::List(min, of) => json!({
            "type": "array",
            "minItems": min,
            "maxItems": LIST_LENGTH_MAX,
            "items": kind(of, definitions),
        }),
        Kind::Object(shape) => {
            if !definitions.contains_key(shape.name) {
                definitions.insert(shape.name.to_owned(), Value::Null); // Ends a cycle, if one came.
                let schema = object(shape, definitions);
                definitions.insert(shape.name.to_owned(), schema);
            }
            json!({ "$ref": format!("#/$defs/{}", shape.name) })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Plan, SHIPPED, decode, node, problem::Problems};

    /// Every map of the schema, by name.
    fn definitions() -> Map<String, Value> {
        let schema = schema();
        let mut definitions = schema["$defs"].as_object().unwrap().clone();
        definitions.insert("plan".to_owned(), schema);
        definitions
    }

    /// The shipped plan, with a baseline and a question to Prometheus.
    fn with_what_d7_does_without() -> String {
        let normal = r#"baseline: { count: 40, period: 7d }, prometheus: { query: "tickets" }"#;
        let plan = SHIPPED.replacen(r#"requirement: ">= 50""#, normal, 1).replacen(
            "      window: 15m",
            r#"      window: 15m
      prometheus: { query: "ratio", samples_query: "all", age_max: 1m }"#,
            1,
        );
        assert_ne!(plan, SHIPPED);
        plan
    }

    #[test]
    fn the_schema_knows_exactly_the_keys_that_the_reader_reads() {
        Plan::parse(SHIPPED).unwrap();
        Plan::parse(&with_what_d7_does_without()).unwrap();
        let mut known = BTreeSet::new();
        for (name, definition) in definitions() {
            for key in definition["properties"].as_object().unwrap().keys() {
                known.insert((name.clone(), key.clone()));
            }
        }
        let read: BTreeSet<_> = decode::keys_read()
            .into_iter()
            .map(|(name, key)| (name.to_owned(), key.to_owned()))
            .collect();
        assert_eq!(known, read);
    }

    /// Follows `node` through the schema; panics where the schema does not know a key.
    fn follow(node: &node::Node, schema: &Value, definitions: &Map<String, Value>) {
        let schema = match schema["$ref"].as_str() {
            Some(name) => &definitions[name.trim_start_matches("#/$defs/")],
            None => schema,
        };
        for entry in node.entries() {
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{}", entry.key);
            let property = &schema["properties"][&entry.key];
            assert!(property.is_object(), "the schema does not know `{}`", entry.key);
            follow(&entry.value, property, definitions);
        }
        for item in node.items() {
            assert_eq!(schema["type"], "array");
            follow(item, &schema["items"], definitions);
        }
        if let Some(text) = node.text() {
            let named = schema["enum"].as_array().is_none_or(|names| names.contains(&text.into()));
            assert!(named && schema["type"] != "integer", "{text}: {schema}");
        }
    }

    #[test]
    fn the_shipped_plan_has_only_what_the_schema_knows() {
        let tree = node::read(SHIPPED, &mut Problems::default()).unwrap();
        follow(&tree, &schema(), &definitions());
    }
}
