//! Counts over a stretch of time, and the names of the counters that hold them.

use std::collections::BTreeMap;

use plan::Metric;

use crate::latency::{
    bucket_at, gauge_amount, gauge_bucket, latency_bucket, quantile_ms, value_at,
};
use crate::statistics::p99_upper_rank;

mod field;

pub use field::{Field, Happening, Outcome, Path};

/// What happened over a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Uploads that succeeded.
    pub succeeded: u64,
    /// Uploads that failed.
    pub failed: u64,
    /// Uploads refused as invalid.
    pub invalid: u64,
    /// Uploads of the old path, however they ended.
    pub legacy: u64,
    /// Latencies by bucket.
    pub latencies: Vec<(u16, u64)>,
    /// Uploads that took at least so many milliseconds, exactly, for limits known when they were
    /// counted.
    pub slow: BTreeMap<u64, u64>,
    /// Probes answered well.
    pub probes_good: u64,
    /// Probes that failed.
    pub probes_bad: u64,
    /// How often something happened, and how often somebody looked.
    pub happened: BTreeMap<Happening, (u64, u64)>,
    /// Readings of gauges, by bucket.
    pub readings: BTreeMap<Metric, Vec<(u16, u64)>>,
}

impl Tally {
    /// Reads counters. Unknown names are left alone: a newer version may have written them.
    #[must_use]
    pub fn from_counters(counters: &BTreeMap<String, u64>) -> Self {
        let mut tally = Self::default();
        for (name, count) in counters {
            if let Some(field) = Field::named(name) {
                tally.add(field, *count);
            }
        }
        tally
    }

    /// Adds to one counter.
    pub fn add(&mut self, field: Field, count: u64) {
        let more = |total: &mut u64| *total = total.saturating_add(count);
        match field {
            Field::Count(Path::New, Outcome::Succeeded) => more(&mut self.succeeded),
            Field::Count(Path::New, Outcome::Failed) => more(&mut self.failed),
            Field::Count(Path::New, Outcome::Invalid) => more(&mut self.invalid),
            Field::Count(Path::Legacy, _) => more(&mut self.legacy),
            Field::Latency(bucket) => into_bucket(&mut self.latencies, bucket, count),
            Field::Slow(limit_ms) => more(self.slow.entry(limit_ms).or_default()),
            Field::Probe { good: true } => more(&mut self.probes_good),
            Field::Probe { good: false } => more(&mut self.probes_bad),
            Field::Happened(what) => more(&mut self.happened.entry(what).or_default().0),
            Field::Looked(what) => more(&mut self.happened.entry(what).or_default().1),
            Field::Reading(metric, bucket) => {
                into_bucket(self.readings.entry(metric).or_default(), bucket, count);
            }
        }
    }

    /// Adds another tally.
    pub fn absorb(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.invalid += other.invalid;
        self.legacy += other.legacy;
        self.probes_good += other.probes_good;
        self.probes_bad += other.probes_bad;
        merge(&mut self.latencies, &other.latencies);
        for (limit_ms, count) in &other.slow {
            *self.slow.entry(*limit_ms).or_default() += count;
        }
        for (what, (happened, looked)) in &other.happened {
            let total = self.happened.entry(*what).or_default();
            *total = (total.0 + happened, total.1 + looked);
        }
        for (metric, readings) in &other.readings {
            let own = self.readings.entry(*metric).or_default();
            merge(own, readings);
        }
    }

    /// Uploads with a final outcome.
    #[must_use]
    pub const fn processed(&self) -> u64 {
        self.succeeded + self.failed + self.invalid
    }

    /// Uploads that say something about the pipeline: invalid input does not (D7 §2.1).
    #[must_use]
    pub const fn judged(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// The 99th percentile of latency, in milliseconds.
    #[must_use]
    pub fn latency_p99_ms(&self) -> Option<u64> {
        quantile_ms(&self.latencies, 990)
    }

    /// What the 99th percentile is at most, at confidence `1 - alpha`; `None` where there are too
    /// few uploads to say.
    #[must_use]
    pub fn latency_p99_at_most_ms(&self, alpha: f64) -> Option<u64> {
        let timed = self.latencies.iter().map(|(_, count)| count).sum();
        value_at(&self.latencies, p99_upper_rank(timed, alpha)?)
    }

    /// Uploads that took at least `limit_ms`, and all that were timed. Exact where the limit was
    /// known when they were counted; otherwise those that certainly did, to the sketch's error.
    #[must_use]
    pub fn slower_than(&self, limit_ms: u64) -> (u64, u64) {
        let limit = latency_bucket(limit_ms);
        let total = self.latencies.iter().map(|(_, count)| count).sum();
        let beyond = self.latencies.iter().filter(|(bucket, _)| *bucket > limit);
        let certainly: u64 = beyond.map(|(_, count)| count).sum();
        (self.slow.get(&limit_ms).copied().unwrap_or(0).max(certainly), total)
    }

    /// The largest reading of a gauge, to 1 %.
    #[must_use]
    pub fn reading_max(&self, metric: Metric) -> Option<u64> {
        self.readings.get(&metric)?.iter().map(|(bucket, _)| *bucket).max().map(gauge_amount)
    }

    /// The median reading of a gauge, to 1 %, and how many there were.
    #[must_use]
    pub fn reading_median(&self, metric: Metric) -> Option<(u64, u64)> {
        let readings = self.readings.get(&metric)?;
        let count: u64 = readings.iter().map(|(_, count)| count).sum();
        Some((gauge_amount(bucket_at(readings, count.div_ceil(2).max(1))?), count))
    }
}

/// Adds sorted buckets to sorted buckets.
fn merge(own: &mut Vec<(u16, u64)>, other: &[(u16, u64)]) {
    let (known, mut place) = (own.len(), 0);
    for (bucket, count) in other {
        while place < known && own[place].0 < *bucket {
            place += 1;
        }
        if place < known && own[place].0 == *bucket {
            own[place].1 = own[place].1.saturating_add(*count);
        } else {
            own.push((*bucket, *count));
        }
    }
    if own.len() > known {
        own.sort_by_key(|(bucket, _)| *bucket); // Two runs: as cheap as merging them.
    }
}

fn into_bucket(buckets: &mut Vec<(u16, u64)>, bucket: u16, count: u64) {
    match buckets.binary_search_by_key(&bucket, |(known, _)| *known) {
        Ok(place) => buckets[place].1 = buckets[place].1.saturating_add(count),
        Err(place) => buckets.insert(place, (bucket, count)),
    }
}

/// Uploads by when they were admitted: ripe ones have had the time to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ripe {
    /// Begun, as far as it was reported.
    pub begun: u64,
    /// Succeeded.
    pub succeeded: u64,
    /// Failed.
    pub failed: u64,
    /// Refused as invalid.
    pub invalid: u64,
}

