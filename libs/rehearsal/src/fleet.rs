//! Simulated workers: uploads of those who are on, with errors and latencies.

use std::time::Duration;

use fastrand::Rng;
use gate_core::{Field, Outcome, Path, Tally, latency_bucket};

use crate::scenario::FleetShape;

const QUANTILES: usize = 1_024; // Of the latency; the 99th percentile is among them.
const Z99: f64 = 2.326_347_874; // Of the standard normal distribution.
const PARTS: u32 = 1_000_000;
const DAY: f64 = 86_400.0;
const INVALID: u32 = 10_000; // One upload in a hundred is no valid file.

/// The fleet, with its own source of chance.
#[derive(Debug)]
pub struct Fleet {
    rng: Rng,
    /// Latencies by quantile, in milliseconds, with their buckets.
    latencies: Vec<(u64, u16)>,
    error_rate: u32,
    /// Uploads that are due and not whole yet.
    owed: f64,
}

impl Fleet {
    /// A fleet of this shape, whose chance is `seed`'s.
    #[must_use]
    pub fn new(shape: &FleetShape, seed: u64) -> Self {
        let median = shape.latency_p50.as_secs_f64() * 1_000.0;
        let high = shape.latency_p99.as_secs_f64() * 1_000.0;
        let sigma = (high / median.max(1.0)).ln().max(0.0) / Z99;
        let latencies = (0..QUANTILES).map(|index| {
            let latency = milliseconds(median * (sigma * normal_quantile(middle(index))).exp());
            (latency, latency_bucket(latency))
        });
        let (rng, latencies) = (Rng::with_seed(seed), latencies.collect());
        Self { rng, latencies, error_rate: shape.error_rate, owed: 0.0 }
    }

    /// The uploads of a stretch of time, counted: so many a day, of which at least `error_rate` parts
    /// per million fail. `limits_ms`: latencies that are judged.
    pub fn upload(
        &mut self,
        per_day: f64,
        stretch: Duration,
        error_rate: Option<u32>,
        limits_ms: &[u64],
    ) -> Tally {
        self.owed += per_day * stretch.as_secs_f64() / DAY * self.swing();
        let count = whole(self.owed);
        self.owed -= count as f64;
        let error_rate = error_rate.unwrap_or(self.error_rate);
        generate(&mut self.rng, &self.latencies, count, error_rate, limits_ms)
    }

    /// A little more here, a little less there.
    fn swing(&mut self) -> f64 {
        0.8 + 0.4 * self.rng.f64()
    }

    /// The latencies by quantile.
    #[must_use]
    pub fn latencies(&self) -> &[(u64, u16)] {
        &self.latencies
    }
}

/// Draws `count` uploads one by one.
#[must_use]
pub fn generate(
    rng: &mut Rng,
    latencies: &[(u64, u16)],
    count: u64,
    error_rate: u32,
    limits_ms: &[u64],
) -> Tally {
    let mut by_quantile = vec![0_u64; latencies.len()];
    let (mut succeeded, mut failed, mut invalid) = (0, 0, 0);
    for _upload in 0..count {
        let drawn = rng.u32(0..PARTS);
        if drawn < INVALID {
            invalid += 1;
            continue; // It has no latency that means anything.
        }
        if rng.u32(0..PARTS) < error_rate {
            failed += 1;
        } else {
            succeeded += 1;
        }
        by_quantile[rng.usize(0..latencies.len())] += 1;
    }
    let mut tally = Tally::default();
    for (outcome, count) in
        [(Outcome::Succeeded, succeeded), (Outcome::Failed, failed), (Outcome::Invalid, invalid)]
    {
        tally.add(Field::Count(Path::New, outcome), count);
    }
    for limit in limits_ms {
        let below = latencies.partition_point(|(latency, _)| latency < limit);
        let count: u64 = by_quantile[below..].iter().sum();
        if count > 0 {
            tally.add(Field::Slow(*limit), count);
        }
    }
    // By quantile latencies rise: those of a bucket are neighbours.
    let mut counted = latencies.iter().zip(by_quantile).peekable();
    while let Some(((_, bucket), first)) = counted.next() {
        let mut count = first;
        while let Some((_, more)) = counted.next_if(|((_, next), _)| next == bucket) {
            count += more;
        }
        if count > 0 {
            tally.add(Field::Latency(*bucket), count);
        }
    }
    tally
}

#[expect(clippy::cast_precision_loss, reason = "a small count")]
fn middle(index: usize) -> f64 {
    (index as f64 + 0.5) / QUANTILES as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a latency is positive and far below the bound"
)]
fn milliseconds(latency: f64) -> u64 {
    latency.clamp(1.0, 86_400_000.0).round() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what a rehearsal can draw"
)]
fn whole(owed: f64) -> u64 {
    owed.clamp(0.0, 1e12).floor() as u64
}

/// The quantile of the standard normal distribution (Acklam's rational approximation; relative error
/// below 1.2e-9).
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_76,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -54.476_098_798_224_06,
        161.585_836_858_040_9,
        -155.698_979_859_886_6,
        66.801_311_887_719_72,
        -13.280_681_552_885_72,
    ];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        0.007_784_695_709_041_462,
        0.322_467_129_070_039_8,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    const LOW: f64 = 0.024_25;
    let horner = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |q: f64| horner(&C, q) / (horner(&D, q) * q + 1.0);
    if p < LOW {
        return tail((-2.0 * p.ln()).sqrt());
    }
    if p > 1.0 - LOW {
        return -tail((-2.0 * (1.0 - p).ln()).sqrt());
    }
    let q = p - 0.5;
    let r = q * q;
    horner(&A, r) * q / (horner(&B, r) * r + 1.0)
}

#[cfg(test)]
mod tests {
    use gate_core::quantile_ms;

    use super::*;

    #[test]
    fn the_latencies_are_those_of_the_shape() {
        let shape = FleetShape::default();
        let mut fleet = Fleet::new(&shape, 7);
        let day = fleet.upload(200_000.0, Duration::from_secs(86_400), None, &[60_000]);
        let near = |found: u64, wanted: u64| found.abs_diff(wanted) * 20 < wanted;
        assert!(near(quantile_ms(&day.latencies, 500).unwrap(), 20_000));
        assert!(near(quantile_ms(&day.latencies, 990).unwrap(), 90_000));
        let errors = day.failed * 1_000_000 / (day.failed + day.succeeded);
        assert!((2_300..=3_700).contains(&errors), "{errors} ppm of 3000");
        assert!(day.slow[&60_000] > 0);
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| {
            let mut fleet = Fleet::new(&FleetShape::default(), seed);
            fleet.upload(10_000.0, Duration::from_secs(86_400), None, &[])
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
