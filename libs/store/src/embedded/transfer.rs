//! Taking everything out of the embedded file, and putting everything in.

use async_trait::async_trait;
use redb::{ReadTransaction, ReadableTable as _};
use tokio::sync::mpsc;
use vocab::{Invalid, Timestamp, UploadId, WorkspaceId};

use crate::chain;
use crate::counters::{Batch, BatchId, Reading, Scope};
use crate::error::StoreError;
use crate::journal::{Head, RequestKey};
use crate::record::{Hash, Record, StreamName};
use crate::transfer::{Item, Transfer};

use super::EmbeddedStore;
use super::bucket;
use super::expiry;
use super::group::Group;
use super::ops::{self, AddToAll, BucketOf, FieldBy, Kind, SetTo};
use super::tables::{BATCHES, BUCKETS, FENCES, GAUGES, HOLDERS, RECORDS, REQUESTS, USED, failed};

#[async_trait]
impl Transfer for EmbeddedStore {
    async fn dump(&self, items: mpsc::Sender<Item>) -> Result<(), StoreError> {
        self.read_settled(move |transaction| {
            let send = |item| {
                let gone = |_unsent| StoreError::Unavailable("nobody takes the items".to_owned());
                items.blocking_send(item).map_err(gone)
            };
            journals(transaction, &send)?;
            counters(transaction, &send)?;
            rest(transaction, &send)
        })
        .await
    }

    async fn load(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let work = move |group: &mut Group<'_>| {
            let mut row = Row::default();
            for item in items {
                put(group, &mut row, item)?;
            }
            row.write(group)
        };
        self.writer.write(work).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        let (items, mut first) = mpsc::channel(1);
        let (dumped, first) = tokio::join!(self.dump(items), async {
            let first = first.recv().await;
            first.is_none()
        });
        drop(dumped); // It ends early where there is something.
        Ok(first)
    }

    async fn unfinished_import(&self) -> Result<Option<String>, StoreError> {
        Ok(None) // The files are elsewhere until they are whole.
    }

    async fn note_import(&self, _export: Option<&str>) -> Result<(), StoreError> {
        Ok(())
    }
}

fn wrong(invalid: &Invalid) -> StoreError {
    StoreError::Corrupt(invalid.to_string())
}

type Send<'a> = &'a dyn Fn(Item) -> Result<(), StoreError>;

fn journals(transaction: &ReadTransaction, send: Send<'_>) -> Result<(), StoreError> {
    let mut last = (None::<StreamName>, Head::default());
    for entry in transaction.open_table(RECORDS).map_err(failed)?.iter().map_err(failed)? {
        let (key, bytes) = entry.map_err(failed)?;
        let stream = StreamName::new(key.value().0).map_err(|e| wrong(&e))?;
        let record = Record::decode(bytes.value())?;
        let before = if last.0.as_ref() == Some(&stream) { last.1 } else { Head::default() };
        chain::check(&stream, before, std::slice::from_ref(&record))?;
        last = (Some(stream.clone()), chain::head_at(&record));
        send(Item::Record { stream, record })?;
    }
    for entry in transaction.open_table(REQUESTS).map_err(failed)?.iter().map_err(failed)? {
        let (key, answer) = entry.map_err(failed)?;
        let (stream, id) = key.value();
        let (digest, first, count) = answer.value();
        let until = expiry::kept_until(transaction, expiry::Item::Request { stream, id })?;
        let stream = StreamName::new(stream).map_err(|e| wrong(&e))?;
        let request = RequestKey { id: id.to_owned(), digest: Hash(*digest) };
        send(Item::Answer { stream, request, first, count, until })?;
    }
    Ok(())
}

fn counters(transaction: &ReadTransaction, send: Send<'_>) -> Result<(), StoreError> {
    for entry in transaction.open_table(BATCHES).map_err(failed)?.iter().map_err(failed)? {
        let (key, contents) = entry.map_err(failed)?;
        let (scope, id) = key.value();
        let until = expiry::kept_until(transaction, expiry::Item::Batch { scope, id })?;
        let id = BatchId::new(id).map_err(|e| wrong(&e))?;
        let scope = Scope::new(scope).map_err(|e| wrong(&e))?;
        send(Item::Batch { scope, batch: Batch { id, contents: Hash(*contents.value()) }, until })?;
    }
    for entry in transaction.open_table(BUCKETS).map_err(failed)?.iter().map_err(failed)? {
        let (key, row) = entry.map_err(failed)?;
        let (scope, series, start_ms) = key.value();
        let kept = expiry::Item::Bucket { scope, series, start_ms };
        let until = expiry::kept_until(transaction, kept)?;
        for field in bucket::fields(row.value()) {
            let (field, count) = field?;
            send(Item::Count {
                scope: Scope::new(scope).map_err(|e| wrong(&e))?,
                series: series.to_owned(),
                start: Timestamp::from_millis(start_ms),
                field: field.to_owned(),
                count,
                until,
            })?;
        }
    }
    for entry in transaction.open_table(GAUGES).map_err(failed)?.iter().map_err(failed)? {
        let (key, reading) = entry.map_err(failed)?;
        let ((scope, gauge), (at_ms, value)) = (key.value(), reading.value());
        let scope = Scope::new(scope).map_err(|e| wrong(&e))?;
        let reading = Reading { value, at: Timestamp::from_millis(at_ms) };
        send(Item::Gauge { scope, gauge: gauge.to_owned(), reading })?;
    }
    Ok(())
}

