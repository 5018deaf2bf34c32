//! Streams in the embedded file.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redb::{ReadableTable, WriteTransaction};
use vocab::Timestamp;

use crate::chain;
use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Appended, Head, Journal, RequestKey};
use crate::record::{Hash, Record, StreamName, Version};

use super::EmbeddedStore;
use super::expiry::{self, Item};
use super::tables::{RECORDS, REQUESTS, failed};

const REQUEST_KEPT: Duration = Duration::from_secs(48 * 60 * 60); // 24 hours are promised.

#[async_trait]
impl Journal for EmbeddedStore {
    async fn append(&self, stream: &StreamName, append: &Append) -> Result<Appended, AppendError> {
        chain::check_size(append)?;
        let (stream, append) = (stream.clone(), append.clone());
        let (watches, watched) = (Arc::clone(&self.watches), stream.clone());
        let work = move |transaction: &WriteTransaction, now: Timestamp| {
            let records = match decide(transaction, &stream, &append) {
                Ok(appended) if appended.repeated => return Ok(Ok(appended)),
                Ok(appended) => appended.records,
                Err(refusal) => return Ok(Err(refusal)), // Nothing is written yet.
            };
            write(transaction, &stream, append.request.as_ref(), &records, now)?;
            Ok(Ok(Appended { records, repeated: false }))
        };
        let tell = move |appended: &Result<Appended, AppendError>| {
            if let Ok(Appended { records, repeated: false }) = appended
                && let Some(last) = records.last()
            {
                watches.notify(&watched, last.version);
            }
        };
        self.writer.write_then(work, tell).await?
    }

    async fn find(
        &self,
        stream: &StreamName,
        request: &RequestKey,
    ) -> Result<Option<Vec<Record>>, AppendError> {
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

    async fn wait(
        &self,
        stream: &StreamName,
        after: Version,
        patience: Duration,
    ) -> Result<Version, StoreError> {
        let mut watch = self.watches.subscribe(stream); // First, so that nothing is missed.
        let found = self.head(stream).await?.version;
        if found < after {
            return Err(chain::lost(stream, after, found));
        }
        if found > after {
            return Ok(found);
        }
        let waiting = watch.wait_for(|version| *version > after);
        match tokio::time::timeout(patience, waiting).await {
            Ok(Ok(version)) => Ok(*version),
            Ok(Err(_)) | Err(_) => Ok(after),
        }
    }
}

/// What an append comes to, before anything is written: a repetition, new records, or a refusal.
fn decide(
    transaction: &WriteTransaction,
    stream: &StreamName,
    append: &Append,
) -> Result<Appended, AppendError> {
    let records = transaction.open_table(RECORDS).map_err(failed)?;
    if let Some(request) = &append.request {
        let requests = transaction.open_table(REQUESTS).map_err(failed)?;
        if let Some(records) = repetition(&requests, &records, stream, request)? {
            return Ok(Appended { records, repeated: true });
        }
    }
    let head = head(&records, stream)?;
    if head.version != append.expected {
        return Err(AppendError::Conflict { expected: append.expected, actual: head.version });
    }
    Ok(Appended { records: chain::seal(head, append), repeated: false })
}

fn write(
    transaction: &WriteTransaction,
    stream: &StreamName,
    request: Option<&RequestKey>,
    records: &[Record],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(RECORDS).map_err(failed)?;
    for record in records {
        let bytes = record.encode();
        table.insert((stream.as_str(), record.version), bytes.as_slice()).map_err(failed)?;
    }
    if let (Some(request), Some(first)) = (request, records.first()) {
        let (key, id) = ((stream.as_str(), request.id.as_str()), request.id.as_str());
        let mut requests = transaction.open_table(REQUESTS).map_err(failed)?;
        let count = records.len() as u64;
        requests.insert(key, (&request.digest.0, first.version, count)).map_err(failed)?;
        let item = Item::Request { stream: stream.as_str(), id };
        expiry::keep(transaction, item, now.plus(REQUEST_KEPT))?;
    }
    Ok(())
}

/// The records of a request carried out before.
fn repetition(
    requests: &impl ReadableTable<(&'static str, &'static str), (&'static [u8; 32], u64, u64)>,
    records: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    stream: &StreamName,
    request: &RequestKey,
) -> Result<Option<Vec<Record>>, AppendError> {
    let key = (stream.as_str(), request.id.as_str());
    let Some(found) = requests.get(key).map_err(failed)? else { return Ok(None) };
    let (digest, first, count) = found.value();
    if Hash(*digest) != request.digest {
        return Err(AppendError::RequestReused { id: request.id.clone() });
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = range(records, stream, first, count)?;
    chain::check_run(stream, first, count, &found)?;
    Ok(Some(found))
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
