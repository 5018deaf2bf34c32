//! What a change would do, before anybody makes it.

use std::collections::BTreeMap;

use contracts::flag as pb;
use prost_types::Struct;
use serde_json::Value as Json;

use super::asking::guessed;
use super::changing::{definition, file};
use crate::arguments::{FlagForm, Output, Workspaces};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, share, short, table};
use crate::verbs::flag_name;

/// Workspaces sent in one message.
const CHUNK: usize = 5_000;
/// Workspaces shown to people.
const SHOWN: usize = 20;

/// What is asked of a blast radius.
pub(super) struct Asked<'a> {
    pub(super) by: &'a [String],
    pub(super) keep: bool,
    pub(super) workspaces: &'a Workspaces,
}

pub(super) async fn blast_radius(
    connection: &Connection,
    key: &str,
    form: &FlagForm,
    asked: &Asked<'_>,
    output: Output,
) -> Result<(), Failure> {
    let proposed = definition(form)?
        .ok_or_else(|| Failure::usage("what is proposed? Give --json, --definition or --flagd"))?;
    let first = pb::ComputeBlastRadiusRequest {
        name: flag_name(key),
        definition: Some(proposed.0),
        group_by: asked.by.to_vec(),
        keep: asked.keep,
        workspaces: Vec::new(),
    };
    let chunks = chunks(asked.workspaces)?;
    let more = chunks.into_iter().map(|workspaces| pb::ComputeBlastRadiusRequest {
        workspaces,
        ..pb::ComputeBlastRadiusRequest::default()
    });
    let requests = tokio_stream::iter::<Vec<_>>(std::iter::once(first).chain(more).collect());
    let report = connection.flag_reports()?.compute_blast_radius(requests).await?.into_inner();
    show(&report, asked.keep, output)
}

pub(super) async fn kept(
    connection: &Connection,
    digest: &str,
    output: Output,
) -> Result<(), Failure> {
    let request = pb::GetBlastRadiusRequest { digest: digest.to_owned() };
    let report = connection.flag_reports()?.get_blast_radius(request).await?.into_inner();
    show(&report, true, output)
}

fn show(report: &pb::BlastRadius, kept: bool, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json("softlaunch.flag.v1.BlastRadius", report);
    }
    let source = match report.census() {
        pb::Census::Given => "given",
        pb::Census::Seen | pb::Census::Unspecified => "that have asked for admission",
    };
    say(format!(
        "{} of {} workspaces {source} would change: {} turned on, {} turned off",
        report.changed_count,
        report.workspaces_count,
        report.turned_on_count,
        report.turned_off_count
    ));
    let mut groups = table(["By", "Value", "Workspaces", "Changed", "On", "Off"]);
    for group in &report.groups {
        let value = if group.value.is_empty() { "(none)" } else { &group.value };
        groups.add_row([
            group.attribute.clone(),
            value.to_owned(),
            group.workspaces_count.to_string(),
            group.changed_count.to_string(),
            group.turned_on_count.to_string(),
            group.turned_off_count.to_string(),
        ]);
    }
    say(groups);
    let mut affected = table(["Workspace", "Now", "Then", "Why"]);
    for one in report.affected.iter().take(SHOWN) {
        affected.add_row([
            one.workspace_id.clone(),
            one.variant_before.clone(),
            one.variant_after.clone(),
            short(one.reason_after().as_str_name()),
        ]);
    }
    if !report.affected.is_empty() {
        say(affected);
    }
    let more = usize::try_from(report.changed_count).unwrap_or(0).saturating_sub(SHOWN);
    if more > 0 {
        say(format!("and {more} more"));
    }
    if report.raises_exposure {
        say("this can expose workspaces that are not exposed now");
    }
    let kept = if kept { "kept: an approval can name it" } else { "not kept: --keep keeps it" };
    say(format!("digest {} ({kept})", report.digest));
    Ok(())
}

pub(super) async fn stratify(
    connection: &Connection,
    key: &str,
    by: &str,
    workspaces: &Workspaces,
    output: Output,
) -> Result<(), Failure> {
    let first = pb::ComputeStratificationRequest {
        name: flag_name(key),
        attribute: by.to_owned(),
        ..pb::ComputeStratificationRequest::default()
    };
    let more = chunks(workspaces)?.into_iter().map(|workspaces| pb::ComputeStratificationRequest {
        workspaces,
        ..pb::ComputeStratificationRequest::default()
    });
    let requests = tokio_stream::iter::<Vec<_>>(std::iter::once(first).chain(more).collect());
    let report = connection.flag_reports()?.compute_stratification(requests).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.flag.v1.Stratification", &report);
    }
    let target = share(report.target_basis_points);
    say(format!("{} by {}: {target} of every group is aimed at", report.name, report.attribute));
    let mut table = table(["Value", "Workspaces", "On", "Share", "Chance explains", ""]);
    for one in &report.strata {
        let value = if one.value.is_empty() { "(none)" } else { &one.value };
        table.add_row([
            value.to_owned(),
            one.workspaces_count.to_string(),
            one.selected_count.to_string(),
            share(one.selected_basis_points),
            format!("{} to {}", share(one.low_basis_points), share(one.high_basis_points)),
            if one.within { "ok" } else { "out of line" }.to_owned(),
        ]);
    }
    say(table);
    if report.decided_otherwise_count > 0 {
        say(format!(
            "{} more are listed, excluded or decided by a rule",
            report.decided_otherwise_count
        ));
    }
    Ok(())
}

