//! A rehearsal beside drawing its uploads and nothing else.

use std::hint::black_box;

use plan::Plan;
use rehearsal::{Fleet, Scenario, generate, rehearse};

use tokio::time::Instant;

use crate::Error;
use crate::measure::{Samples, report};

const ROUNDS: u64 = 3;
const TARGET: f64 = 10.0;
const SCENARIO: &str = r#"
title = "Ten million uploads"
until = "generally_available"

[fleet]
workspaces = 2000
uploads_per_day = 420
synthetic_per_day = 60

[expect]
end = "generally_available"
uploads_min = 10000000
"#;

/// Prints how many times as long a rehearsal takes as drawing as many uploads.
pub(crate) fn beside_its_uploads() -> Result<(), Error> {
    let (plan, _warnings) = Plan::parse(plan::SHIPPED).map_err(|wrong| format!("{wrong:?}"))?;
    let scenario = Scenario::parse(SCENARIO)?;
    let fleet = Fleet::new(&scenario.fleet, 1);
    let (mut whole, mut alone, mut uploads) = (Samples::default(), Samples::default(), 0);
    for seed in 0..ROUNDS {
        let begun = Instant::now();
        let played = rehearse(&plan, plan::SHIPPED.as_bytes(), &scenario, seed);
        whole.push(begun.elapsed());
        if let Some(missed) = played.missed.first() {
            return Err(missed.clone().into());
        }
        uploads = played.uploads;
        let mut chance = fastrand::Rng::with_seed(seed);
        let begun = Instant::now();
        let rate = scenario.fleet.error_rate;
        black_box(generate(&mut chance, fleet.latencies(), uploads, rate, &[]));
        alone.push(begun.elapsed());
    }
    let what = format!("rehearsal of {uploads} uploads / drawing them");
    report(&what, whole.median(), alone.median(), TARGET);
    Ok(())
}
