//! `softlaunch flag`: who is on.

use std::collections::BTreeMap;

use contracts::flag as pb;
use prost_types::value::Kind;
use prost_types::{FieldMask, Struct, Value};
use serde::Deserialize;
use tonic::Code;

use crate::arguments::{FlagVerb, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, share, short, table, time, value};
use crate::verbs::flag_name;

const MESSAGE: &str = "softlaunch.flag.v1.Flag";

/// D7's form of a flag (§3.3).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortForm {
    enabled: bool,
    #[serde(default)]
    allowlist: Vec<String>,
    #[serde(default)]
    denylist: Vec<String>,
    #[serde(default)]
    percentage: i64,
}

pub(crate) async fn run(
    verb: &FlagVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        FlagVerb::Get { key } => {
            let request = pb::GetFlagRequest { name: flag_name(&key.flag) };
            show(connection.flags()?.get_flag(request).await?.get_ref(), output)
        }
        FlagVerb::List => list(connection, output).await,
        FlagVerb::Set { key, json, reason, pipeline, dry_run } => {
            let definition = read(json)?;
            let name = flag_name(&key.flag);
            let change = Change { name, definition, reason, pipeline, dry_run: *dry_run };
            show(&change.carry_out(connection).await?, output)
        }
        FlagVerb::Evaluate { workspaces, flag, attributes } => {
            let attributes = read_attributes(attributes)?;
            let answers = evaluate(connection, &flag_name(flag), workspaces, &attributes).await?;
            if output == Output::Json {
                return json("softlaunch.flag.v1.BatchEvaluateFlagsResponse", &answers);
            }
            say(answers_table(&answers));
            Ok(())
        }
    }
}

fn read(text: &str) -> Result<pb::FlagDefinition, Failure> {
    let form: ShortForm = serde_json::from_str(text).map_err(|error| {
        Failure::usage(format!(
            "--json: {error}: expected D7's form, e.g. {{\"enabled\": true, \"percentage\": 10, \
             \"allowlist\": [], \"denylist\": [\"enterprise-*\"]}}"
        ))
    })?;
    let percentage = vocab::BasisPoints::from_percent(form.percentage)?;
    Ok(pb::FlagDefinition {
        enabled: form.enabled,
        allowlist: form.allowlist,
        denylist: form.denylist,
        percentage_basis_points: percentage.get().into(),
        ..pb::FlagDefinition::default()
    })
}

struct Change<'a> {
    name: String,
    definition: pb::FlagDefinition,
    reason: &'a str,
    pipeline: &'a Option<String>,
    dry_run: bool,
}

impl Change<'_> {
    async fn carry_out(self, connection: &Connection) -> Result<pb::Flag, Failure> {
        let mut client = connection.flags()?;
        let known = client.get_flag(pb::GetFlagRequest { name: self.name.clone() }).await;
        let mut flag = pb::Flag {
            name: self.name.clone(),
            definition: Some(self.definition),
            ..pb::Flag::default()
        };
        match (known, self.pipeline) {
            (Ok(known), _) => {
                flag.etag = known.into_inner().etag; // Nobody else's change is overwritten.
                // D7's form has no exclusions: those a plan has set stay.
                let parts = ["enabled", "allowlist", "denylist", "percentage_basis_points"];
                let paths = parts.iter().map(|part| format!("definition.{part}")).collect();
                let request = pb::UpdateFlagRequest {
                    flag: Some(flag),
                    update_mask: Some(FieldMask { paths }),
                    reason: self.reason.to_owned(),
                    request_id: String::new(),
                    validate_only: self.dry_run,
                };
                Ok(client.update_flag(request).await?.into_inner())
            }
            (Err(status), Some(pipeline)) if status.code() == Code::NotFound => {
                flag.pipeline.clone_from(pipeline);
                let request = pb::CreateFlagRequest {
                    flag_id: self.name.trim_start_matches("flags/").to_owned(),
                    flag: Some(flag),
                    reason: self.reason.to_owned(),
                    request_id: String::new(),
                    validate_only: self.dry_run,
                };
                Ok(client.create_flag(request).await?.into_inner())
            }
            (Err(status), _) => Err(status.into()),
        }
    }
}

fn read_attributes(pairs: &[String]) -> Result<Option<Struct>, Failure> {
    let mut fields = BTreeMap::new();
    for pair in pairs {
        let (name, text) = pair.split_once('=').ok_or_else(|| {
            Failure::usage(format!("--attribute {pair}: expected NAME=VALUE, e.g. tier=enterprise"))
        })?;
        let kind = match (text.parse::<f64>(), text) {
            (Ok(number), _) if number.is_finite() => Kind::NumberValue(number),
            (_, "true") => Kind::BoolValue(true),
            (_, "false") => Kind::BoolValue(false),
            (_, text) => Kind::StringValue(text.to_owned()),
        };
        fields.insert(name.to_owned(), Value { kind: Some(kind) });
    }
    Ok((!fields.is_empty()).then_some(Struct { fields }))
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
        let stale = if answer.stale { " (stale)" } else { "" };
        let why = format!("{}{stale}", short(answer.reason().as_str_name()));
        table.add_row([answer.workspace_id.as_str(), on, &why]);
    }
    table
}

async fn list(connection: &Connection, output: Output) -> Result<(), Failure> {
    let mut request = pb::ListFlagsRequest::default();
    let mut flags = Vec::new();
    loop {
        let page = connection.flags()?.list_flags(request.clone()).await?.into_inner();
        flags.extend(page.flags);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if output == Output::Json {
        let all = flags.iter().map(|flag| value(MESSAGE, flag)).collect::<Result<Vec<_>, _>>()?;
        say(serde_json::to_string_pretty(&all)
            .map_err(|error| Failure::refused(error.to_string()))?);
        return Ok(());
    }
    let mut table = table(["Flag", "Enabled", "On", "Moved by", "Phase"]);
    for flag in &flags {
        let definition = flag.definition.clone().unwrap_or_default();
        table.add_row([
            flag.name.clone(),
            definition.enabled.to_string(),
            share(definition.percentage_basis_points),
            flag.rollout.clone(),
            flag.phase_id.clone(),
        ]);
    }
    say(table);
    Ok(())
}

fn show(flag: &pb::Flag, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(MESSAGE, flag);
    }
    let definition = flag.definition.clone().unwrap_or_default();
    say(format!("{} (pipeline {})", flag.name, flag.pipeline));
    say(format!("  enabled     {}", definition.enabled));
    say(format!("  percentage  {}", share(definition.percentage_basis_points)));
    say(format!("  allowlist   {}", definition.allowlist.join(" ")));
    say(format!("  denylist    {}", definition.denylist.join(" ")));
    if !flag.rollout.is_empty() {
        say(format!("  moved by    {}, in {}", flag.rollout, flag.phase_id));
    }
    if flag.paused {
        say("  paused      new uploads of the cohort wait");
    }
    say(format!("  updated     {}", time(flag.update_time.as_ref())));
    say(format!("  etag        {}", flag.etag));
    Ok(())
}
