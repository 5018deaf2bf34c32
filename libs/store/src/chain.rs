//! What both stores check about a stream: that records follow each other, and how new ones are
//! sealed behind the head.

use crate::error::StoreError;
use crate::journal::{Append, Head};
use crate::record::{Record, StreamName, Version};

const DRAFTS_MAX: usize = 100; // Bounds a transaction, and the time a script holds up Redis.

/// Checks that an append is of 1 to 100 events.
pub(crate) fn check_size(append: &Append) -> Result<(), StoreError> {
    match append.drafts.len() {
        1..=DRAFTS_MAX => Ok(()),
        count => Err(StoreError::Settings(format!(
            "an append of {count} events: expected 1 to {DRAFTS_MAX}"
        ))),
    }
}

/// Seals the drafts of `append` behind `head`.
pub(crate) fn seal(head: Head, append: &Append) -> Vec<Record> {
    let mut previous = head;
    let mut records = Vec::with_capacity(append.drafts.len());
    for draft in &append.drafts {
        let record = Record::seal(previous.version + 1, previous.hash, append, draft);
        previous = head_at(&record);
        records.push(record);
    }
    records
}

/// Checks that `records` follow `before`, without a gap and each with the hash of the last.
pub(crate) fn check(
    stream: &StreamName,
    before: Head,
    records: &[Record],
) -> Result<(), StoreError> {
    let mut last = before;
    for record in records {
        if record.version != last.version + 1 || record.previous != last.hash {
            return Err(StoreError::Corrupt(format!(
                "record {} of stream {stream} does not follow record {}",
                record.version, last.version
            )));
        }
        last = head_at(record);
    }
    Ok(())
}

/// Checks the `count` records from `first` on, of which the ones before are not at hand.
pub(crate) fn check_run(
    stream: &StreamName,
    first: Version,
    count: usize,
    records: &[Record],
) -> Result<(), StoreError> {
    match records.split_first() {
        Some((head, rest)) if head.version == first && records.len() == count => {
            check(stream, head_at(head), rest)
        }
        _ => Err(StoreError::Corrupt(format!(
            "stream {stream} has not all of the {count} records from {first} on"
        ))),
    }
}

/// The head of a stream that ends with `record`.
pub(crate) fn head_at(record: &Record) -> Head {
    Head { version: record.version, hash: record.hash }
}

/// What to say where the stream is shorter than what was seen.
pub(crate) fn lost(stream: &StreamName, seen: Version, found: Version) -> StoreError {
    StoreError::Lost { stream: stream.to_string(), seen, found }
}
