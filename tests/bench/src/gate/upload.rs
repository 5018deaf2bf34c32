//! Uploads as they come: log-normal latencies with a heavy tail, a few failures, many workspaces.

use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::upload_outcome::{Path, Result as Ending};
use service_kit::wire::wire_time;
use vocab::Timestamp;

/// A small generator of numbers, the same in every run (Steele, Lea, Flood 2014: SplitMix).
#[derive(Debug, Clone)]
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly in `0.0..1.0`.
    pub(super) fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or(0)) / 4_294_967_296.0
    }

    /// A latency: log-normal around two seconds; one in fifty has a Pareto tail.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded to a day of milliseconds"
    )]
    pub(super) fn latency_ms(&mut self) -> u64 {
        let (u, v) = (self.share().max(1e-9), self.share());
        let latency = if self.next().is_multiple_of(50) {
            2_000.0 / u.powf(1.0 / 1.2)
        } else {
            let normal = (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
            2_000.0 * (0.6 * normal).exp()
        };
        latency.clamp(1.0, 86_400_000.0) as u64
    }
}

/// A report of `count` outcomes that ended at `at`.
pub(crate) fn report(
    batch: &str,
    count: usize,
    at: Timestamp,
    numbers: &mut Numbers,
) -> pb::ReportOutcomesRequest {
    const PLATFORMS: [&str; 3] = ["meta", "google", "tiktok"];
    let outcomes = (0..count).map(|n| {
        let failed = numbers.next().is_multiple_of(50);
        pb::UploadOutcome {
            upload_id: format!("{batch}-{n:04}"),
            workspace_id: format!("workspace-{:03}", numbers.next() % 50),
            result: if failed { Ending::Failed } else { Ending::Succeeded }.into(),
            path: Path::New.into(),
            occur_time: Some(wire_time(at)),
            latency_duration: Duration::from_millis(numbers.latency_ms()).try_into().ok(),
            platform: PLATFORMS[n % 3].to_owned(),
        }
    });
    pb::ReportOutcomesRequest {
        pipeline: super::PIPELINE.to_owned(),
        batch_id: batch.to_owned(),
        outcomes: outcomes.collect(),
    }
}
