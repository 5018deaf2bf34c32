//! Counts of outcomes, and the names of the counters that hold them.

use std::collections::BTreeMap;

use crate::latency::{latency_bucket, quantile_ms};

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Processed.
    Succeeded,
    /// Not processed, through a fault of the pipeline.
    Failed,
    /// Refused as invalid input.
    Invalid,
}

/// Which pipeline processed an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The new one.
    New,
    /// The old one: never evidence for a gate.
    Legacy,
}

/// A counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Outcomes on a path.
    Count(Path, Outcome),
    /// Latencies of the new path, by bucket.
    Latency(u16),
}

const COUNTS: [(Field, &str); 6] = [
    (Field::Count(Path::New, Outcome::Succeeded), "new.succeeded"),
    (Field::Count(Path::New, Outcome::Failed), "new.failed"),
    (Field::Count(Path::New, Outcome::Invalid), "new.invalid"),
    (Field::Count(Path::Legacy, Outcome::Succeeded), "legacy.succeeded"),
    (Field::Count(Path::Legacy, Outcome::Failed), "legacy.failed"),
    (Field::Count(Path::Legacy, Outcome::Invalid), "legacy.invalid"),
];

impl Field {
    /// The counters one outcome adds to. Invalid uploads have no latency that means anything.
    #[must_use]
    pub fn of(path: Path, outcome: Outcome, latency_ms: u64) -> Vec<Self> {
        let mut fields = vec![Self::Count(path, outcome)];
        if path == Path::New && outcome != Outcome::Invalid {
            fields.push(Self::Latency(latency_bucket(latency_ms)));
        }
        fields
    }

    /// The counter's name in a store.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Latency(bucket) => format!("latency.{bucket}"),
            Self::Count(..) => COUNTS
                .iter()
                .find(|(field, _)| *field == self)
                .map_or_else(String::new, |(_, name)| (*name).to_owned()),
        }
    }

    fn named(name: &str) -> Option<Self> {
        if let Some(bucket) = name.strip_prefix("latency.") {
            return bucket.parse().ok().map(Self::Latency);
        }
        COUNTS.iter().find(|(_, known)| *known == name).map(|(field, _)| *field)
    }
}

/// Outcomes of the new path over a stretch of time.
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
}

impl Tally {
    /// Reads counters. Unknown names are left alone: a newer version may have written them.
    #[must_use]
    pub fn from_counters(counters: &BTreeMap<String, u64>) -> Self {
        let mut tally = Self::default();
        for (name, count) in counters {
            match Field::named(name) {
                Some(Field::Count(Path::New, Outcome::Succeeded)) => tally.succeeded += count,
                Some(Field::Count(Path::New, Outcome::Failed)) => tally.failed += count,
                Some(Field::Count(Path::New, Outcome::Invalid)) => tally.invalid += count,
                Some(Field::Count(Path::Legacy, _)) => tally.legacy += count,
                Some(Field::Latency(bucket)) => tally.latencies.push((bucket, *count)),
                None => {}
            }
        }
        tally
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

    /// Uploads slower than `limit_ms`, to the sketch's error, and all that were timed.
    #[must_use]
    pub fn slower_than(&self, limit_ms: u64) -> (u64, u64) {
        let limit = latency_bucket(limit_ms);
        let total = self.latencies.iter().map(|(_, count)| count).sum();
        let slow =
            self.latencies.iter().filter(|(bucket, _)| *bucket >= limit).map(|(_, n)| n).sum();
        (slow, total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(outcomes: &[(Path, Outcome, u64)]) -> Tally {
        let mut counters = BTreeMap::new();
        for (path, outcome, latency_ms) in outcomes {
            for field in Field::of(*path, *outcome, *latency_ms) {
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
    }

    #[test]
    fn the_old_path_is_counted_apart() {
        let tally = count(&[(Path::Legacy, Outcome::Failed, 5), (Path::New, Outcome::Invalid, 5)]);
        assert_eq!((tally.judged(), tally.legacy, tally.invalid), (0, 1, 1));
        assert_eq!(tally.latency_p99_ms(), None);
    }
}
