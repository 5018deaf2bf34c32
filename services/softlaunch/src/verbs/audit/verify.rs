//! Whether journals are what was written: every hash, the chain, no gap.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use store::{Head, Store, StoreError, StreamName};

use crate::arguments::Output;
use crate::failure::Failure;
use crate::output::{say, table};

use super::export::{Line, RecordLine};
use super::pages::Pages;

/// What was found of one journal.
#[derive(Debug)]
pub(super) struct Finding {
    stream: StreamName,
    records: u64,
    head: Head,
    /// Where it breaks for the first time.
    broken: Option<String>,
    /// Whether its last line was read, in a file.
    ended: bool,
}

impl Finding {
    fn new(stream: StreamName) -> Self {
        Self { stream, records: 0, head: Head::default(), broken: None, ended: false }
    }

    fn breaks(&mut self, why: impl Into<String>) {
        self.broken.get_or_insert(why.into());
    }
}

/// Verifies a journal in a store.
pub(super) async fn journal(store: &Store, stream: StreamName) -> Result<Finding, Failure> {
    let mut finding = Finding::new(stream.clone());
    let mut pages = Pages::new(store, stream);
    loop {
        let page = pages.next().await;
        finding.head = pages.head();
        match page {
            Ok(page) if page.is_empty() => return Ok(finding),
            Ok(page) => finding.records += page.len() as u64,
            Err(StoreError::Corrupt(why)) => {
                finding.breaks(format!("behind record {}: {why}", finding.head.version));
                return Ok(finding);
            }
            Err(error) => return Err(Failure::refused(error.to_string())),
        }
    }
}

/// Verifies the journals in an exported file.
pub(super) fn file(path: &Path) -> Result<Vec<Finding>, Failure> {
    let unreadable = |why: &dyn std::fmt::Display| {
        Failure::refused(format!("cannot read {}: {why}", path.display()))
    };
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let mut findings = BTreeMap::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let text = line.map_err(|error| unreadable(&error))?;
        take(&mut findings, &text)
            .map_err(|why| Failure::refused(format!("{}:{}: {why}", path.display(), at + 1)))?;
    }
    if findings.is_empty() {
        return Err(unreadable(&"there is nothing in it"));
    }
    let mut findings: Vec<Finding> = findings.into_values().collect();
    for finding in findings.iter_mut().filter(|one| !one.ended) {
        finding.breaks("the file is cut short: the journal's last line is missing");
    }
    Ok(findings)
}

/// Takes in one line; refuses one of which nothing can be said but that it is wrong.
fn take(findings: &mut BTreeMap<String, Finding>, text: &str) -> Result<(), String> {
    let line: Line = serde_json::from_str(text)
        .map_err(|error| format!("not a line of an exported journal: {error}"))?;
    let name = match &line {
        Line::Record(record) => &record.stream,
        Line::End(end) => &end.stream,
    };
    let stream = StreamName::new(name).map_err(|why| why.to_string())?;
    let finding = findings.entry(name.clone()).or_insert_with(|| Finding::new(stream));
    if finding.ended {
        finding.breaks("it goes on behind its last line");
    }
    if line.to_json().is_ok_and(|written| written != text) {
        let place = match &line {
            Line::Record(record) => record.place(),
            Line::End(_) => "the last line".to_owned(),
        };
        finding.breaks(format!("{place} is not as `audit export` writes it"));
    }
    match line {
        Line::Record(record) => check(finding, &record),
        Line::End(end) => {
            finding.ended = true;
            let head = finding.head;
            if (end.version, end.hash) != (head.version, head.hash.to_string()) {
                finding.breaks(format!(
                    "it ends with record {}, and its last line names {}",
                    head.version, end.version
                ));
            }
        }
    }
    Ok(())
}

fn check(finding: &mut Finding, line: &RecordLine) {
    if finding.broken.is_some() {
        return; // Only the first break says something.
    }
    let record = match line.to_record() {
        Ok(record) => record,
        Err(why) => return finding.breaks(format!("{}: {why}", line.place())),
    };
    match finding.head.followed_by(&finding.stream, &record) {
        Ok(head) => {
            finding.head = head;
            finding.records += 1;
        }
        Err(StoreError::Corrupt(why)) => finding.breaks(why),
        Err(other) => finding.breaks(other.to_string()),
    }
}

/// Prints what was found; refused where anything is broken.
pub(super) fn report(findings: &[Finding], output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        let all: Vec<_> = findings.iter().map(json).collect();
        say(serde_json::Value::from(all));
    } else {
        let mut shown = table(["Journal", "Records", "Head", "Head hash", "Verdict"]);
        for one in findings {
            shown.add_row([
                one.stream.to_string(),
                one.records.to_string(),
                one.head.version.to_string(),
                one.head.hash.to_string(),
                one.broken.clone().map_or_else(|| "OK".to_owned(), |why| format!("BROKEN: {why}")),
            ]);
        }
        say(shown);
    }
    let broken = broken(findings).join("; ");
    if broken.is_empty() { Ok(()) } else { Err(Failure::refused(broken)) }
}

/// What is broken, in words.
pub(super) fn broken(findings: &[Finding]) -> Vec<String> {
    let broken = findings.iter().filter_map(|one| {
        one.broken.as_ref().map(|why| format!("journal {} is broken: {why}", one.stream))
    });
    broken.collect()
}

fn json(finding: &Finding) -> serde_json::Value {
    serde_json::json!({
        "stream": finding.stream.as_str(),
        "records": finding.records,
        "headVersion": finding.head.version,
        "headHash": finding.head.hash.to_string(),
        "ok": finding.broken.is_none(),
        "broken": finding.broken,
    })
}
