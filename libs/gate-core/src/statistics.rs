//! How sure a rate is: exact intervals, and evidence that stays valid under continuous peeking.
//!
//! Clopper and Pearson (1934) for a single look. For a gate that is looked at all day, the mixture
//! e-value with a uniform prior truncated at the threshold, a supermartingale under the null, so
//! that by Ville's inequality it ever exceeds `1/alpha` with probability at most `alpha`.

use statrs::distribution::{Beta, ContinuousCDF};
use statrs::function::beta::{beta_reg, ln_beta};

/// An interval around a rate, both ends in `0.0..=1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

/// The exact two-sided interval at confidence `1 - alpha` for `failures` in `trials`.
/// The whole range where nothing was tried.
#[must_use]
pub fn clopper_pearson(failures: u64, trials: u64, alpha: f64) -> Interval {
    let successes = trials.saturating_sub(failures);
    let quantile = |a: f64, b: f64, p: f64| Beta::new(a, b).ok().map(|beta| beta.inverse_cdf(p));
    let low = if failures == 0 {
        Some(0.0)
    } else {
        quantile(real(failures), real(successes + 1), alpha / 2.0)
    };
    let high = if successes == 0 {
        Some(1.0)
    } else {
        quantile(real(failures + 1), real(successes), 1.0 - alpha / 2.0)
    };
    Interval { low: low.unwrap_or(0.0), high: high.unwrap_or(1.0) }
}

/// Evidence against "the rate is at least `threshold`", as the logarithm of an e-value.
#[must_use]
pub fn ln_e_pass(failures: u64, trials: u64, threshold: f64) -> f64 {
    let (a, b) = posterior(failures, trials);
    mixture(beta_reg(a, b, threshold).ln() - threshold.ln(), failures, trials, threshold)
}

/// Evidence against "the rate is at most `threshold`", as the logarithm of an e-value.
#[must_use]
pub fn ln_e_fail(failures: u64, trials: u64, threshold: f64) -> f64 {
    let (a, b) = posterior(failures, trials);
    let upper = beta_reg(b, a, 1.0 - threshold); // The upper tail, without cancellation.
    mixture(upper.ln() - (1.0 - threshold).ln(), failures, trials, threshold)
}

fn posterior(failures: u64, trials: u64) -> (f64, f64) {
    (1.0 + real(failures), 1.0 + real(trials.saturating_sub(failures)))
}

fn mixture(ln_mass: f64, failures: u64, trials: u64, threshold: f64) -> f64 {
    let (a, b) = posterior(failures, trials);
    let successes = real(trials.saturating_sub(failures));
    ln_mass + ln_beta(a, b) - real(failures) * threshold.ln() - successes * (1.0 - threshold).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// k, n, Clopper-Pearson low and high, threshold, ln E_pass, ln E_fail; from scipy 1.17.1.
    const REFERENCE: [(u64, u64, f64, f64, f64, f64, f64); 6] = [
        (0, 50, 0.0, 0.071121736, 0.03, 0.860040071, -3.931825633),
        (3, 100, 0.006229972, 0.085176053, 0.05, 0.060930857, -3.977539654),
        (4, 500, 0.002183908, 0.020355633, 0.02, 1.667552423, -5.780408642),
        (9, 500, 0.008262954, 0.033893696, 0.02, -0.839476651, -4.915246835),
        (29, 2000, 0.009731812, 0.020758479, 0.015, -1.429018640, -5.717422310),
        (15, 50, 0.178617846, 0.446082326, 0.2, -2.115721269, -0.236889931),
    ];

    #[test]
    fn intervals_and_e_values_agree_with_published_ones() {
        for (k, n, low, high, threshold, pass, fail) in REFERENCE {
            let interval = clopper_pearson(k, n, 0.05);
            assert!((interval.low - low).abs() < 1e-7, "{k}/{n} low {}", interval.low);
            assert!((interval.high - high).abs() < 1e-7, "{k}/{n} high {}", interval.high);
            assert!((ln_e_pass(k, n, threshold) - pass).abs() < 1e-7, "{k}/{n} pass");
            assert!((ln_e_fail(k, n, threshold) - fail).abs() < 1e-7, "{k}/{n} fail");
        }
    }

    #[test]
    fn without_failures_two_percent_is_certified_at_224_trials() {
        let needed = 20.0_f64.ln();
        assert!(ln_e_pass(0, 223, 0.02) < needed);
        assert!(ln_e_pass(0, 224, 0.02) >= needed);
    }
}
