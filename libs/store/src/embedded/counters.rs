//! Counters and gauges in the embedded file.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use vocab::Timestamp;

use crate::counters::{Added, Batch, Change, Counters, Reading, Scope, Window};
use crate::error::StoreError;

use super::EmbeddedStore;
use super::bucket;
use super::group::Group;
use super::ops::{AddToAll, BucketOf, Count, FieldBy, SetTo};
use super::tables::{BUCKETS, GAUGES, failed};

#[async_trait]
impl Counters for EmbeddedStore {
    async fn add(
        &self,
        scope: &Scope,
        batch: &Batch,
        remember: Duration,
        changes: Vec<Change>,
    ) -> Result<Added, StoreError> {
        let (mut count, contents) = (as_op(scope, batch, remember, changes), batch.contents);
        let work = move |group: &mut Group<'_>| {
            if let Some(known) = group.counted(&count.scope, &count.batch)? {
                let same = known.is_none_or(|known| known == contents);
                return Ok(if same { Added::Duplicate } else { Added::Reused });
            }
            count.begin(group.now());
            group.count(count)?;
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
        self.read_settled(move |transaction| {
            let buckets = transaction.open_table(BUCKETS).map_err(failed)?;
            let mut totals = BTreeMap::new();
            for start in starts.iter().map(|start| start.as_millis()) {
                let key = (scope.as_str(), series.as_str(), start);
                let Some(row) = buckets.get(key).map_err(failed)? else { continue };
                for field in bucket::fields(row.value()) {
                    let (field, count) = field?;
                    match totals.get_mut(field) {
                        None => drop(totals.insert(field.to_owned(), count)),
                        Some(total) => *total = u64::saturating_add(*total, count),
                    }
                }
            }
            Ok(totals)
        })
        .await
    }

    async fn gauges(&self, scope: &Scope) -> Result<BTreeMap<String, Reading>, StoreError> {
        let scope = scope.clone();
        self.read_settled(move |transaction| {
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

/// The operation, as if it were carried out at the beginning of time: see [`Count::begin`].
fn as_op(scope: &Scope, batch: &Batch, remember: Duration, changes: Vec<Change>) -> Count {
    let until_ms = |kept: Duration| Timestamp::EPOCH.plus(kept).as_millis();
    let mut op = Count {
        scope: scope.as_str().to_owned(),
        batch: batch.id.as_str().to_owned(),
        contents: batch.contents.0.to_vec(),
        until_ms: until_ms(remember),
        ..Count::default()
    };
    for change in changes {
        match change {
            Change::Add { buckets, fields } => {
                let buckets = buckets.into_iter().map(|bucket| BucketOf {
                    series: bucket.series,
                    start_ms: bucket.start.as_millis(),
                    until_ms: until_ms(bucket.keep),
                });
                let fields = fields.into_iter().map(|(field, by)| FieldBy { field, by });
                op.adds.push(AddToAll { buckets: buckets.collect(), fields: fields.collect() });
            }
            Change::Set { gauge, value, at } => {
                op.sets.push(SetTo { gauge, at_ms: at.as_millis(), value });
            }
        }
    }
    op
}
