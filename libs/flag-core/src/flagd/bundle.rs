//! A flagd document: many flags, rules they share, and what is said of all of them.

use serde_json::{Map, Value as Json};
use vocab::{FlagKey, excerpt};

use super::{Imported, read_metadata};
use crate::limits::{FLAGD_BYTES_MAX, FLAGS_MAX, LOGIC_DEPTH_MAX};
use crate::problem::{Problem, at_most};

/// Values a flag may have once the rules it shares are written into it: bounds what a document that
/// refers to itself over and over grows to.
const VALUES_MAX: usize = 200_000;

/// Reads a flagd document: every flag in it with the rules it shares written out, and with what is
/// said of all flags among its own metadata.
///
/// # Errors
/// Names the first field that is not as it should be.
pub fn bundle(text: &str) -> Result<Vec<(FlagKey, Imported)>, Problem> {
    let document: Json = serde_json::from_str(text)
        .map_err(|error| Problem::new("", format!("is not JSON: {error}")))?;
    let Json::Object(document) = &document else {
        return Err(Problem::new("", "expected an object with `flags`"));
    };
    let known = ["$schema", "flags", "$evaluators", "metadata"];
    if let Some(unknown) = document.keys().find(|field| !known.contains(&field.as_str())) {
        let why = format!("`{}` is not a field: there are {}", excerpt(unknown), known.join(", "));
        return Err(Problem::new("", why));
    }
    let empty = Map::new();
    let shared = match document.get("$evaluators") {
        None | Some(Json::Null) => &empty,
        Some(Json::Object(shared)) => shared,
        Some(_) => return Err(Problem::new("$evaluators", "expected an object")),
    };
    read_metadata(document.get("metadata"))?;
    let about = document.get("metadata").and_then(Json::as_object).unwrap_or(&empty);
    let flags = document.get("flags").and_then(Json::as_object);
    let flags = flags.ok_or_else(|| Problem::new("flags", "expected an object of flags by key"))?;
    at_most("flags", "flags", flags.len(), FLAGS_MAX)?;
    let read = flags.iter().map(|(key, json)| {
        let path = format!("flags.{}", excerpt(key));
        let inside = |problem: Problem| problem.within(&path);
        let key = FlagKey::new(key).map_err(|why| Problem::new(&path, why.to_string()))?;
        let mut left = VALUES_MAX;
        let mut json = expand(json, shared, &mut left, 0).map_err(inside)?;
        share_metadata(&mut json, about);
        at_most("", "bytes", json.to_string().len(), FLAGD_BYTES_MAX).map_err(inside)?;
        Ok((key, Imported::of(json).map_err(inside)?))
    });
    read.collect()
}

/// Writes shared rules out where they are referred to, those that they refer to included.
fn expand(
    json: &Json,
    shared: &Map<String, Json>,
    left: &mut usize,
    depth: usize,
) -> Result<Json, Problem> {
    *left = left.checked_sub(1).ok_or_else(|| {
        Problem::new("", format!("grows to more than {VALUES_MAX} values with the rules it shares"))
    })?;
    if depth > 2 * LOGIC_DEPTH_MAX {
        return Err(Problem::new(
            "",
            "is nested too deeply, or its shared rules refer to themselves",
        ));
    }
    match json {
        Json::Object(fields) => {
            if let (Some(Json::String(name)), 1) = (fields.get("$ref"), fields.len()) {
                let rule = shared.get(name).ok_or_else(|| {
                    let why =
                        format!("`$ref` names `{}`, which is not in `$evaluators`", excerpt(name));
                    Problem::new("", why)
                })?;
                return expand(rule, shared, left, depth + 1);
            }
            let expanded = fields.iter().map(|(name, value)| {
                expand(value, shared, left, depth + 1)
                    .map(|value| (name.clone(), value))
                    .map_err(|problem| problem.within(&excerpt(name)))
            });
            expanded.collect::<Result<Map<_, _>, _>>().map(Json::Object)
        }
        Json::Array(items) => {
            let expanded = items.iter().enumerate().map(|(at, item)| {
                expand(item, shared, left, depth + 1)
                    .map_err(|problem| problem.within(&format!("[{at}]")))
            });
            expanded.collect::<Result<Vec<_>, _>>().map(Json::Array)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Ok(json.clone()),
    }
}

/// What is said of all flags is said of each; what a flag says itself goes before it.
fn share_metadata(flag: &mut Json, about: &Map<String, Json>) {
    let Some(fields) = flag.as_object_mut().filter(|_| !about.is_empty()) else { return };
    let own = fields.entry("metadata").or_insert_with(|| Json::Object(Map::new()));
    if let Some(own) = own.as_object_mut() {
        for (name, value) in about {
            own.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}
