//! Streams in the embedded file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redb::ReadableTable;

use crate::chain;
use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Appended, Head, Journal, RequestKey};
use crate::record::{Hash, Record, StreamName, Version};

use super::EmbeddedStore;
use super::group::Group;
use super::ops::{self, Kind};
use super::tables::{RECORDS, REQUESTS, failed};

/// 24 hours are promised; a report may come again for as long as it may be late, a week.
const REQUEST_KEPT: Duration = Duration::from_secs(9 * 24 * 60 * 60);

#[async_trait]
impl Journal for EmbeddedStore {
    async fn append(&self, stream: &StreamName, append: &Append) -> Result<Appended, AppendError> {
        chain::check_size(append)?;
        let (stream, request) = (stream.clone(), append.request.clone());
        let (watches, watched) = (Arc::clone(&self.watches), stream.clone());
        let (expected, sealed) = (append.expected, chain::seal(append));
        // Encoded here, so that the one who writes has the less to do.
        let records: Vec<_> = sealed.records.iter().map(Record::encode).collect();
        let first = expected.version + 1;
        let work = move |group: &mut Group<'_>| {
            match repeated_or_free(group, &stream, expected, request.as_ref()) {
                Ok(None) => {}
                Ok(Some(first)) => return Ok(Ok(first)),
                Err(refusal) => return Ok(Err(refusal)), // Nothing is written yet.
            }
            let count = records.len() as u64;
            if let Some(last) = sealed.records.last() {
                group.move_head(&stream, chain::head_at(last));
                let stream = stream.to_string();
                group.apply(Kind::Append(ops::Append { stream, first, records }))?;
            }
            if let Some(request) = request {
                group.apply(Kind::Answer(ops::Answer {
                    stream: stream.to_string(),
                    request: request.id,
                    digest: request.digest.0.to_vec(),
                    first,
                    count,
                    until_ms: group.now().plus(REQUEST_KEPT).as_millis(),
                }))?;
            }
            Ok(Ok(sealed))
        };
        let tell = move |appended: &Result<Appended, AppendError>| {
            if let Ok(Appended { version, repeated: false, .. }) = appended {
                watches.notify(&watched, *version);
            }
        };
        self.writer.write_then(work, tell).await?
    }

    async fn find(
        &self,
        stream: &StreamName,
        request: &RequestKey,
    ) -> Result<Option<Appended>, AppendError> {
        let (stream, request) = (stream.clone(), request.clone());
        self.read(move |transaction| {
            let requests = transaction.open_table(REQUESTS).map_err(failed)?;
            let records = transaction.open_table(RECORDS).map_err(failed)?;
            Ok(repetition(&requests, &records, &stream, &request))
        })
        .await?
    }

    async fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let stream = stream.clone();
        self.read(move |transaction| {
            let table = transaction.open_table(RECORDS).map_err(failed)?;
            let before = match after {
                0 => Head::default(),
                _ => match range(&table, &stream, after, 1)?.first() {
                    Some(record) => chain::head_at(record),
                    None => return Ok(Vec::new()), // The stream ends before `after`.
                },
            };
            let records = range(&table, &stream, after.saturating_add(1), limit)?;
            chain::check(&stream, before, &records)?;
            Ok(records)
        })
        .await
    }

    async fn head(&self, stream: &StreamName) -> Result<Head, StoreError> {
        let stream = stream.clone();
        self.read(move |transaction| {
            head(&transaction.open_table(RECORDS).map_err(failed)?, &stream)
        })
        .await
    }

    async fn settle(&self, _stream: &StreamName) -> Result<(), StoreError> {
        Ok(()) // Nothing is to be seen before it is on disk.
    }

    async fn wait(
        &self,
        stream: &StreamName,
        after: Head,
        patience: Duration,
    ) -> Result<Head, StoreError> {
        let mut watch = self.watches.subscribe(stream); // First, so that nothing is missed.
        let found = self.head(stream).await?;
        chain::check_seen(stream, after, found)?;
        if found.version > after.version {
            return Ok(found);
        }
        let waiting = watch.wait_for(|version| *version > after.version);
        let woken = tokio::time::timeout(patience, waiting).await.is_ok_and(|seen| seen.is_ok());
        if woken { self.head(stream).await } else { Ok(after) }
    }
}

/// The first answer where the request was carried out before; nothing where the stream ends as
/// expected; a refusal otherwise.
fn repeated_or_free(
    group: &mut Group<'_>,
    stream: &StreamName,
    expected: Head,
    request: Option<&RequestKey>,
) -> Result<Option<Appended>, AppendError> {
    if let Some(request) = request {
        let requests = group.transaction()?.open_table(REQUESTS).map_err(failed)?;
        if let Some(first) = repetition(&requests, group.records()?, stream, request)? {
            return Ok(Some(first));
        }
    }
    let head = group.head(stream, |records| head(records, stream))?;
    if head.version != expected.version {
        let (expected, actual) = (expected.version, head.version);
        return Err(AppendError::Conflict { expected, actual });
    }
    chain::check_seen(stream, expected, head)?;
    Ok(None)
}

/// The answer to a request carried out before.
fn repetition(
    requests: &impl ReadableTable<(&'static str, &'static str), (&'static [u8; 32], u64, u64)>,
    records: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    stream: &StreamName,
    request: &RequestKey,
) -> Result<Option<Appended>, AppendError> {
    let key = (stream.as_str(), request.id.as_str());
    let Some(found) = requests.get(key).map_err(failed)? else { return Ok(None) };
    let (digest, first, count) = found.value();
    if Hash(*digest) != request.digest {
        return Err(AppendError::RequestReused { id: request.id.clone() });
    }
    let found = range(records, stream, first, usize::try_from(count).unwrap_or(usize::MAX))?;
    chain::repeated(stream, first, count, found).map(Some).map_err(AppendError::Store)
}

fn range(
    table: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    stream: &StreamName,
    first: Version,
    limit: usize,
) -> Result<Vec<Record>, StoreError> {
    let versions = (stream.as_str(), first)..=(stream.as_str(), Version::MAX);
    let mut records = Vec::new();
    for entry in table.range(versions).map_err(failed)?.take(limit) {
        let (_, bytes) = entry.map_err(failed)?;
        records.push(Record::decode(bytes.value())?);
    }
    Ok(records)
}

fn head(
    table: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    stream: &StreamName,
) -> Result<Head, StoreError> {
    let versions = (stream.as_str(), 0)..=(stream.as_str(), Version::MAX);
    match table.range(versions).map_err(failed)?.next_back() {
        None => Ok(Head::default()),
        Some(entry) => {
            let (_, bytes) = entry.map_err(failed)?;
            Ok(chain::head_at(&Record::decode(bytes.value())?))
        }
    }
}
