//! The lines of an exported journal.
//!
//! Every record is a line, and every journal ends with one that repeats its head: a file cut
//! short is noticed. There is one way to write a line, so that no changed byte goes unnoticed.

use serde::{Deserialize, Serialize};
use store::{Hash, Head, Record, StreamName};
use vocab::{Actor, Invalid, Role, Timestamp};

use crate::failure::Failure;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "camelCase")]
pub(super) enum Line {
    Record(RecordLine),
    End(EndLine),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordLine {
    pub(crate) stream: String,
    version: u64,
    time: String,
    who: String,
    roles: Vec<String>,
    authenticated: bool,
    what: String,
    why: String,
    traceparent: String,
    payload: String,
    previous: String,
    hash: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EndLine {
    pub(super) stream: String,
    pub(super) version: u64,
    pub(super) hash: String,
}

impl Line {
    pub(super) fn record(stream: &StreamName, record: &Record) -> Self {
        Self::Record(RecordLine::of(stream, record))
    }

    pub(super) fn end(stream: &StreamName, head: Head) -> Self {
        let (stream, hash) = (stream.to_string(), head.hash.to_string());
        Self::End(EndLine { stream, version: head.version, hash })
    }

    pub(super) fn to_json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(|error| Failure::refused(error.to_string()))
    }
}

impl RecordLine {
    pub(crate) fn of(stream: &StreamName, record: &Record) -> Self {
        Self {
            stream: stream.to_string(),
            version: record.version,
            time: record.time.to_string(),
            who: record.actor.subject.clone(),
            roles: record.actor.roles.iter().map(ToString::to_string).collect(),
            authenticated: record.actor.authenticated,
            what: record.kind.clone(),
            why: record.reason.clone(),
            traceparent: record.traceparent.clone(),
            payload: record.payload.iter().map(|byte| format!("{byte:02x}")).collect(),
            previous: record.previous.to_string(),
            hash: record.hash.to_string(),
        }
    }

    /// Its place, for people.
    pub(super) fn place(&self) -> String {
        format!("record {} of {}", self.version, self.stream)
    }

    pub(crate) fn to_record(&self) -> Result<Record, Invalid> {
        Ok(Record {
            version: self.version,
            time: Timestamp::parse(&self.time)?,
            actor: Actor {
                subject: self.who.clone(),
                roles: self.roles.iter().map(|role| Role::new(role)).collect::<Result<_, _>>()?,
                authenticated: self.authenticated,
            },
            reason: self.why.clone(),
            kind: self.what.clone(),
            payload: bytes(&self.payload)?,
            traceparent: self.traceparent.clone(),
            previous: hash(&self.previous)?,
            hash: hash(&self.hash)?,
        })
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, Invalid> {
    let wrong = || Invalid::new(format!("`{}` is not hexadecimal", vocab::excerpt(hex)));
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = hex.chars().map(digit).collect::<Option<_>>().ok_or_else(wrong)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

fn hash(hex: &str) -> Result<Hash, Invalid> {
    Hash::parse(hex).ok_or_else(|| Invalid::new("a hash that is not 32 bytes long"))
}
