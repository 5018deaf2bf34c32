//! How sure a rate is: exact intervals, and evidence that stays valid under continuous peeking.
//!
//! - Clopper and Pearson (1934), and Wilson (1927), for a single look.
//! - For a gate that is looked at all day, the mixture e-value with a uniform prior truncated at the
//!   threshold, a supermartingale under the null, so that by Ville's inequality (1939) it ever
//!   exceeds `1/alpha` with probability at most `alpha`; and Robbins' beta-binomial confidence
//!   sequence (Howard, Ramdas, McAuliffe, Sekhon 2021), which covers the rate at every look.
//! - For a percentile, the order statistic whose rank bounds it (David and Nagaraja 2003, §7.1).
//! - For counts of rare things, the control limits of a Poisson distribution.
//!
//! `docs/gating.md` has the formulas; the tests have the reference values.

use statrs::function::erf::erfc_inv;
use statrs::function::gamma::gamma_ur;

use crate::incomplete_beta::{ln_beta, ln_tails, quantile};

/// With so many of each kind the Wilson interval is the exact one to a hundred-millionth, and
/// costs the same for any number.
const MANY: u64 = 100_000;
const MEAN_EXACT_MAX: f64 = 1e6; // Beyond, a Poisson distribution is as good as normal.

/// An interval around a rate, both ends in `0.0..=1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// How many standard deviations leave `tail` above them.
fn deviations(tail: f64) -> f64 {
    std::f64::consts::SQRT_2 * erfc_inv(2.0 * tail)
}

/// The exact two-sided interval at confidence `1 - alpha` for `failures` in `trials`.
/// The whole range where nothing was tried.
#[must_use]
pub fn clopper_pearson(failures: u64, trials: u64, alpha: f64) -> Interval {
    Interval {
        low: lower_bound(failures, trials, alpha / 2.0),
        high: upper_bound(failures, trials, alpha / 2.0),
    }
}

/// The exact lower bound at confidence `1 - alpha`, one-sided.
#[must_use]
pub fn lower_bound(failures: u64, trials: u64, alpha: f64) -> f64 {
    let failures = failures.min(trials);
    if failures == 0 {
        return 0.0;
    }
    if failures.min(trials - failures) >= MANY {
        return wilson(failures, trials, 2.0 * alpha).low;
    }
    quantile(real(failures), real(trials - failures + 1), alpha)
}

/// The exact upper bound at confidence `1 - alpha`, one-sided.
#[must_use]
pub fn upper_bound(failures: u64, trials: u64, alpha: f64) -> f64 {
    let failures = failures.min(trials);
    if failures == trials {
        return 1.0;
    }
    if failures.min(trials - failures) >= MANY {
        return wilson(failures, trials, 2.0 * alpha).high;
    }
    quantile(real(failures + 1), real(trials - failures), 1.0 - alpha)
}

