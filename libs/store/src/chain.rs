//! What both stores check about a stream: that records follow each other, and how new ones are
//! sealed behind the head.

use crate::error::StoreError;
use crate::journal::{Append, Appended, Head};
use crate::record::{Record, StreamName, Version};

const DRAFTS_MAX: usize = 100; // Bounds a transaction, and the time a script holds up Redis.

/// Checks that an append is of 1 to 100 events, or of none and keeps an answer.
pub(crate) fn check_size(append: &Append) -> Result<(), StoreError> {
    match append.drafts.len() {
        0 if append.request.is_some() => Ok(()),
        1..=DRAFTS_MAX => Ok(()),
        count => Err(StoreError::Settings(format!(
            "an append of {count} events: expected 1 to {DRAFTS_MAX}"
        ))),
    }
}

/// Checks that a stream that ends at `found` can be the one that was seen to reach `seen`.
pub(crate) fn check_seen(stream: &StreamName, seen: Head, found: Head) -> Result<(), StoreError> {
    if found.version < seen.version {
        return Err(lost(stream, seen.version, found.version));
    }
    if found.version == seen.version && found.hash != seen.hash {
        return Err(diverged(stream, seen.version));
    }
    Ok(())
}

/// Seals the drafts of `append` behind the head it expects.
pub(crate) fn seal(append: &Append) -> Appended {
    let mut previous = append.expected;
    let mut records = Vec::with_capacity(append.drafts.len());
    for draft in &append.drafts {
        let record = Record::seal(previous.version + 1, previous.hash, append, draft);
        previous = head_at(&record);
        records.push(record);
    }
    Appended { version: previous.version, records, repeated: false }
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

/// The answer to a request that wrote the `count` records from `first` on; the ones before are
/// not at hand.
pub(crate) fn repeated(
    stream: &StreamName,
    first: Version,
    count: u64,
    records: Vec<Record>,
) -> Result<Appended, StoreError> {
    let whole = records.len() as u64 == count;
    match records.split_first() {
        Some((head, rest)) if whole && head.version == first => {
            check(stream, head_at(head), rest)?;
        }
        None if whole => {}
        _ => {
            return Err(StoreError::Corrupt(format!(
                "stream {stream} has not all of the {count} records from {first} on"
            )));
        }
    }
    Ok(Appended { version: first.saturating_sub(1) + count, records, repeated: true })
}

/// The head of a stream that ends with `record`.
pub(crate) fn head_at(record: &Record) -> Head {
    Head { version: record.version, hash: record.hash }
}

/// What to say where the stream is shorter than what was seen.
pub(crate) fn lost(stream: &StreamName, seen: Version, found: Version) -> StoreError {
    StoreError::Lost { stream: stream.to_string(), seen, found }
}

/// What to say where the stream has another record than was seen.
pub(crate) fn diverged(stream: &StreamName, version: Version) -> StoreError {
    StoreError::Diverged { stream: stream.to_string(), version }
}