/// The workspaces of a file, in pieces; none where there is no file.
fn chunks(workspaces: &Workspaces) -> Result<Vec<Vec<pb::Workspace>>, Failure> {
    let Some(path) = &workspaces.workspaces else { return Ok(Vec::new()) };
    let text = file(path)?;
    let lines = path.extension().is_some_and(|extension| extension == "jsonl");
    let read = if lines { of_lines(&text) } else { of_csv(&text) };
    let read = read.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    if read.is_empty() {
        return Err(Failure::usage(format!("{}: names no workspace", path.display())));
    }
    Ok(read.chunks(CHUNK).map(<[_]>::to_vec).collect())
}

fn of_csv(text: &str) -> Result<Vec<pb::Workspace>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let id = header.iter().position(|column| column.trim() == "workspace_id");
    let id = id.ok_or("has no column workspace_id in its first line")?;
    let mut all = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let attributes = header.iter().zip(&record).enumerate();
        let attributes = attributes.filter(|(at, (_, text))| *at != id && !text.is_empty());
        let fields: BTreeMap<_, _> =
            attributes.map(|(_, (name, text))| (name.trim().to_owned(), guessed(text))).collect();
        all.push(pb::Workspace {
            workspace_id: record.get(id).unwrap_or_default().to_owned(),
            attributes: Some(Struct { fields }),
        });
    }
    Ok(all)
}

fn of_lines(text: &str) -> Result<Vec<pb::Workspace>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(at, line)| {
        let wrong = |why: &str| format!("line {}: {why}", at + 1);
        let json: Json = serde_json::from_str(line).map_err(|error| wrong(&error.to_string()))?;
        let fields = json.as_object().ok_or_else(|| wrong("expected an object"))?;
        let id = fields.get("workspace_id").and_then(Json::as_str);
        let id = id.ok_or_else(|| wrong("has no text workspace_id"))?.to_owned();
        let fields = fields.iter().filter(|(name, _)| *name != "workspace_id");
        let fields = fields.map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let kept = value.is_string().then(|| prost_types::Value {
                kind: Some(prost_types::value::Kind::StringValue(text.clone())),
            });
            (name.clone(), kept.unwrap_or_else(|| guessed(&text)))
        });
        Ok(pb::Workspace {
            workspace_id: id,
            attributes: Some(Struct { fields: fields.collect() }),
        })
    });
    read.collect()
}

/// A rule's condition in a few words.
pub(super) fn condition(rule: &pb::Rule) -> String {
    if !rule.description.is_empty() {
        return rule.description.clone();
    }
    rule.condition.as_ref().map_or_else(|| "?".to_owned(), words)
}

fn words(condition: &pb::Condition) -> String {
    use pb::condition::Kind;
    let list = |list: &pb::Conditions, word: &str| {
        format!("({})", list.conditions.iter().map(words).collect::<Vec<_>>().join(word))
    };
    match &condition.kind {
        None => "?".to_owned(),
        Some(Kind::All(all)) => list(all, " and "),
        Some(Kind::Any(any)) => list(any, " or "),
        Some(Kind::Not(one)) => format!("not {}", words(one)),
        Some(Kind::Test(test)) => tested(test),
    }
}

fn tested(test: &pb::AttributeTest) -> String {
    use pb::attribute_test::Test;
    let value = |value: &prost_types::Value| match &value.kind {
        Some(prost_types::value::Kind::StringValue(text)) => text.clone(),
        Some(prost_types::value::Kind::NumberValue(number)) => number.to_string(),
        Some(prost_types::value::Kind::BoolValue(truth)) => truth.to_string(),
        Some(_) | None => "?".to_owned(),
    };
    let compares = |comparison: pb::Comparison| {
        let name = comparison.as_str_name().trim_start_matches("COMPARISON_").to_lowercase();
        name.replace('_', " ")
    };
    let says = match &test.test {
        None => "?".to_owned(),
        Some(Test::Equals(one)) => format!("is {}", value(one)),
        Some(Test::In(list)) => {
            format!("is one of {}", list.values.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        Some(Test::Number(number)) => {
            format!("is {} {}", compares(number.comparison()), number.number)
        }
        Some(Test::Glob(glob)) => format!("fits {glob}"),
        Some(Test::Version(one)) => {
            format!("is a version {} {}", compares(one.comparison()), one.version)
        }
    };
    format!("{} {says}", test.attribute)
}