/// Wilson's two-sided interval at confidence `1 - alpha`: approximate, and the same cost for any
/// number. The whole range where nothing was tried.
#[must_use]
pub fn wilson(failures: u64, trials: u64, alpha: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, rate) = (real(trials), real(failures.min(trials)) / real(trials));
    let z2 = deviations(alpha / 2.0).powi(2);
    let centre = (rate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = (z2 * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

/// Evidence against "the rate is at least `threshold`", as the logarithm of an e-value.
#[must_use]
pub fn ln_e_pass(failures: u64, trials: u64, threshold: f64) -> f64 {
    let (a, b) = posterior(failures, trials);
    mixture(ln_tails(a, b, threshold).0 - threshold.ln(), failures, trials, threshold)
}

/// Evidence against "the rate is at most `threshold`", as the logarithm of an e-value.
#[must_use]
pub fn ln_e_fail(failures: u64, trials: u64, threshold: f64) -> f64 {
    let (a, b) = posterior(failures, trials);
    mixture(ln_tails(a, b, threshold).1 - (-threshold).ln_1p(), failures, trials, threshold)
}

fn posterior(failures: u64, trials: u64) -> (f64, f64) {
    (1.0 + real(failures), 1.0 + real(trials.saturating_sub(failures)))
}

fn mixture(ln_mass: f64, failures: u64, trials: u64, threshold: f64) -> f64 {
    ln_mass + ln_ratio(failures, trials, threshold)
}

/// `ln B(1 + k, 1 + n - k) - k ln p - (n - k) ln(1 - p)`.
fn ln_ratio(failures: u64, trials: u64, rate: f64) -> f64 {
    let (a, b) = posterior(failures, trials);
    let times = |count: f64, ln: f64| if count == 0.0 { 0.0 } else { count * ln };
    ln_beta(a, b) - times(a - 1.0, rate.ln()) - times(b - 1.0, (-rate).ln_1p())
}

/// The interval that covers the rate at every look with probability `1 - alpha`, however often
/// somebody looks.
#[must_use]
pub fn confidence_sequence(failures: u64, trials: u64, alpha: f64) -> Interval {
    if trials == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (needed, rate) = ((1.0 / alpha).ln(), real(failures) / real(trials));
    let inside = |p: f64| ln_ratio(failures, trials, p) < needed;
    let edge = |mut out: f64, mut within: f64| {
        for _halving in 0..100 {
            let middle = f64::midpoint(out, within);
            if inside(middle) { within = middle } else { out = middle }
        }
        within
    };
    Interval {
        low: if failures == 0 { 0.0 } else { edge(0.0, rate) },
        high: if failures >= trials { 1.0 } else { edge(1.0, rate) },
    }
}

/// About how many more trials without a failure would make `ln_e_pass` reach `1/alpha`; `None`
/// beyond ten million.
#[must_use]
pub fn certified_after(failures: u64, trials: u64, threshold: f64, alpha: f64) -> Option<u64> {
    const MORE_MAX: u64 = 10_000_000;
    let needed = (1.0 / alpha).ln();
    let certain = |more: u64| ln_e_pass(failures, trials + more, threshold) >= needed;
    if certain(0) {
        return Some(0);
    }
    let mut enough = 1;
    while !certain(enough) {
        enough *= 2;
        if enough > MORE_MAX {
            return None;
        }
    }
    let mut too_few = enough / 2;
    while enough - too_few > 1 {
        let middle = u64::midpoint(too_few, enough);
        if certain(middle) { enough = middle } else { too_few = middle }
    }
    Some(enough)
}

/// The rank of the order statistic that is an upper bound of the 99th percentile of `samples`
/// values at confidence `1 - alpha`; `None` where none is: below 299 samples at 95 %.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and at most the number of samples"
)]
pub fn p99_upper_rank(samples: u64, alpha: f64) -> Option<u64> {
    const SHARE: f64 = 0.99;
    let n = real(samples);
    if samples > 1_000_000 {
        let above = deviations(alpha) * (n * SHARE * (1.0 - SHARE)).sqrt();
        return Some(((n * SHARE + above).ceil() as u64 + 1).min(samples));
    }
    // P(at most r - 1 of n values lie below the percentile), for Binomial(n, 0.99).
    let covered = |rank: u64| {
        let (a, b) = (real(samples - rank + 1), real(rank));
        ln_tails(a, b, 1.0 - SHARE).0.exp() >= 1.0 - alpha
    };
    if samples == 0 || !covered(samples) {
        return None;
    }
    let (mut enough, mut too_low) = (samples, samples - samples.div_ceil(50).min(samples));
    while enough - too_low > 1 {
        let middle = u64::midpoint(too_low, enough);
        if covered(middle) { enough = middle } else { too_low = middle }
    }
    Some(enough)
}

/// The limits between which a Poisson count of this mean stays with probability `1 - alpha`, half
/// of the rest on either side: what is normal.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and bounded by the plan"
)]
pub fn poisson_limits(mean: f64, alpha: f64) -> (u64, u64) {
    let spread = deviations(alpha / 2.0) * mean.sqrt();
    if mean > MEAN_EXACT_MAX {
        return ((mean - spread).max(0.0) as u64, (mean + spread).ceil() as u64);
    }
    if mean <= 0.0 {
        return (0, 0);
    }
    let at_most = |count: u64| gamma_ur(real(count) + 1.0, mean);
    let first = |share: f64| {
        let (mut below, mut at) = (0, (mean + 10.0 * mean.sqrt() + 50.0) as u64);
        if at_most(0) >= share {
            return 0;
        }
        while at - below > 1 {
            let middle = u64::midpoint(below, at);
            if at_most(middle) >= share { at = middle } else { below = middle }
        }
        at
    };
    (first(alpha / 2.0), first(1.0 - alpha / 2.0))
}

#[cfg(test)]
mod tests;
