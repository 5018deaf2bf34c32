//! Printing: tables for people, proto3 JSON for scripts.

use std::io::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use contracts::gate as gate_pb;
use prost::Message;
use service_kit::json::Json;
use vocab::{BasisPoints, Timestamp, format_duration};

use crate::failure::Failure;

static JSON: LazyLock<Json> = LazyLock::new(|| Json::new(contracts::DESCRIPTORS));

/// Prints a line to standard output. A reader that has gone away is no error.
pub(crate) fn say(text: impl std::fmt::Display) {
    if writeln!(std::io::stdout().lock(), "{text}").is_err() {}
}

/// Prints a message as proto3 JSON. `name`: its full name.
pub(crate) fn json(name: &str, message: &impl Message) -> Result<(), Failure> {
    say(serde_json::to_string_pretty(&value(name, message)?)
        .map_err(|error| Failure::refused(error.to_string()))?);
    Ok(())
}

/// A message as proto3 JSON, fields with default values included.
pub(crate) fn value(name: &str, message: &impl Message) -> Result<serde_json::Value, Failure> {
    JSON.value(name, message).map_err(Failure::refused)
}

/// A message from proto3 JSON. `name`: its full name; `what`: where it came from.
pub(crate) fn read<M: Message + Default>(name: &str, what: &str, text: &str) -> Result<M, Failure> {
    JSON.read(name, text).map_err(|why| Failure::usage(format!("{what}: {why}")))
}

/// A table with a heading.
pub(crate) fn table<const N: usize>(heading: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(heading);
    table
}

/// An instant for people.
pub(crate) fn time(wire: Option<&prost_types::Timestamp>) -> String {
    wire.map_or_else(
        || "-".to_owned(),
        |wire| Timestamp::from_millis(wire.seconds.saturating_mul(1000)).to_string(),
    )
}

/// A length of time for people.
pub(crate) fn duration(wire: Option<&prost_types::Duration>) -> String {
    let duration = wire.and_then(|wire| Duration::try_from(*wire).ok());
    duration.map_or_else(|| "-".to_owned(), format_duration)
}

/// A share for people.
pub(crate) fn share(basis_points: i32) -> String {
    BasisPoints::new(basis_points.into())
        .map_or_else(|_e| format!("{basis_points} bp"), |share| share.to_string())
}

/// The end of an enum value's name, e.g. `PASS` of `VERDICT_PASS`.
pub(crate) fn short(name: &str) -> String {
    let prefixes = ["ADVICE_", "VERDICT_", "REASON_", "STATE_", "OUTCOME_", "KIND_"];
    let found = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
    found.unwrap_or(name).to_owned()
}

/// A gate report for people.
pub(crate) fn report(report: &gate_pb::GateReport) -> Table {
    let mut table = table(["", "Criterion", "Must be", "Found", "Why", "§"]);
    for criterion in &report.criteria {
        let interval = match (criterion.interval_low_ppm, criterion.interval_high_ppm) {
            (Some(low), Some(high)) => {
                format!("\n95%: {:.2}% to {:.2}%", percent(low), percent(high))
            }
            _ => String::new(),
        };
        table.add_row([
            short(criterion.verdict().as_str_name()),
            format!("{}\n{}", criterion.title, criterion.criterion_id),
            criterion.requirement.clone(),
            format!("{}{interval}", criterion.value),
            why(criterion),
            criterion.section.clone(),
        ]);
    }
    table
}

/// Why a verdict is what it is, and how sure.
pub(crate) fn why(criterion: &gate_pb::CriterionResult) -> String {
    let mut lines = vec![criterion.reason.clone()];
    if criterion.assurance() != gate_pb::Assurance::Unspecified {
        let reached = criterion.assurance().as_str_name();
        lines.push(reached.trim_start_matches("ASSURANCE_").to_owned());
    }
    if let Some(more) = criterion.certified_after_count.filter(|more| *more > 0) {
        lines.push(format!("CERTIFIED after about {more} more without an error"));
    }
    if criterion.dry_run {
        lines.push("dry run: not counted".to_owned());
    }
    lines.join("\n")
}

#[expect(clippy::cast_precision_loss, reason = "a share of a million, for display")]
pub(crate) fn percent(ppm: i64) -> f64 {
    ppm as f64 / 10_000.0
}
