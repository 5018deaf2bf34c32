//! The files of a dossier.

use std::collections::BTreeMap;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use prost::Message as _;
use store::Hash;
use vocab::Timestamp;

use super::gather::Gathered;
use super::plot::{Plot, draw};
use super::story::Told;
use super::verify::{MANIFEST, RECORDS};
use crate::failure::Failure;
use crate::output::{short, time, value};
use crate::verbs::audit;

const HTML: &str = include_str!("dossier.html.j2");
const MARKDOWN: &str = include_str!("dossier.md.j2");

/// Writes everything; returns the names of the files.
pub(super) fn write(gathered: &Gathered, told: &Told, dir: &Path) -> Result<Vec<String>, Failure> {
    std::fs::create_dir_all(dir.join("reports"))
        .map_err(|error| Failure::refused(format!("cannot create {}: {error}", dir.display())))?;
    let mut files = BTreeMap::new();
    files.insert("plan.yaml".to_owned(), gathered.version.source.clone());
    files.insert(RECORDS.to_owned(), audit::lines("rollout", &gathered.records)?.into_bytes());
    for (digest, report) in &gathered.reports {
        let name = format!("reports/{digest:.16}");
        files.insert(format!("{name}.pb"), report.encode_to_vec());
        let shown = value("softlaunch.gate.v1.GateReport", report)?;
        let shown = serde_json::to_vec_pretty(&shown).unwrap_or_default();
        files.insert(format!("{name}.json"), shown);
    }
    let rollout = value("softlaunch.rollout.v1.Rollout", &gathered.rollout)?;
    let rollout = serde_json::to_vec_pretty(&rollout).unwrap_or_default();
    files.insert("rollout.json".to_owned(), rollout);
    files.insert("dossier.html".to_owned(), document(gathered, told, HTML, true)?.into_bytes());
    files.insert("dossier.md".to_owned(), document(gathered, told, MARKDOWN, false)?.into_bytes());
    let digests: BTreeMap<_, _> =
        files.iter().map(|(name, bytes)| (name, Hash::of(bytes).to_string())).collect();
    let head = gathered.records.last().map(|last| last.hash.to_string()).unwrap_or_default();
    let manifest = serde_json::json!({
        "rollout": gathered.rollout.name,
        "journalHead": head,
        "files": digests,
    });
    let manifest = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    files.insert(MANIFEST.to_owned(), manifest);
    for (name, bytes) in &files {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|error| {
            Failure::refused(format!("cannot write {}: {error}", path.display()))
        })?;
    }
    Ok(files.into_keys().collect())
}

fn document(
    gathered: &Gathered,
    told: &Told,
    template: &str,
    html: bool,
) -> Result<String, Failure> {
    let wrong = |error: minijinja::Error| Failure::refused(format!("the document: {error:#}"));
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(
        move |_| {
            if html { AutoEscape::Html } else { AutoEscape::None }
        },
    );
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(wrong)?);
    // Text of others must not end a cell of a table, nor a line.
    environment.add_filter("cell", |text: String| text.replace('|', "\\|").replace('\n', " "));
    environment.add_template("dossier", template).map_err(wrong)?;
    let values = Value::from(Serde(values(gathered, told)?));
    environment.get_template("dossier").and_then(|found| found.render(values)).map_err(wrong)
}

/// What the templates may use.
fn values(gathered: &Gathered, told: &Told) -> Result<serde_json::Value, Failure> {
    let rollout = &gathered.rollout;
    let declared = rollout.ga_declare_time.as_ref();
    let timeline = gathered.timeline.iter().map(|entry| {
        serde_json::json!({
            "time": time(entry.occur_time.as_ref()), "who": entry.actor, "what": entry.text,
            "why": entry.reason,
        })
    });
    Ok(serde_json::json!({
        "name": rollout.name,
        "title": gathered.plan.title,
        "state": short(rollout.state().as_str_name()),
        "phase": rollout.phase_id,
        "pipeline": rollout.pipeline,
        "flag": rollout.flag,
        "plan_version": rollout.plan_version,
        "plan_digest": gathered.version.digest,
        "demo": rollout.demo,
        "created": time(rollout.create_time.as_ref()),
        "declared": declared.map(|at| time(Some(at))).unwrap_or_default(),
        "told": told,
        "timeline": timeline.collect::<Vec<_>>(),
        "plots": plots(gathered, told)?,
        "records": gathered.records.len(),
        "head": gathered.records.last().map(|one| one.hash.to_string()).unwrap_or_default(),
    }))
}

fn plots(gathered: &Gathered, told: &Told) -> Result<Vec<String>, Failure> {
    let times = || gathered.happened.iter().map(|one| one.record.time);
    let span =
        (times().min().unwrap_or(Timestamp::EPOCH), times().max().unwrap_or(Timestamp::EPOCH));
    let mut plots = Vec::new();
    for (title, curve, stepped) in [
        ("Exposure by percentage", &told.exposure, true),
        ("Error rate over 24 hours, percent", &told.error_rate, false),
        ("p99 latency over 24 hours, seconds", &told.latency, false),
    ] {
        if !curve.is_empty() {
            plots.push(draw(&Plot { title, curve, marks: &told.marks, span, stepped })?);
        }
    }
    Ok(plots)
}
