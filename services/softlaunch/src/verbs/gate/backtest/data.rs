//! Recorded data: CSV of outcomes, or JSON lines of anything.

use std::collections::BTreeMap;
use std::path::Path;

use gate_core::{BreakerState, Entry, Field, Happening, Incident, Outcome, Path as Route};
use plan::Metric;
use serde::Deserialize;
use vocab::{Timestamp, excerpt};

use crate::failure::Failure;

const RECORDS_MAX: usize = 5_000_000; // A few hundred megabytes in memory.

type Entries = Vec<(Timestamp, Entry)>;

/// Reads a file; its first letter tells which form it has.
pub(super) fn read(file: &Path) -> Result<Entries, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    let read = if text.trim_start().starts_with('{') { json_lines(&text) } else { csv(&text) };
    read.map_err(|why| Failure::usage(format!("{shown}: {why}")))
}

fn csv(text: &str) -> Result<Entries, String> {
    const KNOWN: [&str; 6] = ["time", "result", "path", "latency_ms", "workspace", "platform"];
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heading = reader.headers().map_err(|error| error.to_string())?.clone();
    if let Some(unknown) = heading.iter().find(|column| !KNOWN.contains(column)) {
        let known = KNOWN.join(", ");
        return Err(format!("unknown column `{}`: expected {known}", excerpt(unknown)));
    }
    if !["time", "result"].iter().all(|needed| heading.iter().any(|column| column == *needed)) {
        return Err("the heading lacks `time` or `result`".to_owned());
    }
    let mut entries = Vec::new();
    for (index, row) in reader.deserialize::<Row>().enumerate() {
        let at_line = |why: String| format!("line {}: {why}", index + 2);
        let row = row.map_err(|error| at_line(error.to_string()))?;
        push(&mut entries, row.read().map_err(at_line)?)?;
    }
    Ok(entries)
}

fn push(entries: &mut Entries, entry: (Timestamp, Entry)) -> Result<(), String> {
    if entries.len() >= RECORDS_MAX {
        return Err(format!("more than {RECORDS_MAX} records: split the file"));
    }
    entries.push(entry);
    Ok(())
}

/// An outcome: a row of CSV.
#[derive(Debug, Deserialize)]
struct Row {
    time: String,
    result: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    latency_ms: Option<u64>,
}

impl Row {
    fn read(&self) -> Result<(Timestamp, Entry), String> {
        let at = Timestamp::parse(&self.time).map_err(|why| why.to_string())?;
        Ok((at, ended(&self.result, &self.path, self.latency_ms)?))
    }
}

fn ended(result: &str, path: &str, latency_ms: Option<u64>) -> Result<Entry, String> {
    let outcome = match result.to_ascii_lowercase().as_str() {
        "started" => return Ok(Entry::Began),
        "succeeded" => Outcome::Succeeded,
        "failed" => Outcome::Failed,
        "invalid" => Outcome::Invalid,
        _ => {
            return Err(format!(
                "result `{}`: expected succeeded, failed, invalid or started",
                excerpt(result)
            ));
        }
    };
    let path = match path.to_ascii_lowercase().as_str() {
        "" | "new" => Route::New,
        "legacy" => Route::Legacy,
        _ => return Err(format!("path `{}`: expected new or legacy", excerpt(path))),
    };
    Ok(Entry::Ended { path, outcome, latency_ms: latency_ms.unwrap_or(0) })
}

/// A line of JSON: a time, and one thing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    time: String,
    outcome: Option<String>,
    #[serde(default)]
    path: String,
    latency_ms: Option<u64>,
    #[serde(rename = "workspace")]
    _workspace: Option<String>,
    #[serde(rename = "platform")]
    _platform: Option<String>,
    gauge: Option<String>,
    #[serde(default)]
    label: String,
    amount: Option<u64>,
    breaker: Option<String>,
    #[serde(default)]
    state: String,
    transition: Option<String>,
    incident: Option<String>,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    client_facing: bool,
    intervention: Option<String>,
    probes: Option<Probes>,
    occurrences: Option<String>,
    count: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probes {
    good: u64,
    bad: u64,
}

fn json_lines(text: &str) -> Result<Entries, String> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at_line = |why: String| format!("line {}: {why}", index + 1);
        let line: Line = serde_json::from_str(line).map_err(|error| at_line(error.to_string()))?;
        let at = Timestamp::parse(&line.time).map_err(|why| at_line(why.to_string()))?;
        for entry in line.read(at).map_err(at_line)? {
            push(&mut entries, (at, entry))?;
        }
    }
    Ok(entries)
}

