//! A mergeable sketch: counts per logarithmic bucket (DDSketch; Masson, Rim, Lee 2019).
//!
//! Buckets are `ceil(log_gamma(value))` with `gamma = (1 + a) / (1 - a)` and relative error
//! `a = 1 %`, so that any quantile is within 1 % of the exact one, and merging is adding counts.
//! Its own few lines rather than a crate: what a store adds up are counters of whole numbers by
//! name, and every crate keeps its counts to itself.

/// The largest relative error of a quantile, in parts per million.
pub const RELATIVE_ERROR_PPM: u64 = 10_000;

const RELATIVE_ERROR: f64 = 0.01;
const LATENCY_BUCKET_MAX: u16 = 1_024; // Covers 24 h in milliseconds with room to spare.
const GAUGE_BUCKET_MAX: u16 = 1_500; // Covers 10^12.

fn ln_gamma() -> f64 {
    ((1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR)).ln()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "clamped to the bucket range before the cast"
)]
fn bucket(value: u64, max: u16) -> u16 {
    let exact = ((value.max(1) as f64).ln() / ln_gamma()).ceil();
    exact.clamp(0.0, f64::from(max)) as u16
}

/// The bucket of a latency in milliseconds.
#[must_use]
pub fn latency_bucket(latency_ms: u64) -> u16 {
    bucket(latency_ms, LATENCY_BUCKET_MAX)
}

/// The bucket of a gauge's reading; the first is for zero alone.
pub(crate) fn gauge_bucket(amount: u64) -> u16 {
    if amount == 0 { 0 } else { 1 + bucket(amount, GAUGE_BUCKET_MAX) }
}

/// What a bucket stands for: within 1 % of everything in it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by the bucket"
)]
fn middle(bucket: u16) -> u64 {
    let upper = (f64::from(bucket) * ln_gamma()).exp();
    (upper * (1.0 - RELATIVE_ERROR)).round() as u64
}

/// What a bucket of a gauge stands for.
pub(crate) fn gauge_amount(bucket: u16) -> u64 {
    bucket.checked_sub(1).map_or(0, middle)
}

/// The quantile at `per_mille` (990 for p99) of the counted latencies; `None` where none is.
#[must_use]
pub fn quantile_ms(buckets: &[(u16, u64)], per_mille: u64) -> Option<u64> {
    let total: u64 = buckets.iter().map(|(_, count)| count).sum();
    let rank = u128::from(total) * u128::from(per_mille);
    value_at(buckets, u64::try_from(rank.div_ceil(1000)).ok()?.max(1))
}

/// The latency at a rank, counted from the smallest, which has rank 1.
pub(crate) fn value_at(buckets: &[(u16, u64)], rank: u64) -> Option<u64> {
    bucket_at(buckets, rank).map(middle)
}

/// The bucket at a rank.
pub(crate) fn bucket_at(buckets: &[(u16, u64)], rank: u64) -> Option<u16> {
    let mut sorted = buckets.to_vec();
    sorted.sort_unstable();
    let mut seen = 0;
    sorted.into_iter().find_map(|(bucket, count)| {
        seen += count;
        (seen >= rank).then_some(bucket)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn sketch(latencies: &[u64]) -> Vec<(u16, u64)> {
        latencies.iter().map(|ms| (latency_bucket(*ms), 1)).collect()
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_one_percent_of_the_exact_one(
            mut latencies in proptest::collection::vec(100_u64..86_400_000, 1..300)
        ) {
            let found = quantile_ms(&sketch(&latencies), 990).unwrap();
            latencies.sort_unstable();
            let rank = (latencies.len() * 990).div_ceil(1000);
            let exact = latencies[rank - 1];
            let error = found.abs_diff(exact);
            prop_assert!(error * 100 <= exact + 100, "{found} for {exact}");
        }

        #[test]
        fn a_reading_is_kept_to_one_percent(amount in 0_u64..=1_000_000_000_000) {
            let found = gauge_amount(gauge_bucket(amount));
            prop_assert!(found.abs_diff(amount) * 100 <= amount + 100, "{found} for {amount}");
        }
    }

    proptest! {
        #[test]
        fn what_replicas_counted_adds_up_to_what_one_would_have_counted(
            latencies in proptest::collection::vec((1_u64..86_400_000, 0..4_usize), 1..200),
            per_mille in 1..=1000_u64,
        ) {
            let all: Vec<u64> = latencies.iter().map(|(ms, _)| *ms).collect();
            let mut merged = BTreeMap::new();
            for replica in 0..4 {
                let own = latencies.iter().filter(|(_, counted_by)| *counted_by == replica);
                for (bucket, count) in sketch(&own.map(|(ms, _)| *ms).collect::<Vec<_>>()) {
                    *merged.entry(bucket).or_insert(0) += count;
                }
            }
            let merged: Vec<(u16, u64)> = merged.into_iter().collect();
            prop_assert_eq!(quantile_ms(&merged, per_mille), quantile_ms(&sketch(&all), per_mille));
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(quantile_ms(&[], 990), None);
    }
}
