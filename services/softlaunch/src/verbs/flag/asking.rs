//! Who is on, and why.

use std::collections::BTreeMap;

use contracts::flag as pb;
use prost_types::value::Kind;
use prost_types::{Struct, Value};

use crate::arguments::Output;
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, short, table};
use crate::verbs::flag_name;

pub(super) async fn run(
    connection: &Connection,
    flag: &str,
    workspaces: &[String],
    attributes: &[String],
    output: Output,
) -> Result<(), Failure> {
    let attributes = pairs("--attribute", attributes)?;
    let answers = evaluate(connection, &flag_name(flag), workspaces, &attributes).await?;
    if output == Output::Json {
        return json("softlaunch.flag.v1.BatchEvaluateFlagsResponse", &answers);
    }
    say(answers_table(&answers));
    Ok(())
}

/// Reads `NAME=VALUE` pairs; `None` where there are none.
pub(super) fn pairs(argument: &str, pairs: &[String]) -> Result<Option<Struct>, Failure> {
    let mut fields = BTreeMap::new();
    for pair in pairs {
        let (name, text) = pair.split_once('=').ok_or_else(|| {
            let why = format!("{argument} {pair}: expected NAME=VALUE, e.g. tier=enterprise");
            Failure::usage(why)
        })?;
        fields.insert(name.to_owned(), guessed(text));
    }
    Ok((!fields.is_empty()).then_some(Struct { fields }))
}

/// A number, a truth value, or else a text.
pub(super) fn guessed(text: &str) -> Value {
    let kind = match (text.parse::<f64>(), text) {
        (Ok(number), _) if number.is_finite() => Kind::NumberValue(number),
        (_, "true") => Kind::BoolValue(true),
        (_, "false") => Kind::BoolValue(false),
        (_, text) => Kind::StringValue(text.to_owned()),
    };
    Value { kind: Some(kind) }
}

/// Asks for many workspaces at once.
pub(crate) async fn evaluate(
    connection: &Connection,
    name: &str,
    workspaces: &[String],
    attributes: &Option<Struct>,
) -> Result<pb::BatchEvaluateFlagsResponse, Failure> {
    let requests = workspaces.iter().map(|workspace| pb::EvaluateFlagRequest {
        name: name.to_owned(),
        workspace_id: workspace.clone(),
        attributes: attributes.clone(),
    });
    let request = pb::BatchEvaluateFlagsRequest { requests: requests.collect() };
    Ok(connection.evaluations()?.batch_evaluate_flags(request).await?.into_inner())
}

/// The answers for people.
pub(crate) fn answers_table(answers: &pb::BatchEvaluateFlagsResponse) -> comfy_table::Table {
    let mut table = table(["Workspace", "Flag", "Why"]);
    for answer in &answers.responses {
        let on = if answer.enabled { "on" } else { "off" };
        let on = if matches!(answer.variant.as_str(), "on" | "off" | "") {
            on.to_owned()
        } else {
            format!("{on}: {}", answer.variant)
        };
        let stale = if answer.stale { " (stale)" } else { "" };
        let why = format!("{}{stale}", short(answer.reason().as_str_name()));
        table.add_row([answer.workspace_id.as_str(), &on, &why]);
    }
    table
}
