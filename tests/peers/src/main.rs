//! Evaluates flags with the published OpenFeature provider of flagd for Rust, as it is.
//!
//! Usage: `peers {rpc|in-process} PORT`
//!
//! Reads questions as JSON lines, `{"flag", "type", "default", "context"}`, and answers each with a
//! line: `{"value", "variant", "reason", "error"}`, as `tests/clients/provider.py` does.

use std::io::{BufRead as _, Write as _};

use open_feature::provider::{FeatureProvider as _, ResolutionDetails};
use open_feature::{EvaluationContext, EvaluationError, EvaluationReason, StructValue, Value};
use open_feature_flagd::{FlagdOptions, FlagdProvider, ResolverType};
use serde_json::{Value as Json, json};

/// A provider answers with whatever it thinks of; a malformed question is the test's own mistake.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PATIENCE_MS: u32 = 60_000;

fn context(question: &Json) -> Outcome<EvaluationContext> {
    let mut context = EvaluationContext::default();
    for (name, value) in question["context"].as_object().ok_or("no context")? {
        match value {
            Json::String(key) if name == "targetingKey" => {
                context.targeting_key = Some(key.clone());
            }
            Json::String(text) => context.add_custom_field(name, text.as_str()),
            Json::Bool(truth) => context.add_custom_field(name, *truth),
            Json::Number(number) => match number.as_i64() {
                Some(whole) => context.add_custom_field(name, whole),
                None => context.add_custom_field(name, number.as_f64().ok_or("no number")?),
            },
            Json::Null | Json::Array(_) | Json::Object(_) => return Err("not a plain value".into()),
        }
    }
    Ok(context)
}

fn reason(reason: &EvaluationReason) -> String {
    match reason {
        EvaluationReason::Other(other) => other.clone(),
        EvaluationReason::TargetingMatch => "TARGETING_MATCH".to_owned(),
        known => format!("{known:?}").to_uppercase(),
    }
}

fn as_json(value: Value) -> Json {
    match value {
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::String(text) => text.into(),
        Value::Array(items) => items.into_iter().map(as_json).collect(),
        Value::Struct(fields) => of_fields(fields),
    }
}

fn of_fields(fields: StructValue) -> Json {
    fields.fields.into_iter().map(|(name, value)| (name, as_json(value))).collect()
}

/// What the SDK makes of an answer: the caller's own value where there is none.
fn said<T>(
    found: Result<ResolutionDetails<T>, EvaluationError>,
    default: &Json,
    write: impl Fn(T) -> Json,
) -> Json {
    match found {
        Ok(found) => json!({
            "value": write(found.value),
            "variant": found.variant,
            "reason": found.reason.as_ref().map(reason),
            "error": null,
        }),
        Err(error) => json!({
            "value": default,
            "variant": null,
            "reason": "ERROR",
            "error": error.code.to_string(),
        }),
    }
}

async fn answer(provider: &FlagdProvider, question: &Json) -> Outcome<Json> {
    let flag = question["flag"].as_str().ok_or("no flag")?;
    let (context, default) = (context(question)?, &question["default"]);
    Ok(match question["type"].as_str() {
        Some("boolean") => {
            said(provider.resolve_bool_value(flag, &context).await, default, Json::from)
        }
        Some("string") => {
            said(provider.resolve_string_value(flag, &context).await, default, Json::from)
        }
        Some("integer") => {
            said(provider.resolve_int_value(flag, &context).await, default, Json::from)
        }
        Some("float") => {
            said(provider.resolve_float_value(flag, &context).await, default, Json::from)
        }
        Some("object") => {
            said(provider.resolve_struct_value(flag, &context).await, default, of_fields)
        }
        _ => return Err("no such type".into()),
    })
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [resolver, port] = arguments.as_slice() else {
        return Err("usage: peers {rpc|in-process} PORT".into());
    };
    let resolver_type = match resolver.as_str() {
        "rpc" => ResolverType::Rpc,
        "in-process" => ResolverType::InProcess,
        other => return Err(format!("no resolver `{other}`").into()),
    };
    let provider = FlagdProvider::new(FlagdOptions {
        host: "127.0.0.1".to_owned(),
        port: port.parse()?,
        resolver_type,
        deadline_ms: PATIENCE_MS,
        ..FlagdOptions::default()
    })
    .await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&provider, &serde_json::from_str(&line?)?).await?;
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