impl Line {
    fn read(&self, at: Timestamp) -> Result<Vec<Entry>, String> {
        let given = BTreeMap::from([
            ("outcome", self.outcome.is_some()),
            ("gauge", self.gauge.is_some()),
            ("breaker", self.breaker.is_some()),
            ("transition", self.transition.is_some()),
            ("incident", self.incident.is_some()),
            ("intervention", self.intervention.is_some()),
            ("probes", self.probes.is_some()),
            ("occurrences", self.occurrences.is_some()),
        ]);
        if given.values().filter(|given| **given).count() != 1 {
            let keys: Vec<_> = given.into_keys().collect();
            return Err(format!("expected exactly one of {}", keys.join(", ")));
        }
        if let Some(result) = &self.outcome {
            return Ok(vec![ended(result, &self.path, self.latency_ms)?]);
        }
        if let Some(metric) = &self.gauge {
            let metric = Metric::named(metric).map_err(|why| why.to_string())?;
            let amount = self.amount.ok_or("a gauge has an `amount`")?;
            return Ok(vec![Entry::Gauge(metric, self.label.clone(), amount)]);
        }
        if let Some(id) = &self.breaker {
            return Ok(vec![Entry::Breaker(id.clone(), breaker(&self.state)?)]);
        }
        if let Some(probes) = &self.probes {
            let counted = |good, count| Entry::Counted(Field::Probe { good }, count);
            return Ok(vec![counted(true, probes.good), counted(false, probes.bad)]);
        }
        if let Some(kind) = &self.occurrences {
            let what = happening(kind)?;
            let count = self.count.ok_or("occurrences have a `count`")?;
            let counted = Entry::Counted(Field::Happened(what), count);
            return Ok(vec![counted, Entry::Counted(Field::Looked(what), 1)]);
        }
        if let Some(id) = &self.incident {
            return Ok(vec![Entry::Incident(id.clone(), self.incident(at)?)]);
        }
        let other = self.transition.as_ref().map(|name| Entry::Transition(name.clone()));
        Ok(vec![other.unwrap_or(Entry::Intervention)])
    }

    fn incident(&self, at: Timestamp) -> Result<Incident, String> {
        match self.state.to_ascii_lowercase().as_str() {
            "declared" => Ok(Incident {
                kind: self.kind.clone(),
                declared: Some(at),
                client_facing: self.client_facing,
                ..Incident::default()
            }),
            "resolved" => Ok(Incident { resolved: Some(at), ..Incident::default() }),
            other => Err(format!("state `{}`: expected declared or resolved", excerpt(other))),
        }
    }
}

fn breaker(state: &str) -> Result<BreakerState, String> {
    match state.to_ascii_uppercase().as_str() {
        "CLOSED" => Ok(BreakerState::Closed),
        "OPEN" => Ok(BreakerState::Open),
        "HALF_OPEN" => Ok(BreakerState::HalfOpen),
        other => Err(format!("state `{}`: expected CLOSED, OPEN or HALF_OPEN", excerpt(other))),
    }
}

fn happening(kind: &str) -> Result<Happening, String> {
    match kind {
        "support_ticket" => Ok(Happening::SupportTicket),
        "complaint" => Ok(Happening::Complaint),
        "on_call_page" => Ok(Happening::OnCallPage),
        "concurrency_breach" => Ok(Happening::ConcurrencyBreach),
        other => Err(format!(
            "occurrences `{}`: expected support_ticket, complaint, on_call_page or \
             concurrency_breach",
            excerpt(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_each_slip_is_named_by_its_line() {
        let rows = "time,result,latency_ms\n2026-01-01T00:00:00Z,succeeded,1200\n\
                    2026-01-01T00:00:01Z,failed,\n";
        assert_eq!(csv(rows).unwrap().len(), 2);
        let lines = r#"{"time":"2026-01-01T00:00:00Z","outcome":"failed","latency_ms":9}
{"time":"2026-01-01T00:00:01Z","probes":{"good":9,"bad":1}}
{"time":"2026-01-01T00:00:02Z","incident":"INC-1","kind":"p1","state":"declared"}"#;
        assert_eq!(json_lines(lines).unwrap().len(), 4);
        for (text, expected) in [
            ("time,result\nyesterday,failed\n", "line 2"),
            ("time,result\n2026-01-01T00:00:00Z,lost\n", "`lost`"),
            ("time,result,colour\n", "unknown column `colour`"),
            ("time\n", "lacks"),
        ] {
            let why = csv(text).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        for (text, expected) in [
            (r#"{"time":"2026-01-01T00:00:00Z"}"#, "exactly one of"),
            (r#"{"time":"2026-01-01T00:00:00Z","gauge":"happiness","amount":1}"#, "not a metric"),
            (r#"{"time":"2026-01-01T00:00:00Z","outcome":"failed","x":1}"#, "unknown field"),
            ("{", "line 1"),
        ] {
            let why = json_lines(text).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
