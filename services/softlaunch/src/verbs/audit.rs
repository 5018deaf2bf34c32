//! `softlaunch audit`: the journals as evidence, read without any service.

mod export;
mod pages;
mod verify;

use std::io::{BufWriter, Write as _, stdout};
use std::path::Path;

use store::{Head, Location, Record, Store, StoreError, StreamName};

use crate::arguments::{AuditVerb, Journals, Output, STREAMS};
use crate::failure::Failure;
use crate::output::{say, table};

use export::Line;
pub(crate) use export::RecordLine;
use pages::Pages;

pub(crate) async fn run(verb: &AuditVerb, output: Output) -> Result<(), Failure> {
    match verb {
        AuditVerb::Log { journals, last } => log(journals, *last, output).await,
        AuditVerb::Verify { file: Some(file), .. } => verify::report(&verify::file(file)?, output),
        AuditVerb::Verify { journals, file: None } => {
            let store = open(journals).await?;
            let mut findings = Vec::new();
            for stream in streams(journals)? {
                findings.push(verify::journal(&store, stream).await?);
            }
            verify::report(&findings, output)
        }
        AuditVerb::Export { journals } => export(journals).await,
    }
}

/// Records of one journal, as lines of an exported journal.
pub(crate) fn lines(stream: &str, records: &[Record]) -> Result<String, Failure> {
    let stream = StreamName::new(stream)?;
    let mut text = String::new();
    for record in records {
        text.push_str(&Line::record(&stream, record).to_json()?);
        text.push('\n');
    }
    let head = records
        .last()
        .map_or_else(Head::default, |last| Head { version: last.version, hash: last.hash });
    text.push_str(&Line::end(&stream, head).to_json()?);
    text.push('\n');
    Ok(text)
}

/// Records read from a file, and where its chain is broken.
pub(crate) struct VerifiedRecords {
    pub(crate) records: Vec<Record>,
    pub(crate) broken: Vec<String>,
}

/// Verifies an exported journal, and reads it.
pub(crate) fn verified_records(path: &Path) -> Result<VerifiedRecords, Failure> {
    let broken = verify::broken(&verify::file(path)?);
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::refused(format!("cannot read {}: {error}", path.display())))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let records = lines.filter_map(|line| match line {
        Line::Record(record) => record.to_record().ok(),
        Line::End(_) => None,
    });
    Ok(VerifiedRecords { records: records.collect(), broken })
}

async fn open(journals: &Journals) -> Result<Store, Failure> {
    let location = Location::parse(&journals.at.store)?;
    let clock = std::sync::Arc::new(service_kit::clock::real_now);
    Store::open_existing(&location, clock, &journals.at.tls.options()).await.map_err(|error| {
        match error {
            StoreError::InUse(_) => Failure::refused(format!(
                "{location} is in use: its journals can be read once the process that holds it \
             (e.g. `softlaunch up`) is stopped"
            )),
            StoreError::Unavailable(_)
            | StoreError::Corrupt(_)
            | StoreError::Lost { .. }
            | StoreError::Diverged { .. }
            | StoreError::Settings(_) => Failure::refused(error.to_string()),
        }
    })
}

fn streams(journals: &Journals) -> Result<Vec<StreamName>, Failure> {
    let wanted = journals.stream.as_deref();
    let names = STREAMS.into_iter().filter(|name| wanted.is_none_or(|one| one == *name));
    Ok(names.map(StreamName::new).collect::<Result<_, _>>()?)
}

async fn log(journals: &Journals, last: u64, output: Output) -> Result<(), Failure> {
    let store = open(journals).await?;
    let mut entries = Vec::new();
    let mut hidden = 0;
    for stream in streams(journals)? {
        let head = store.journal.head(&stream).await.map_err(unreadable)?;
        let mut after = head.version.saturating_sub(last);
        hidden += after;
        while after < head.version {
            let page = store.journal.read(&stream, after, pages::SIZE).await.map_err(unreadable)?;
            let Some(newest) = page.last() else { break };
            after = newest.version;
            entries.extend(page.into_iter().map(|record| (stream.clone(), record)));
        }
    }
    entries.sort_by(|(a, one), (b, other)| {
        (one.time, a, one.version).cmp(&(other.time, b, other.version))
    });
    if output == Output::Json {
        entries.iter().try_for_each(|(stream, record)| {
            say(Line::record(stream, record).to_json()?);
            Ok::<_, Failure>(())
        })?;
        return Ok(());
    }
    let mut shown = table(["Time", "Journal", "Version", "Who", "What", "Why"]);
    for (stream, record) in &entries {
        shown.add_row([
            record.time.to_string(),
            stream.to_string(),
            record.version.to_string(),
            who(record),
            plain(&record.kind),
            plain(&record.reason),
        ]);
    }
    say(shown);
    if hidden > 0 {
        say(format!("{hidden} older records are not shown: see --last"));
    }
    Ok(())
}

fn who(record: &Record) -> String {
    let marker = if record.actor.authenticated { "" } else { " (unauthenticated)" };
    format!("{}{marker}", plain(&record.actor.subject))
}

/// Text that cannot steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn unreadable(error: StoreError) -> Failure {
    Failure::refused(format!("{error}: `softlaunch audit verify` says where it begins"))
}

async fn export(journals: &Journals) -> Result<(), Failure> {
    let store = open(journals).await?;
    let mut out = BufWriter::new(stdout().lock());
    let unwritten = |error: std::io::Error| Failure::refused(format!("cannot write: {error}"));
    for stream in streams(journals)? {
        let mut pages = Pages::new(&store, stream.clone());
        loop {
            let page = pages.next().await.map_err(unreadable)?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                writeln!(out, "{}", Line::record(&stream, record).to_json()?).map_err(unwritten)?;
            }
        }
        let end = Line::end(&stream, pages.head());
        writeln!(out, "{}", end.to_json()?).map_err(unwritten)?;
    }
    out.flush().map_err(unwritten)
}
