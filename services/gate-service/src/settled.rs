//! Hours that are over, added up once: what a window of days costs does not depend on how much
//! happened in it.
//!
//! Late reports still count. Each one that touches an hour kept here raises a counter of the
//! pipeline, in the same write; what was added up under another count is added up anew. An hour is
//! added up ten minutes after its end, and a report is late five minutes after it: replicas' clocks
//! may differ by the five between, which is five times what a report's time may be ahead.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate_core::Tally;
use store::{Bucket, Change, Counters, Scope, StoreError, Window};
use vocab::Timestamp;

const HOUR: Duration = Duration::from_secs(3_600);
const OVER_AFTER: Duration = Duration::from_secs(10 * 60);
const LATE_AFTER: Duration = Duration::from_secs(5 * 60);
const SUMS_MAX: usize = 256; // Windows kept; when there are more, all are forgotten.
const LATE: &str = "late";
const KEPT: Duration = Duration::from_secs(400 * 24 * 3_600);

/// Counters of hours that are over, and the same as a tally.
#[derive(Debug)]
struct Totals {
    counters: BTreeMap<String, u64>,
    tally: Tally,
}

/// What was added up: by scope, series and hours, under a count of late reports.
#[derive(Debug, Default)]
pub(crate) struct Settled(Mutex<HashMap<Key, (u64, Arc<Totals>)>>);

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
    is_late.then(|| Change::add(late_bucket(), LATE, 1))
}

impl Settled {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (u64, Arc<Totals>)>> {
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
        at: (u64, Timestamp),
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let (settled, rest) = self.parts(counters, scope, window, at).await?;
        let mut totals = counters.sum(scope, &rest).await?;
        for (field, count) in settled.iter().flat_map(|settled| &settled.counters) {
            match totals.get_mut(field) {
                Some(total) => *total = total.saturating_add(*count),
                None => drop(totals.insert(field.clone(), *count)),
            }
        }
        Ok(totals)
    }

    /// Sums a window as a tally.
    pub(crate) async fn tally(
        &self,
        counters: &dyn Counters,
        scope: &Scope,
        window: &Window,
        at: (u64, Timestamp),
    ) -> Result<Tally, StoreError> {
        let (settled, rest) = self.parts(counters, scope, window, at).await?;
        let mut tally = Tally::from_counters(&counters.sum(scope, &rest).await?);
        if let Some(settled) = settled {
            tally.absorb(&settled.tally);
        }
        Ok(tally)
    }

    /// What of a window is over, added up, and the rest of it.
    async fn parts(
        &self,
        counters: &dyn Counters,
        scope: &Scope,
        window: &Window,
        (late_reports, now): (u64, Timestamp),
    ) -> Result<(Option<Arc<Totals>>, Window), StoreError> {
        let over = this_hour(now.minus(OVER_AFTER)).min(window.to);
        if window.width != HOUR || over <= window.from {
            return Ok((None, window.clone()));
        }
        let rest = Window { from: over, ..window.clone() };
        let key = Key {
            scope: scope.clone(),
            series: window.series.clone(),
            from: window.from,
            to: over,
        };
        let known = self.lock().get(&key).filter(|(late, _)| *late == late_reports).cloned();
        if let Some((_, totals)) = known {
            return Ok((Some(totals), rest));
        }
        let summed = counters.sum(scope, &Window { to: over, ..window.clone() }).await?;
        let tally = Tally::from_counters(&summed);
        let totals = Arc::new(Totals { counters: summed, tally });
        let mut sums = self.lock();
        if sums.len() >= SUMS_MAX {
            sums.clear();
        }
        sums.insert(key, (late_reports, Arc::clone(&totals)));
        Ok((Some(totals), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_added_up_is_late_on_every_replica() {
        let most = i64::try_from((OVER_AFTER - LATE_AFTER).as_millis()).unwrap();
        for minute in 0..180 {
            let reader = Timestamp::from_millis(1_800_000_000_000 + minute * 60_000);
            let over = this_hour(reader.minus(OVER_AFTER));
            let last = over.minus(Duration::from_millis(1)); // In the last hour added up.
            for skew in [-most, 0, most] {
                let writer = Timestamp::from_millis(reader.as_millis() + skew);
                assert!(late(last, writer).is_some(), "{reader} {writer}");
            }
        }
    }
}
