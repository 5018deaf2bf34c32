//! A mergeable latency sketch: counts per logarithmic bucket (DDSketch; Masson, Rim, Lee 2019).
//!
//! Buckets are `ceil(log_gamma(ms))` with `gamma = (1 + a) / (1 - a)` and relative error `a = 1%`,
//! so that any quantile is within 1 % of the exact one, and merging is adding counts.

const RELATIVE_ERROR: f64 = 0.01;
const BUCKET_MAX: u16 = 1_024; // Covers 24 h in milliseconds with room to spare.

fn ln_gamma() -> f64 {
    ((1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR)).ln()
}

/// The bucket of a latency in milliseconds.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "clamped to the bucket range before the cast"
)]
pub fn latency_bucket(latency_ms: u64) -> u16 {
    let exact = ((latency_ms.max(1) as f64).ln() / ln_gamma()).ceil();
    exact.clamp(0.0, f64::from(BUCKET_MAX)) as u16
}

/// The latency a bucket stands for: within 1 % of everything in it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounded by BUCKET_MAX"
)]
fn middle_ms(bucket: u16) -> u64 {
    let upper = (f64::from(bucket) * ln_gamma()).exp();
    (upper * (1.0 - RELATIVE_ERROR)).round() as u64
}

/// The quantile at `per_mille` (990 for p99) of the counted latencies; `None` where none is.
#[must_use]
pub fn quantile_ms(buckets: &[(u16, u64)], per_mille: u64) -> Option<u64> {
    let mut sorted = buckets.to_vec();
    sorted.sort_unstable();
    let total: u64 = sorted.iter().map(|(_, count)| count).sum();
    let rank = total.checked_mul(per_mille)?.div_ceil(1000).max(1);
    let mut seen = 0;
    for (bucket, count) in sorted {
        seen += count;
        if total > 0 && seen >= rank {
            return Some(middle_ms(bucket));
        }
    }
    None
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
