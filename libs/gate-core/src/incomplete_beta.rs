//! The incomplete beta function, in logarithms and for any number of trials.
//!
//! Lentz's continued fraction (DLMF 8.17.22). Libraries stop it after some hundred terms, which is
//! not enough beyond some ten thousand trials: it needs about the square root of them.

use statrs::function::gamma::ln_gamma;

const TERMS_MAX: u32 = 400_000; // Reached by no sample below 10^10.
const EPSILON: f64 = 1e-15;
const TINY: f64 = 1e-300;

/// `ln B(a, b)`.
pub(crate) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithms of both tails of Beta(`a`, `b`) at `x`: the mass below, and the mass above.
pub(crate) fn ln_tails(a: f64, b: f64, x: f64) -> (f64, f64) {
    if x <= 0.0 {
        return (f64::NEG_INFINITY, 0.0);
    }
    if x >= 1.0 {
        return (0.0, f64::NEG_INFINITY);
    }
    let ln_front = a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b);
    if x < (a + 1.0) / (a + b + 2.0) {
        let below = (ln_front + fraction(a, b, x).ln() - a.ln()).min(0.0);
        (below, ln_of_rest(below))
    } else {
        let above = (ln_front + fraction(b, a, 1.0 - x).ln() - b.ln()).min(0.0);
        (ln_of_rest(above), above)
    }
}

/// `ln(1 - exp(ln_part))`.
fn ln_of_rest(ln_part: f64) -> f64 {
    if ln_part > -std::f64::consts::LN_2 {
        (-ln_part.exp_m1()).ln()
    } else {
        (-ln_part.exp()).ln_1p()
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut product = d;
    for term in 1..TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        product *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let change = d * c;
        product *= change;
        if (change - 1.0).abs() < EPSILON {
            break;
        }
    }
    product
}

/// The `x` below which Beta(`a`, `b`) has the mass `p`: Newton's steps, kept inside a bracket.
pub(crate) fn quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    let mut x = a / (a + b);
    for _step in 0..200 {
        let (below, above) = ln_tails(a, b, x);
        // The smaller tail is the exact one.
        let excess = if p <= 0.5 { below.exp() - p } else { (1.0 - p) - above.exp() };
        if excess > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let ln_density = (a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta(a, b);
        let newton = x - excess / ln_density.exp();
        let next = if newton > low && newton < high { newton } else { f64::midpoint(low, high) };
        // Closer than this the tails themselves are not known, for large samples.
        if (next - x).abs() <= 1e-11 * x || high - low <= 1e-16 {
            return next;
        }
        x = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tails_make_one() {
        for (a, b, x) in [(1.0, 51.0, 0.03), (30.0, 1972.0, 0.015), (1e6, 1e8, 0.0099)] {
            let (below, above) = ln_tails(a, b, x);
            assert!((below.exp() + above.exp() - 1.0).abs() < 1e-9, "{a} {b} {x}");
        }
        assert_eq!(ln_tails(2.0, 3.0, 0.0), (f64::NEG_INFINITY, 0.0));
        assert_eq!(ln_tails(2.0, 3.0, 1.0), (0.0, f64::NEG_INFINITY));
    }

    #[test]
    fn a_quantile_has_the_mass_asked_for_below_it() {
        for (a, b) in [(1.0, 50.0), (4.0, 97.0), (1.0, 1e6), (1e4, 1e6), (500.0, 2.0)] {
            for p in [0.001, 0.025, 0.5, 0.975, 0.999] {
                let (below, _) = ln_tails(a, b, quantile(a, b, p));
                assert!((below.exp() - p).abs() < 1e-9, "{a} {b} {p}: {}", below.exp());
            }
        }
    }
}
