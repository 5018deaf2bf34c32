//! `softlaunch flag`: who is on.

mod asking;
mod changing;
mod documents;
mod history;
mod reports;

use contracts::flag as pb;

pub(crate) use self::asking::{answers_table, evaluate};
use crate::arguments::{FlagVerb, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, share, table, time, value};
use crate::verbs::flag_name;

const MESSAGE: &str = "softlaunch.flag.v1.Flag";

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
        FlagVerb::List { deleted } => list(connection, *deleted, output).await,
        FlagVerb::Create { key, pipeline, form, about, given } => {
            let flag =
                changing::create(connection, &key.flag, pipeline, form, about, given).await?;
            show(&flag, output)
        }
        FlagVerb::Update { key, form, about, given } => {
            show(&changing::update(connection, &key.flag, form, about, given).await?, output)
        }
        FlagVerb::Set { key, json, pipeline, given } => {
            let pipeline = pipeline.as_deref();
            show(&changing::set(connection, &key.flag, json, pipeline, given).await?, output)
        }
        FlagVerb::Delete { flag, given } => {
            show(&changing::delete(connection, flag, given).await?, output)
        }
        FlagVerb::Undelete { flag, given } => {
            show(&changing::undelete(connection, flag, given).await?, output)
        }
        FlagVerb::History { key, limit } => {
            history::list(connection, &key.flag, *limit, output).await
        }
        FlagVerb::Diff { key, from, to } => {
            history::diff(connection, &key.flag, *from, *to, output).await
        }
        FlagVerb::Restore { flag, revision, given } => {
            show(&history::restore(connection, flag, *revision, given).await?, output)
        }
        FlagVerb::Import { file, form, pipeline, given } => {
            documents::import(connection, file, *form, pipeline, given, output).await
        }
        FlagVerb::Export { flags, form, definitions_only } => {
            documents::export(connection, flags, *form, *definitions_only).await
        }
        FlagVerb::BlastRadius { key, form, workspaces, by, keep } => {
            let asked = reports::Asked { by, keep: *keep, workspaces };
            reports::blast_radius(connection, &key.flag, form, &asked, output).await
        }
        FlagVerb::ShowBlastRadius { digest } => reports::kept(connection, digest, output).await,
        FlagVerb::Stratify { key, by, workspaces } => {
            reports::stratify(connection, &key.flag, by, workspaces, output).await
        }
        FlagVerb::Evaluate { workspaces, flag, attributes } => {
            asking::run(connection, flag, workspaces, attributes, output).await
        }
    }
}

async fn list(connection: &Connection, deleted: bool, output: Output) -> Result<(), Failure> {
    let mut request = pb::ListFlagsRequest { show_deleted: deleted, ..Default::default() };
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
    let mut table =
        table(["Flag", "Type", "Enabled", "On", "Moved by", "Phase", "Owner", "Expires"]);
    for flag in &flags {
        let definition = flag.definition.clone().unwrap_or_default();
        let state = match (&flag.delete_time, flag.paused) {
            (Some(_), _) => "deleted".to_owned(),
            (None, true) => "paused".to_owned(),
            (None, false) => definition.enabled.to_string(),
        };
        table.add_row([
            flag.name.clone(),
            kind(&definition).to_owned(),
            state,
            exposure(&definition),
            flag.rollout.clone(),
            flag.phase_id.clone(),
            flag.owner.clone(),
            flag.expire_time.as_ref().map_or_else(String::new, expiry),
        ]);
    }
    say(table);
    Ok(())
}

/// What a flag's values are.
fn kind(definition: &pb::FlagDefinition) -> &'static str {
    use pb::variant::Value;
    if !definition.flagd_json.is_empty() {
        return "flagd";
    }
    match definition.variants.first().and_then(|variant| variant.value.as_ref()) {
        None | Some(Value::BooleanValue(_)) => "boolean",
        Some(Value::StringValue(_)) => "string",
        Some(Value::IntegerValue(_)) => "integer",
        Some(Value::FloatValue(_)) => "float",
        Some(Value::ObjectValue(_)) => "object",
    }
}

/// Who is on, in a few words.
fn exposure(definition: &pb::FlagDefinition) -> String {
    if !definition.flagd_json.is_empty() {
        return "as imported".to_owned();
    }
    if definition.split.is_empty() {
        return share(definition.percentage_basis_points);
    }
    shares(&definition.split)
}

fn shares(split: &[pb::WeightedVariant]) -> String {
    let shares =
        split.iter().map(|one| format!("{} {}", one.variant, share(one.weight_basis_points)));
    shares.collect::<Vec<_>>().join(", ")
}

fn show(flag: &pb::Flag, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(MESSAGE, flag);
    }
    let definition = flag.definition.clone().unwrap_or_default();
    say(format!("{} (pipeline {})", flag.name, flag.pipeline));
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            say(format!("  {name:<11} {value}"));
        }
    };
    line("what for", &flag.description);
    line("owner", &flag.owner);
    if definition.flagd_json.is_empty() {
        line("enabled", &definition.enabled.to_string());
        show_definition(&definition, &line);
    } else {
        line("flagd", &definition.flagd_json);
    }
    if !flag.rollout.is_empty() {
        line("moved by", &format!("{}, in {}", flag.rollout, flag.phase_id));
    }
    if flag.paused {
        line("paused", "new uploads of the cohort wait");
    }
    if let Some(expires) = &flag.expire_time {
        line("expires", &expiry(expires));
    }
    line("problem", &flag.problem);
    if let Some(deleted) = &flag.delete_time {
        line("deleted", &time(Some(deleted)));
    }
    line("updated", &time(flag.update_time.as_ref()));
    line("etag", &flag.etag);
    Ok(())
}

fn show_definition(definition: &pb::FlagDefinition, line: &impl Fn(&str, &str)) {
    if definition.split.is_empty() {
        line("percentage", &share(definition.percentage_basis_points));
    }
    line("split", &shares(&definition.split));
    line("allowlist", &some(&definition.allowlist));
    line("denylist", &some(&definition.denylist));
    for exclusion in &definition.exclusions {
        use pb::exclusion::Test;
        let test = match &exclusion.test {
            Some(Test::Equals(text)) => format!("is {text}"),
            Some(Test::Above(bound)) => format!("is above {bound}"),
            None => "?".to_owned(),
        };
        line("excluded", &format!("whose {} {test}", exclusion.attribute));
    }
    let names: Vec<_> = definition.variants.iter().map(|variant| variant.name.as_str()).collect();
    line("variants", &names.join(" "));
    line("default", &definition.default_variant);
    for (at, rule) in definition.rules.iter().enumerate() {
        let serves =
            if rule.variant.is_empty() { shares(&rule.split) } else { rule.variant.clone() };
        line(&format!("rule {}", at + 1), &format!("{} -> {serves}", reports::condition(rule)));
    }
}

/// When a flag should be gone, and whether it should be by now.
fn expiry(expires: &prost_types::Timestamp) -> String {
    let over = expires.seconds <= service_kit::clock::real_now().as_seconds();
    format!("{}{}", time(Some(expires)), if over { " (expired)" } else { "" })
}

/// As many patterns as people read.
fn some(patterns: &[String]) -> String {
    const SHOWN: usize = 20;
    if patterns.len() <= SHOWN {
        return patterns.join(" ");
    }
    format!("{} and {} more", patterns[..SHOWN].join(" "), patterns.len() - SHOWN)
}
