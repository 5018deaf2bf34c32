//! Streams on Redis: one Redis stream each, with ids `VERSION-0`.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use redis::Cmd;
use tokio::time::Instant;

use crate::chain;
use crate::error::{AppendError, StoreError};
use crate::journal::{Append, Appended, Head, Journal, RequestKey};
use crate::record::{Record, StreamName, Version};

use super::waiters::BLOCK_MAX;
use super::{RedisStore, ttl_ms};

/// 24 hours are promised; a report may come again for as long as it may be late, a week.
const REQUEST_KEPT: Duration = Duration::from_secs(9 * 24 * 60 * 60);

type Entries = Vec<(String, HashMap<String, Vec<u8>>)>;

#[async_trait]
impl Journal for RedisStore {
    async fn append(&self, stream: &StreamName, append: &Append) -> Result<Appended, AppendError> {
        chain::check_size(append)?;
        let sealed = chain::seal(append);
        let answer = self.run_append(stream, append, &sealed.records).await?;
        let expected = append.expected.version;
        match (answer.first().map(String::as_str), answer.get(1), answer.get(2)) {
            (Some("appended"), ..) => Ok(sealed),
            (Some("repeated"), Some(first), Some(count)) => {
                Ok(self.repeated(stream, first, count).await?)
            }
            (Some("reused"), ..) => Err(reused(append.request.as_ref())),
            (Some("conflict"), Some(actual), _) => {
                Err(AppendError::Conflict { expected, actual: number(actual)? })
            }
            (Some("diverged"), ..) => Err(chain::diverged(stream, expected).into()),
            _ => Err(corrupt(stream, &format!("an append was answered with {answer:?}")).into()),
        }
    }

    async fn find(
        &self,
        stream: &StreamName,
        request: &RequestKey,
    ) -> Result<Option<Appended>, AppendError> {
        let mut asking = redis::cmd("HMGET");
        asking.arg(request_key(stream, &request.id)).arg(&["digest", "first", "count"]);
        let found: (Option<String>, Option<String>, Option<String>) =
            self.connection.query(&asking).await?;
        match found {
            (Some(digest), Some(first), Some(count)) if digest == request.digest.to_string() => {
                self.connection.settle(&asking).await?; // To answer is to acknowledge it again.
                Ok(Some(self.repeated(stream, &first, &count).await?))
            }
            (Some(_), ..) => Err(reused(Some(request))),
            (None, ..) => Ok(None),
        }
    }

    async fn read(
        &self,
        stream: &StreamName,
        after: Version,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        if after == 0 {
            let records = self.range(stream, 1, limit).await?;
            chain::check(stream, Head::default(), &records)?;
            return Ok(records);
        }
        let mut records = self.range(stream, after, limit.saturating_add(1)).await?;
        if records.is_empty() {
            return Ok(records); // The stream ends before `after`.
        }
        let before = records.remove(0); // Read only to check that the next one follows.
        if before.version != after {
            return Err(corrupt(stream, &format!("record {after} is missing")));
        }
        chain::check(stream, chain::head_at(&before), &records)?;
        Ok(records)
    }

    async fn head(&self, stream: &StreamName) -> Result<Head, StoreError> {
        let mut asking = redis::cmd("XREVRANGE");
        asking.arg(journal_key(stream)).arg("+").arg("-").arg("COUNT").arg(1);
        let newest = self.records(stream, &asking).await?;
        Ok(newest.first().map(chain::head_at).unwrap_or_default())
    }

    async fn settle(&self, stream: &StreamName) -> Result<(), StoreError> {
        self.connection.settle(redis::cmd("EXISTS").arg(journal_key(stream))).await
    }

    async fn wait(
        &self,
        stream: &StreamName,
        after: Head,
        patience: Duration,
    ) -> Result<Head, StoreError> {
        let started = Instant::now();
        loop {
            let found = self.head(stream).await?;
            chain::check_seen(stream, after, found)?;
            let left = patience.saturating_sub(started.elapsed());
            if found.version > after.version || left.is_zero() {
                return Ok(found);
            }
            let mut waiting = redis::cmd("XREAD");
            waiting.arg("COUNT").arg(1).arg("BLOCK").arg(ttl_ms(left.min(BLOCK_MAX)));
            waiting.arg("STREAMS").arg(journal_key(stream)).arg(format!("{}-0", after.version));
            self.waiters.wait(&self.connection, &waiting).await?;
        }
    }
}

impl RedisStore {
    async fn run_append(
        &self,
        stream: &StreamName,
        append: &Append,
        records: &[Record],
    ) -> Result<Vec<String>, StoreError> {
        let (request, head) = (append.request.as_ref(), append.expected);
        let hash = if head.version == 0 { String::new() } else { head.hash.to_string() };
        let request_id = request.map_or("", |request| &request.id);
        let keys = [journal_key(stream), request_key(stream, request_id)];
        let mut script = self.scripts.append.call(&keys);
        script.arg(head.version).arg(hash);
        script.arg(request.map(|request| request.digest.to_string()).unwrap_or_default());
        script.arg(ttl_ms(REQUEST_KEPT));
        for record in records {
            script.arg(record.encode()).arg(record.hash.to_string());
        }
        self.connection.run(&script).await
    }

    /// The answer to a request carried out before.
    async fn repeated(
        &self,
        stream: &StreamName,
        first: &str,
        count: &str,
    ) -> Result<Appended, StoreError> {
        let (first, count) = (number(first)?, number(count)?);
        let records = match count {
            0 => Vec::new(), // Redis takes no count of zero.
            _ => self.range(stream, first, usize::try_from(count).unwrap_or(usize::MAX)).await?,
        };
        chain::repeated(stream, first, count, records)
    }

    async fn range(
        &self,
        stream: &StreamName,
        first: Version,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let mut asking = redis::cmd("XRANGE");
        asking.arg(journal_key(stream)).arg(format!("{first}-0")).arg("+");
        asking.arg("COUNT").arg(limit.min(1_000_000)); // Redis takes no more than an i64.
        self.records(stream, &asking).await
    }

    async fn records(&self, stream: &StreamName, asking: &Cmd) -> Result<Vec<Record>, StoreError> {
        let entries: Entries = self.connection.query(asking).await?;
        let read = |(id, fields): (String, HashMap<String, Vec<u8>>)| {
            let bytes = fields
                .get("record")
                .ok_or_else(|| corrupt(stream, &format!("entry {id} has no record")))?;
            let record = Record::decode(bytes)?;
            if id == format!("{}-0", record.version) {
                return Ok(record);
            }
            Err(corrupt(stream, &format!("entry {id} holds record {}", record.version)))
        };
        entries.into_iter().map(read).collect()
    }
}

pub(super) fn journal_key(stream: &StreamName) -> String {
    format!("{{softlaunch:{stream}}}:journal")
}

pub(super) fn request_key(stream: &StreamName, id: &str) -> String {
    format!("{{softlaunch:{stream}}}:request:{id}")
}

fn reused(request: Option<&RequestKey>) -> AppendError {
    let id = request.map(|request| request.id.clone()).unwrap_or_default();
    AppendError::RequestReused { id }
}

fn corrupt(stream: &StreamName, what: &str) -> StoreError {
    StoreError::Corrupt(format!("stream {stream}: {what}"))
}

fn number(text: &str) -> Result<u64, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("`{text}` is not a version: {error}")))
}