fn rest(transaction: &ReadTransaction, send: Send<'_>) -> Result<(), StoreError> {
    for entry in transaction.open_table(HOLDERS).map_err(failed)?.iter().map_err(failed)? {
        let (key, _held) = entry.map_err(failed)?;
        let (pipeline, workspace_day, upload) = key.value();
        let (workspace, day) = workspace_day.rsplit_once('/').unwrap_or((workspace_day, ""));
        let item = expiry::Item::QuotaDay { pipeline, workspace_day };
        send(Item::Hold {
            pipeline: pipeline.to_owned(),
            workspace: WorkspaceId::new(workspace).map_err(|e| wrong(&e))?,
            day: day.to_owned(),
            upload: UploadId::new(upload).map_err(|e| wrong(&e))?,
            until: expiry::kept_until(transaction, item)?,
        })?;
    }
    for entry in transaction.open_table(FENCES).map_err(failed)?.iter().map_err(failed)? {
        let (lease, fence) = entry.map_err(failed)?;
        send(Item::Fence { lease: lease.value().to_owned(), fence: fence.value() })?;
    }
    Ok(())
}

/// Counters of one bucket that came one after the other, as they are dumped: written once.
#[derive(Debug, Default)]
struct Row {
    of: Option<(Scope, BucketOf)>,
    fields: Vec<FieldBy>,
}

impl Row {
    fn add(
        &mut self,
        group: &mut Group<'_>,
        of: (Scope, BucketOf),
        field: FieldBy,
    ) -> Result<(), StoreError> {
        if self.of.as_ref() != Some(&of) {
            self.write(group)?;
            self.of = Some(of);
        }
        self.fields.push(field);
        Ok(())
    }

    fn write(&mut self, group: &mut Group<'_>) -> Result<(), StoreError> {
        let Some((scope, bucket)) = self.of.take() else { return Ok(()) };
        let fields = std::mem::take(&mut self.fields);
        let adds = vec![AddToAll { buckets: vec![bucket], fields }];
        group.apply(Kind::Count(ops::Count { adds, ..of_scope(&scope) }))
    }
}

fn put(group: &mut Group<'_>, row: &mut Row, item: Item) -> Result<(), StoreError> {
    match item {
        Item::Record { stream, record } => {
            group.move_head(&stream, chain::head_at(&record));
            let (first, records) = (record.version, vec![record.encode()]);
            group.apply(Kind::Append(ops::Append { stream: stream.to_string(), first, records }))
        }
        Item::Answer { stream, request, first, count, until } => {
            group.apply(Kind::Answer(ops::Answer {
                stream: stream.to_string(),
                request: request.id,
                digest: request.digest.0.to_vec(),
                first,
                count,
                until_ms: until.as_millis(),
            }))
        }
        Item::Batch { scope, batch, until } => group.apply(Kind::Count(ops::Count {
            batch: batch.id.as_str().to_owned(),
            contents: batch.contents.0.to_vec(),
            until_ms: until.as_millis(),
            ..of_scope(&scope)
        })),
        Item::Count { scope, series, start, field, count, until } => {
            let (start_ms, until_ms) = (start.as_millis(), until.as_millis());
            let bucket = BucketOf { series, start_ms, until_ms };
            row.add(group, (scope, bucket), FieldBy { field, by: count })
        }
        Item::Gauge { scope, gauge, reading } => {
            let set = SetTo { gauge, at_ms: reading.at.as_millis(), value: reading.value };
            group.apply(Kind::Count(ops::Count { sets: vec![set], ..of_scope(&scope) }))
        }
        Item::Hold { pipeline, workspace, day, upload, until } => {
            let workspace_day = format!("{workspace}/{day}");
            let used = used(group, &pipeline, &workspace_day)? + 1;
            let (upload, until_ms) = (upload.as_str().to_owned(), until.as_millis());
            let hold = ops::Hold { pipeline, workspace_day, upload, held: true, used, until_ms };
            group.apply(Kind::Hold(hold))
        }
        Item::Fence { lease, fence } => group.apply(Kind::Fence(ops::Fence { lease, fence })),
    }
}

/// Changes of a scope that belong to no batch.
fn of_scope(scope: &Scope) -> ops::Count {
    ops::Count { scope: scope.as_str().to_owned(), ..ops::Count::default() }
}

fn used(group: &Group<'_>, pipeline: &str, workspace_day: &str) -> Result<u32, StoreError> {
    let used = group.transaction()?.open_table(USED).map_err(failed)?;
    let used = used.get((pipeline, workspace_day)).map_err(failed)?;
    Ok(used.map_or(0, |used| used.value()))
}
