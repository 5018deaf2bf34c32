//! Counters and gauges in the embedded file.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use redb::{ReadableTable as _, WriteTransaction};
use vocab::Timestamp;

use crate::counters::{Added, Batch, Change, Counters, Reading, Scope, Window};
use crate::error::StoreError;
use crate::record::Hash;

use super::EmbeddedStore;
use super::expiry::{self, Item};
use super::group::Group;
use super::tables::{BATCHES, COUNTS, GAUGES, failed};

#[async_trait]
impl Counters for EmbeddedStore {
    async fn add(
        &self,
        scope: &Scope,
        batch: &Batch,
        remember: Duration,
        changes: &[Change],
    ) -> Result<Added, StoreError> {
        let (scope, batch, changes) = (scope.clone(), batch.clone(), changes.to_vec());
        let work = move |group: &mut Group<'_>| {
            let (transaction, now) = (group.transaction(), group.now());
            if let Some(contents) = counted(transaction, &scope, &batch, now)? {
                let same = contents == batch.contents;
                return Ok(if same { Added::Duplicate } else { Added::Reused });
            }
            keep(transaction, &scope, &batch, now.plus(remember))?;
            apply(transaction, &scope, &changes, now)?;
            Ok(Added::Counted)
        };
        self.writer.write(work).await
    }

    async fn sum(
        &self,
        scope: &Scope,
        window: &Window,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let (starts, scope, series) = (window.starts()?, scope.clone(), window.series.clone());
        self.read(move |transaction| {
            let counts = transaction.open_table(COUNTS).map_err(failed)?;
            let (scope, series) = (scope.as_str(), series.as_str());
            let mut totals = BTreeMap::new();
            for start in starts.iter().map(|start| start.as_millis()) {
                let fields =
                    (scope, series, start, "")..(scope, series, start.saturating_add(1), "");
                for entry in counts.range(fields).map_err(failed)? {
                    let (key, count) = entry.map_err(failed)?;
                    let total: &mut u64 = totals.entry(key.value().3.to_owned()).or_default();
                    *total = total.saturating_add(count.value());
                }
            }
            Ok(totals)
        })
        .await
    }

    async fn gauges(&self, scope: &Scope) -> Result<BTreeMap<String, Reading>, StoreError> {
        let scope = scope.clone();
        self.read(move |transaction| {
            let gauges = transaction.open_table(GAUGES).map_err(failed)?;
            let next = format!("{}\0", scope.as_str()); // The first text after the scope.
            let names = (scope.as_str(), "")..(next.as_str(), "");
            let mut readings = BTreeMap::new();
            for entry in gauges.range(names).map_err(failed)? {
                let (key, reading) = entry.map_err(failed)?;
                let (at_ms, value) = reading.value();
                let reading = Reading { value, at: Timestamp::from_millis(at_ms) };
                readings.insert(key.value().1.to_owned(), reading);
            }
            Ok(readings)
        })
        .await
    }
}

/// The contents of the batch that was counted under this id, if one was.
fn counted(
    transaction: &WriteTransaction,
    scope: &Scope,
    batch: &Batch,
    now: Timestamp,
) -> Result<Option<Hash>, StoreError> {
    let (scope, id) = (scope.as_str(), batch.id.as_str());
    if !expiry::is_kept(transaction, Item::Batch { scope, id }, now)? {
        return Ok(None);
    }
    let batches = transaction.open_table(BATCHES).map_err(failed)?;
    let contents = batches.get((scope, id)).map_err(failed)?;
    Ok(Some(contents.map_or(batch.contents, |contents| Hash(*contents.value()))))
}

fn keep(
    transaction: &WriteTransaction,
    scope: &Scope,
    batch: &Batch,
    until: Timestamp,
) -> Result<(), StoreError> {
    let (scope, id) = (scope.as_str(), batch.id.as_str());
    let mut batches = transaction.open_table(BATCHES).map_err(failed)?;
    batches.insert((scope, id), &batch.contents.0).map_err(failed)?;
    expiry::keep(transaction, Item::Batch { scope, id }, until)
}

/// Applies changes: each table is opened once, each bucket kept once.
fn apply(
    transaction: &WriteTransaction,
    scope: &Scope,
    changes: &[Change],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut buckets = BTreeMap::new();
    {
        let mut counts = transaction.open_table(COUNTS).map_err(failed)?;
        let mut gauges = transaction.open_table(GAUGES).map_err(failed)?;
        for change in changes {
            match change {
                Change::Add { bucket, field, by } => {
                    let (series, start_ms) = (bucket.series.as_str(), bucket.start.as_millis());
                    let key = (scope.as_str(), series, start_ms, field.as_str());
                    let before = counts.get(key).map_err(failed)?.map_or(0, |it| it.value());
                    counts.insert(key, before.saturating_add(*by)).map_err(failed)?;
                    let keep: &mut Duration = buckets.entry((series, start_ms)).or_default();
                    *keep = bucket.keep.max(*keep);
                }
                Change::Set { gauge, value, at } => {
                    let key = (scope.as_str(), gauge.as_str());
                    let known = gauges.get(key).map_err(failed)?.map(|known| known.value());
                    let offered = (at.as_millis(), *value);
                    if known.is_none_or(|known| offered > known) {
                        gauges.insert(key, offered).map_err(failed)?;
                    }
                }
            }
        }
    }
    for ((series, start_ms), keep) in buckets {
        let item = Item::Bucket { scope: scope.as_str(), series, start_ms };
        expiry::keep(transaction, item, now.plus(keep))?;
    }
    Ok(())
}
