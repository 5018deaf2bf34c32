//! The percentile of the sketch beside the exact one, and a hundred replicas beside one.

use gate_core::{Field, Outcome, Path, Tally};

use super::upload::Numbers;
use crate::Error;

const UPLOADS: usize = 1_000_000;
const REPLICAS: usize = 100;

/// The error of p99 on latencies with a heavy tail, and that merging loses nothing.
pub(crate) fn beside_the_exact_quantile() -> Result<(), Error> {
    println!("sketch: {UPLOADS} heavy-tailed latencies, counted by {REPLICAS} replicas and by one");
    let mut worst = 0.0_f64;
    for seed in 1..=5 {
        let mut numbers = Numbers(seed);
        let mut exact: Vec<u64> = (0..UPLOADS).map(|_upload| numbers.latency_ms()).collect();
        let mut whole = Tally::default();
        let mut replicas = vec![Tally::default(); REPLICAS];
        for (n, latency_ms) in exact.iter().enumerate() {
            for field in Field::of(Path::New, Outcome::Succeeded, *latency_ms, &[]) {
                whole.add(field, 1);
                replicas[n % REPLICAS].add(field, 1);
            }
        }
        let mut merged = Tally::default();
        replicas.iter().for_each(|replica| merged.absorb(replica));
        if merged != whole {
            return Err("a hundred replicas and one do not agree".into());
        }
        exact.sort_unstable();
        let rank = (UPLOADS * 99).div_ceil(100);
        let exact = exact[rank - 1];
        let found = whole.latency_p99_ms().ok_or("nothing was counted")?;
        let error = ratio(found.abs_diff(exact), exact);
        println!("  p99 {found} ms, exactly {exact} ms: {:.3} % off", error * 100.0);
        worst = worst.max(error);
    }
    let verdict = if worst <= 0.01 { "met" } else { "MISSED" };
    println!("largest error of p99: {:.3} % (target <= 1 %: {verdict})", worst * 100.0);
    println!("merging {REPLICAS} replicas' sketches equals the whole: met");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a day are exact")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
