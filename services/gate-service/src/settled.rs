//! Hours that are over, added up once: what a window of days costs does not depend on how much
//! happened in it.
//!
//! Late reports still count. Each one that touches an hour kept here raises a counter of the
//! pipeline, in the same write; what was added up under another count is added up anew. An hour is
//! added up half an hour after its end, and a report is late a quarter after it: replicas' clocks
//! may differ by the quarter between.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use store::{Bucket, Change, Counters, Scope, StoreError, Window};
use vocab::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);
const OVER_AFTER: Duration = Duration::from_secs(30 * 60);
const LATE_AFTER: Duration = Duration::from_secs(15 * 60);
const SUMS_MAX: usize = 256; // Windows kept; when there are more, all are forgotten.
const LATE: &str = "late";
const KEPT: Duration = Duration::from_secs(400 * 24 * 3_600);

type Totals = Arc<BTreeMap<String, u64>>;

/// What was added up: by scope, series and hours, under a count of late reports.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<HashMap<Key, (u64, Totals)>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    scope: Scope,
    series: String,
    from: Timestamp,
    to: Timestamp,
}

fn this_hour(now: Timestamp) -> Timestamp {
    let hour_ms = 3_600_000;
    Timestamp::from_millis(now.as_millis().div_euclid(hour_ms) * hour_ms)
}

fn late_bucket() -> Bucket {
    Bucket { series: LATE.to_owned(), start: Timestamp::EPOCH, keep: KEPT }
}

/// The change that tells of a late report, where the oldest thing in it is from an hour that may
/// have been added up.
pub(crate) fn late(oldest: Timestamp, now: Timestamp) -> Option<Change> {
    let is_late = oldest < this_hour(now.minus(LATE_AFTER));
    is_late.then(|| Change::Add { bucket: late_bucket(), field: LATE.to_owned(), by: 1 })
}

impl Settled {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (u64, Totals)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many late reports there were. Ask first: what is read later may only be newer.
    pub(crate) async fn late_reports(
        &self,
        counters: &dyn Counters,
        scope: &Scope,
    ) -> Result<u64, StoreError> {
        let window = Window {
            series: LATE.to_owned(),
            from: Timestamp::EPOCH,
            to: Timestamp::from_millis(1),
            width: Duration::from_millis(1),
        };
        Ok(counters.sum(scope, &window).await?.remove(LATE).unwrap_or(0))
    }

    /// Sums a window: of hours, those that are long over come from memory.
    pub(crate) async fn sum(
        &self,
        counters: &dyn Counters,
        scope: &Scope,
        window: &Window,
        (late_reports, now): (u64, Timestamp),
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let over = this_hour(now.minus(OVER_AFTER)).min(window.to);
        if window.width != HOUR || over <= window.from {
            return counters.sum(scope, window).await;
        }
        let key = Key {
            scope: scope.clone(),
            series: window.series.clone(),
            from: window.from,
            to: over,
        };
        let known = self.lock().get(&key).filter(|(late, _)| *late == late_reports).cloned();
        let settled = match known {
            Some((_, totals)) => totals,
            None => {
                let hours = Window { to: over, ..window.clone() };
                let totals = Arc::new(counters.sum(scope, &hours).await?);
                let mut sums = self.lock();
                if sums.len() >= SUMS_MAX {
                    sums.clear();
                }
                sums.insert(key, (late_reports, Arc::clone(&totals)));
                totals
            }
        };
        let mut totals = counters.sum(scope, &Window { from: over, ..window.clone() }).await?;
        for (field, count) in settled.iter() {
            match totals.get_mut(field) {
                Some(total) => *total = total.saturating_add(*count),
                None => drop(totals.insert(field.clone(), *count)),
            }
        }
        Ok(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_added_up_is_late_on_every_replica() {
        let quarter = i64::try_from(LATE_AFTER.as_millis()).unwrap();
        for minute in 0..180 {
            let reader = Timestamp::from_millis(1_800_000_000_000 + minute * 60_000);
            let over = this_hour(reader.minus(OVER_AFTER));
            let last = over.minus(Duration::from_millis(1)); // In the last hour added up.
            for skew in [-quarter, 0, quarter] {
                let writer = Timestamp::from_millis(reader.as_millis() + skew);
                assert!(late(last, writer).is_some(), "{reader} {writer}");
            }
        }
    }
}
