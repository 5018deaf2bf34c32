//! Counters and gauges on Redis: a hash for each bucket, a hash for a scope's gauges.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use redis::Pipeline;
use vocab::Timestamp;

use crate::counters::{Added, Batch, BatchId, Bucket, Change, Counters, Reading, Scope, Window};
use crate::error::StoreError;

use super::{RedisStore, ttl_ms};

const BY_MAX: u64 = 1 << 53; // Up to here numbers are exact in a script.

/// The changes of a batch to one bucket.
#[derive(Debug, Default)]
struct BucketChanges<'a> {
    keep: Duration,
    fields: BTreeMap<&'a str, u64>,
}

/// The changes of a batch: increases by bucket key, and gauges.
#[derive(Debug, Default)]
struct Changes<'a> {
    buckets: BTreeMap<String, BucketChanges<'a>>,
    gauges: BTreeMap<&'a str, (Timestamp, i64)>,
}

#[async_trait]
impl Counters for RedisStore {
    async fn add(
        &self,
        scope: &Scope,
        batch: &Batch,
        remember: Duration,
        changes: Vec<Change>,
    ) -> Result<Added, StoreError> {
        let changes = Changes::of(scope, &changes)?;
        let mut keys = vec![batch_key(scope, &batch.id), gauges_key(scope)];
        keys.extend(changes.buckets.keys().cloned());
        let mut script = self.scripts.add.call(&keys);
        script.arg(ttl_ms(remember)).arg(&batch.contents.0);
        for bucket in changes.buckets.values() {
            script.arg(ttl_ms(bucket.keep)).arg(bucket.fields.len());
            for (field, by) in &bucket.fields {
                script.arg(*field).arg(*by);
            }
        }
        for (gauge, (at, value)) in &changes.gauges {
            script.arg(*gauge).arg(*value).arg(at.as_millis());
        }
        let answer: String = self.connection.run(&script).await?;
        match answer.as_str() {
            "counted" => Ok(Added::Counted),
            "duplicate" => Ok(Added::Duplicate),
            "reused" => Ok(Added::Reused),
            other => Err(StoreError::Corrupt(format!("a batch was answered with `{other}`"))),
        }
    }

    async fn sum(
        &self,
        scope: &Scope,
        window: &Window,
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let starts = window.starts()?;
        if starts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut pipeline = Pipeline::with_capacity(starts.len());
        for start in starts {
            pipeline.cmd("HGETALL").arg(bucket_key(scope, &window.series, start));
        }
        let buckets: Vec<BTreeMap<String, u64>> = self.connection.pipeline(&pipeline).await?;
        let mut totals = BTreeMap::new();
        for (field, count) in buckets.into_iter().flatten() {
            let total: &mut u64 = totals.entry(field).or_default();
            *total = total.saturating_add(count);
        }
        Ok(totals)
    }

    async fn gauges(&self, scope: &Scope) -> Result<BTreeMap<String, Reading>, StoreError> {
        let asking = redis::cmd("HGETALL").arg(gauges_key(scope)).to_owned();
        let stored: BTreeMap<String, String> = self.connection.query(&asking).await?;
        let read = |(gauge, text): (String, String)| match reading(&text) {
            Some(reading) => Ok((gauge, reading)),
            None => Err(StoreError::Corrupt(format!("gauge {gauge} is `{text}`"))),
        };
        stored.into_iter().map(read).collect()
    }
}

impl<'a> Changes<'a> {
    /// Folds changes of the same field or gauge into one, as the script expects them.
    fn of(scope: &Scope, changes: &'a [Change]) -> Result<Self, StoreError> {
        let mut folded = Self::default();
        for change in changes {
            match change {
                Change::Add { buckets, fields } => {
                    for bucket in buckets {
                        folded.add(scope, bucket, fields)?;
                    }
                }
                Change::Set { gauge, value, at } => {
                    let newest = folded.gauges.entry(gauge).or_insert((*at, *value));
                    *newest = (*newest).max((*at, *value));
                }
            }
        }
        Ok(folded)
    }

    fn add(
        &mut self,
        scope: &Scope,
        bucket: &Bucket,
        fields: &'a [(String, u64)],
    ) -> Result<(), StoreError> {
        let key = bucket_key(scope, &bucket.series, bucket.start);
        let entry = self.buckets.entry(key).or_default();
        entry.keep = entry.keep.max(bucket.keep);
        for (field, by) in fields {
            let total = entry.fields.entry(field).or_default();
            *total = total.saturating_add(*by);
            if *total > BY_MAX {
                return Err(StoreError::Settings(format!(
                    "an increase of {field} by {total}: expected at most {BY_MAX}"
                )));
            }
        }
        Ok(())
    }
}

pub(super) fn bucket_key(scope: &Scope, series: &str, start: Timestamp) -> String {
    format!("{{softlaunch:{}}}:bucket:{series}:{}", scope.as_str(), start.as_millis())
}

pub(super) fn gauges_key(scope: &Scope) -> String {
    format!("{{softlaunch:{}}}:gauges", scope.as_str())
}

pub(super) fn batch_key(scope: &Scope, id: &BatchId) -> String {
    format!("{{softlaunch:{}}}:batch:{}", scope.as_str(), id.as_str())
}

fn reading(text: &str) -> Option<Reading> {
    let (at_ms, value) = text.split_once(' ')?;
    let at = Timestamp::from_millis(at_ms.parse().ok()?);
    Some(Reading { value: value.parse().ok()?, at })
}
