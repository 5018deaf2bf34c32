//! D7's form of a flag (§3.3), as JSON: `enabled`, `allowlist`, `denylist`, `percentage`.

use serde_json::{Map, Value as Json, json};
use vocab::{BasisPoints, FlagKey, Pattern, excerpt};

use crate::audience::Audience;
use crate::flag::{Definition, Flag};
use crate::limits::FLAGS_MAX;
use crate::patterns::Patterns;
use crate::problem::{Problem, at_most};

const FIELDS: [&str; 4] = ["enabled", "allowlist", "denylist", "percentage"];

/// Reads an object of flags by key.
///
/// # Errors
/// Names the first field that is not as it should be.
pub fn import(text: &str) -> Result<Vec<(FlagKey, Audience)>, Problem> {
    let document: Json = serde_json::from_str(text)
        .map_err(|error| Problem::new("", format!("is not JSON: {error}")))?;
    let flags = document.as_object().filter(|flags| !flags.values().any(|one| !one.is_object()));
    let flags = flags.ok_or_else(|| {
        let why = "expected an object of flags by key, e.g. {\"ingestion_v2_enabled\": \
                   {\"enabled\": true, \"percentage\": 10, \"denylist\": [\"enterprise-*\"]}}";
        Problem::new("", why)
    })?;
    at_most("", "flags", flags.len(), FLAGS_MAX)?;
    let read = flags.iter().map(|(key, json)| {
        let path = excerpt(key);
        let key = FlagKey::new(key).map_err(|why| Problem::new(&path, why.to_string()))?;
        Ok((key, audience(json).map_err(|problem| problem.within(&path))?))
    });
    read.collect()
}

fn audience(json: &Json) -> Result<Audience, Problem> {
    let empty = Map::new();
    let fields = json.as_object().unwrap_or(&empty);
    if let Some(unknown) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        let why = format!("`{}` is not a field: there are {}", excerpt(unknown), FIELDS.join(", "));
        return Err(Problem::new("", why));
    }
    let enabled = fields.get("enabled").and_then(Json::as_bool);
    let enabled = enabled.ok_or_else(|| Problem::new("enabled", "expected true or false"))?;
    let percentage = match fields.get("percentage") {
        None => BasisPoints::ZERO,
        Some(json) => {
            let whole = json.as_i64().ok_or_else(|| {
                Problem::new(
                    "percentage",
                    format!("{} is not a whole percentage", excerpt(&json.to_string())),
                )
            })?;
            BasisPoints::from_percent(whole)
                .map_err(|why| Problem::new("percentage", why.to_string()))?
        }
    };
    Ok(Audience {
        enabled,
        allow: patterns("allowlist", fields.get("allowlist"))?,
        deny: patterns("denylist", fields.get("denylist"))?,
        percentage,
        ..Audience::default()
    })
}

fn patterns(path: &str, json: Option<&Json>) -> Result<Patterns, Problem> {
    let listed = match json {
        None => &[][..],
        Some(Json::Array(listed)) => listed,
        Some(_) => return Err(Problem::new(path, "expected a list of workspace patterns")),
    };
    let listed = listed.iter().enumerate().map(|(at, json)| {
        let path = format!("{path}[{at}]");
        let text = json.as_str().ok_or_else(|| Problem::new(&path, "expected a text"))?;
        Pattern::new(text).map_err(|why| Problem::new(path, why.to_string()))
    });
    let listed = listed.collect::<Result<Vec<_>, _>>()?;
    Patterns::new(listed).map_err(|problem| problem.within(path))
}

/// Writes a flag in D7's form.
///
/// # Errors
/// Says what of it the form has no word for.
pub fn export(flag: &Flag) -> Result<Json, String> {
    let audience = match &flag.definition {
        Definition::Audience(audience) => audience,
        Definition::Imported(_) => return Err("is an imported flagd definition".to_owned()),
    };
    if !audience.is_short() {
        return Err("has variants, rules or a split".to_owned());
    }
    if !audience.exclusions.is_empty() {
        return Err("has exclusions".to_owned());
    }
    let share = audience.percentage.get();
    if share % 100 != 0 {
        return Err(format!(
            "has a share of {}, which is no whole percentage",
            audience.percentage
        ));
    }
    let listed = |patterns: &Patterns| -> Vec<_> {
        patterns.listed().iter().map(ToString::to_string).collect()
    };
    Ok(json!({
        "enabled": audience.enabled,
        "allowlist": listed(&audience.allow),
        "denylist": listed(&audience.deny),
        "percentage": share / 100,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_d7_s_form_is_refused_with_its_path() {
        for (text, path, says) in [
            ("{", "", "not JSON"),
            ("[]", "", "by key"),
            ("{\"f\": {\"enabled\": true, \"percentage\": 101}}", "f.percentage", "101"),
            ("{\"f\": {\"enabled\": true, \"percentage\": NaN}}", "", "not JSON"),
            ("{\"f\": {\"enabled\": true, \"percentage\": 10.5}}", "f.percentage", "10.5"),
            ("{\"f\": {\"enabled\": true, \"percentage\": \"10\"}}", "f.percentage", "whole"),
            ("{\"f\": {\"enabled\": 1}}", "f.enabled", "true or false"),
            ("{\"f\": {}}", "f.enabled", "true or false"),
            ("{\"f\": {\"enabled\": true, \"allow\": []}}", "f", "`allow` is not a field"),
            (
                "{\"f\": {\"enabled\": true, \"denylist\": [\"a*b*c\"]}}",
                "f.denylist[0]",
                "too many stars",
            ),
            ("{\"/\": {\"enabled\": true}}", "/", "not a flag key"),
        ] {
            let problem = import(text).unwrap_err();
            assert_eq!(problem.path, path, "{text}");
            assert!(problem.why.contains(says), "{text}: {problem}");
        }
    }
}
