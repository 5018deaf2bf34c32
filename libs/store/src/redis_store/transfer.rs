//! Taking everything out of Redis, and putting everything in.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use tokio::sync::mpsc;
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::chain;
use crate::counters::{Batch, BatchId, Counters as _, Scope};
use crate::error::StoreError;
use crate::journal::{Head, Journal as _, RequestKey};
use crate::record::{Hash, StreamName};
use crate::transfer::{Item, Transfer};

use super::RedisStore;
use super::failure::failed;
use super::load::{Load, put};

const PATTERN: &str = "{softlaunch:*";
const NOTE: &str = "{softlaunch:import}:unfinished";
const PAGE: usize = 500;

#[async_trait]
impl Transfer for RedisStore {
    async fn dump(&self, items: mpsc::Sender<Item>) -> Result<(), StoreError> {
        for live in self.connection.all().await? {
            let mut seen = HashSet::new(); // A scan may tell of a key twice.
            let mut cursor = 0_u64;
            loop {
                let (next, keys) = scan(&live.connection, cursor).await?;
                for key in keys {
                    if seen.insert(key.clone()) {
                        self.dump_key(&key, &items).await?;
                    }
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn load(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let mut calls: Vec<Load> = Vec::new();
        let mut heads: HashMap<StreamName, Head> = HashMap::new();
        for item in items {
            if let Item::Record { stream, record } = &item {
                let head = match heads.get(stream) {
                    Some(head) => *head,
                    None => self.head(stream).await?,
                };
                heads.insert(stream.clone(), head);
                if record.version <= head.version {
                    self.check_known(stream, record.version, record.hash).await?;
                    continue;
                }
                chain::check(stream, head, std::slice::from_ref(record))?;
                heads.insert(stream.clone(), chain::head_at(record));
            }
            put(&mut calls, item);
        }
        for load in calls {
            let mut call = self.scripts.load.call(&load.keys);
            call.arg(load.words);
            let _loaded: String = self.connection.run(&call).await?;
        }
        Ok(())
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        for live in self.connection.all().await? {
            let mut cursor = 0_u64;
            loop {
                let (next, keys) = scan(&live.connection, cursor).await?;
                if !keys.is_empty() {
                    return Ok(false);
                }
                cursor = next;
                if cursor == 0 {
                    break;
                }
            }
        }
        Ok(true)
    }

    async fn unfinished_import(&self) -> Result<Option<String>, StoreError> {
        self.connection.query(redis::cmd("GET").arg(NOTE)).await
    }

    async fn note_import(&self, export: Option<&str>) -> Result<(), StoreError> {
        let mut load = Load::default();
        match export {
            Some(export) => load.command(NOTE, &["SET", NOTE, export]),
            None => load.command(NOTE, &["DEL", NOTE]),
        }
        let mut call = self.scripts.load.call(&load.keys);
        call.arg(load.words);
        let _noted: String = self.connection.run(&call).await?;
        Ok(())
    }
}

async fn scan(
    connection: &MultiplexedConnection,
    cursor: u64,
) -> Result<(u64, Vec<String>), StoreError> {
    let mut scanning = redis::cmd("SCAN");
    scanning.arg(cursor).arg("MATCH").arg(PATTERN).arg("COUNT").arg(PAGE);
    scanning.query_async(&mut connection.clone()).await.map_err(failed)
}

/// What a key holds, as its name says.
enum Holds<'a> {
    Journal,
    Answer { id: &'a str },
    Batch { id: &'a str },
    Bucket { series: &'a str, start_ms: i64 },
    Gauges,
    Quota { workspace: &'a str, day: &'a str },
    Fence { lease: &'a str },
}

/// Reads a key: what it belongs to, and what it holds. None where an export leaves it out.
fn read_key(key: &str) -> Option<(&str, Holds<'_>)> {
    let (owner, rest) = key.strip_prefix("{softlaunch:")?.split_once("}:")?;
    let (kind, name) = rest.split_once(':').unwrap_or((rest, ""));
    let holds = match (kind, owner.strip_prefix("lease:")) {
        ("fence", Some(lease)) => Holds::Fence { lease },
        ("journal", None) => Holds::Journal,
        ("request", None) if !name.is_empty() => Holds::Answer { id: name },
        ("batch", None) => Holds::Batch { id: name },
        ("bucket", None) => {
            let (series, start) = name.rsplit_once(':')?;
            Holds::Bucket { series, start_ms: start.parse().ok()? }
        }
        ("gauges", None) => Holds::Gauges,
        ("quota", None) => {
            let (workspace, day) = name.rsplit_once(':')?;
            Holds::Quota { workspace, day }
        }
        _ => return None, // Who holds a lease now, and the note of an import.
    };
    Some((owner, holds))
}

impl RedisStore {
    async fn dump_key(&self, key: &str, items: &mpsc::Sender<Item>) -> Result<(), StoreError> {
        let Some((owner, holds)) = read_key(key) else { return Ok(()) };
        let foreign = |_invalid| StoreError::Corrupt(format!("{key} is not a key of a store"));
        let found = match holds {
            Holds::Journal => {
                let stream = StreamName::new(owner).map_err(foreign)?;
                return self.dump_journal(stream, items).await;
            }
            Holds::Answer { id } => {
                self.answer(key, StreamName::new(owner).map_err(foreign)?, id).await?
            }
            Holds::Batch { id } => {
                let id = BatchId::new(id).map_err(foreign)?;
                self.batch(key, Scope::new(owner).map_err(foreign)?, id).await?
            }
            Holds::Bucket { series, start_ms } => {
                let (scope, start) = (Scope::new(owner).map_err(foreign)?, start_ms);
                self.bucket(key, &scope, series, Timestamp::from_millis(start)).await?
            }
            Holds::Gauges => {
                let scope = Scope::new(owner).map_err(foreign)?;
                let gauges = self.gauges(&scope).await?.into_iter();
                let item = |(gauge, reading)| Item::Gauge { scope: scope.clone(), gauge, reading };
                gauges.map(item).collect()
            }
            Holds::Quota { workspace, day } => {
                let workspace = WorkspaceId::new(workspace).map_err(foreign)?;
                self.holds(key, owner, &workspace, day).await?
            }
            Holds::Fence { lease } => {
                let fence: Option<u64> = self.ask("GET", key).await?;
                fence
                    .map(|fence| Item::Fence { lease: lease.to_owned(), fence })
                    .into_iter()
                    .collect()
            }
        };
        send(items, found).await
    }

    async fn dump_journal(
        &self,
        stream: StreamName,
        items: &mpsc::Sender<Item>,
    ) -> Result<(), StoreError> {
        let mut head = Head::default();
        loop {
            let page = self.read(&stream, head.version, PAGE).await?;
            chain::check(&stream, head, &page)?;
            let Some(last) = page.last() else { return Ok(()) };
            head = chain::head_at(last);
            let item = |record| Item::Record { stream: stream.clone(), record };
            send(items, page.into_iter().map(item).collect()).await?;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, name: &str, key: &str) -> Result<T, StoreError> {
        self.connection.query(redis::cmd(name).arg(key)).await
    }

    /// Until when a key is kept. None where it is gone by now.
    async fn until(&self, key: &str) -> Result<Option<Timestamp>, StoreError> {
        let until_ms: i64 = self.ask("PEXPIRETIME", key).await?;
        Ok(match until_ms {
            -2 => None,
            -1 => Some(Timestamp::from_millis(i64::MAX / 4)),
            until_ms => Some(Timestamp::from_millis(until_ms)),
        })
    }

    async fn answer(
        &self,
        key: &str,
        stream: StreamName,
        id: &str,
    ) -> Result<Vec<Item>, StoreError> {
        let mut asking = redis::cmd("HMGET");
        asking.arg(key).arg(&["digest", "first", "count"]);
        let found: (Option<String>, Option<u64>, Option<u64>) =
            self.connection.query(&asking).await?;
        let (Some(digest), Some(first), Some(count)) = found else { return Ok(Vec::new()) };
        let Some(until) = self.until(key).await? else { return Ok(Vec::new()) };
        let digest = Hash::parse(&digest)
            .ok_or_else(|| StoreError::Corrupt(format!("the digest in {key}")))?;
        let request = RequestKey { id: id.to_owned(), digest };
        Ok(vec![Item::Answer { stream, request, first, count, until }])
    }

    async fn batch(&self, key: &str, scope: Scope, id: BatchId) -> Result<Vec<Item>, StoreError> {
        let contents: Option<Vec<u8>> = self.ask("GET", key).await?;
        let (Some(contents), Some(until)) = (contents, self.until(key).await?) else {
            return Ok(Vec::new());
        };
        let contents = <[u8; 32]>::try_from(contents)
            .map_err(|_bytes| StoreError::Corrupt(format!("the digest in {key}")))?;
        Ok(vec![Item::Batch { scope, batch: Batch { id, contents: Hash(contents) }, until }])
    }

    async fn bucket(
        &self,
        key: &str,
        scope: &Scope,
        series: &str,
        start: Timestamp,
    ) -> Result<Vec<Item>, StoreError> {
        let counts: Vec<(String, u64)> = self.ask("HGETALL", key).await?;
        let Some(until) = self.until(key).await? else { return Ok(Vec::new()) };
        let item = |(field, count)| Item::Count {
            scope: scope.clone(),
            series: series.to_owned(),
            start,
            field,
            count,
            until,
        };
        Ok(counts.into_iter().map(item).collect())
    }

    async fn holds(
        &self,
        key: &str,
        pipeline: &str,
        workspace: &WorkspaceId,
        day: &str,
    ) -> Result<Vec<Item>, StoreError> {
        let uploads: Vec<String> = self.ask("SMEMBERS", key).await?;
        let Some(until) = self.until(key).await? else { return Ok(Vec::new()) };
        let item = |upload: String| {
            let upload = UploadId::new(&upload)
                .map_err(|_invalid| StoreError::Corrupt(format!("an upload in {key}")))?;
            let (pipeline, workspace) = (pipeline.to_owned(), workspace.clone());
            Ok(Item::Hold { pipeline, workspace, day: day.to_owned(), upload, until })
        };
        uploads.into_iter().map(item).collect()
    }

    /// Checks that a record that is in already is the one that is to come in.
    async fn check_known(
        &self,
        stream: &StreamName,
        version: u64,
        hash: Hash,
    ) -> Result<(), StoreError> {
        let known = self.read(stream, version - 1, 1).await?;
        if known.first().is_some_and(|known| known.hash == hash) {
            return Ok(());
        }
        Err(chain::diverged(stream, version))
    }
}

async fn send(items: &mpsc::Sender<Item>, found: Vec<Item>) -> Result<(), StoreError> {
    for item in found {
        let gone = |_unsent| StoreError::Unavailable("nobody takes the items".to_owned());
        items.send(item).await.map_err(gone)?;
    }
    Ok(())
}