impl Ripe {
    /// Failed, counting those begun that have not ended.
    #[must_use]
    pub const fn failed_or_lost(&self) -> u64 {
        self.failed + self.lost()
    }

    /// Begun, and never ended.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.begun.saturating_sub(self.succeeded + self.failed + self.invalid)
    }

    /// Succeeded, failed or lost.
    #[must_use]
    pub const fn judged(&self) -> u64 {
        self.succeeded + self.failed_or_lost()
    }

    /// Adds counters of a series by admission; unknown names are left alone.
    pub fn add_counters(&mut self, counters: &BTreeMap<String, u64>) {
        for (name, count) in counters {
            let total = match name.as_str() {
                "begun" => &mut self.begun,
                "succeeded" => &mut self.succeeded,
                "failed" => &mut self.failed,
                "invalid" => &mut self.invalid,
                _ => continue,
            };
            *total = total.saturating_add(*count);
        }
    }

    /// Adds others.
    pub const fn absorb(&mut self, other: &Self) {
        self.begun += other.begun;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.invalid += other.invalid;
    }

    /// Without those in `younger`.
    #[must_use]
    pub const fn without(&self, younger: &Self) -> Self {
        Self {
            begun: self.begun.saturating_sub(younger.begun),
            succeeded: self.succeeded.saturating_sub(younger.succeeded),
            failed: self.failed.saturating_sub(younger.failed),
            invalid: self.invalid.saturating_sub(younger.invalid),
        }
    }
}

/// The field of a gauge's reading.
#[must_use]
pub fn reading(metric: Metric, amount: u64) -> Field {
    Field::Reading(metric, gauge_bucket(amount))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(outcomes: &[(Path, Outcome, u64)]) -> Tally {
        let mut counters = BTreeMap::new();
        for (path, outcome, latency_ms) in outcomes {
            for field in Field::of(*path, *outcome, *latency_ms, &[300_000]) {
                *counters.entry(field.name()).or_default() += 1;
            }
        }
        Tally::from_counters(&counters)
    }

    fn outcome() -> impl Strategy<Value = (Path, Outcome, u64)> {
        let path = prop_oneof![Just(Path::New), Just(Path::Legacy)];
        let outcome =
            prop_oneof![Just(Outcome::Succeeded), Just(Outcome::Failed), Just(Outcome::Invalid)];
        (path, outcome, 1_u64..1_000_000)
    }

    proptest! {
        #[test]
        fn totals_do_not_depend_on_order(
            outcomes in proptest::collection::vec(outcome(), 0..50)
        ) {
            let mut reversed = outcomes.clone();
            reversed.reverse();
            prop_assert_eq!(count(&outcomes), count(&reversed));
            let tally = count(&outcomes);
            prop_assert_eq!(tally.processed() + tally.legacy, outcomes.len() as u64);
        }

        #[test]
        fn a_limit_known_in_time_is_counted_exactly(
            latencies in proptest::collection::vec(295_000_u64..305_000, 0..50)
        ) {
            let outcomes: Vec<_> =
                latencies.iter().map(|ms| (Path::New, Outcome::Succeeded, *ms)).collect();
            let slow = latencies.iter().filter(|ms| **ms >= 300_000).count() as u64;
            prop_assert_eq!(count(&outcomes).slower_than(300_000), (slow, latencies.len() as u64));
        }
    }

    #[test]
    fn the_old_path_is_counted_apart() {
        let tally = count(&[(Path::Legacy, Outcome::Failed, 5), (Path::New, Outcome::Invalid, 5)]);
        assert_eq!((tally.judged(), tally.legacy, tally.invalid), (0, 1, 1));
        assert_eq!(tally.latency_p99_ms(), None);
    }

    #[test]
    fn what_never_ended_is_lost() {
        let ripe = Ripe { begun: 10, succeeded: 6, failed: 1, invalid: 1 };
        assert_eq!((ripe.lost(), ripe.failed_or_lost(), ripe.judged()), (2, 3, 9));
        let unreported = Ripe { begun: 0, ..ripe };
        assert_eq!((unreported.lost(), unreported.judged()), (0, 7));
    }

    #[test]
    fn readings_have_a_largest_and_a_median() {
        let mut tally = Tally::default();
        for amount in [0, 10, 90_000] {
            tally.add(reading(Metric::StagingBacklog, amount), 1);
        }
        let largest = tally.reading_max(Metric::StagingBacklog).unwrap();
        assert!(largest.abs_diff(90_000) < 900, "{largest}");
        assert_eq!(tally.reading_median(Metric::StagingBacklog), Some((10, 3)));
        assert_eq!(tally.reading_max(Metric::DbCpu), None);
    }
}
