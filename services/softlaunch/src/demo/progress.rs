//! The live view: what the gate service has counted so far.

use std::time::Duration;

use contracts::gate as pb;
use indicatif::{ProgressBar, ProgressStyle};
use vocab::Timestamp;

use crate::connect::Connection;
use crate::demo::fleet::{Fleet, UPLOADS};
use crate::demo::place::Stage;
use crate::failure::Failure;
use crate::output::say;
use crate::verbs::gate;

const INTERVAL: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(600);
const SINCE_START: &str = "since phase start";

/// Follows the counters until every upload has been counted.
pub(crate) async fn follow(
    stage: &Stage,
    connection: &Connection,
    rollout: &str,
    fleet: &mut Fleet,
) -> Result<(), Failure> {
    let bar = bar();
    let begun = tokio::time::Instant::now();
    let mut said = 0;
    loop {
        fleet.check()?;
        report_bugs(stage, connection).await?;
        let of_rollout =
            pb::ListMetricsRequest { parent: rollout.to_owned(), ..Default::default() };
        let metrics = gate::metrics(connection, of_rollout).await?;
        let counted = Counted::read(&metrics);
        bar.set_position(counted.all().min(UPLOADS));
        bar.set_message(format!("DEMO CLOCK {} | {counted}", minute(stage.clock.now())));
        if bar.is_hidden() && counted.all() / 26 > said {
            said = counted.all() / 26; // No terminal: a line now and then instead of a bar.
            say(format!("  {counted}"));
        }
        // The large file comes on top of the numbered uploads.
        if counted.all() > UPLOADS {
            bar.finish_and_clear();
            say(format!("  {counted}"));
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::refused(format!("the uploads did not get through: {counted}")));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// The bug tracker's exporter: a gauge that is reported again and again, or goes stale.
pub(crate) async fn report_bugs(stage: &Stage, connection: &Connection) -> Result<(), Failure> {
    let gauge = pb::Gauge { metric: "open_bugs".into(), label: "P1".into(), amount: 0 };
    gate::gauge_reported(connection, "ingestion_v2", gauge, stage.clock.now()).await
}

/// To the minute: more would only flicker.
fn minute(now: Timestamp) -> String {
    now.to_string().chars().take(16).collect()
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(UPLOADS);
    let style = ProgressStyle::with_template("  {bar:20} {pos}/{len} uploads | {wide_msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

struct Counted {
    succeeded: u64,
    processed: u64,
    invalid: u64,
    legacy: u64,
    error_rate: String,
    p99: String,
}

impl Counted {
    fn read(metrics: &pb::ListMetricsResponse) -> Self {
        let find = |name: &str, label: &str| {
            metrics
                .metrics
                .iter()
                .find(|one| one.metric == name && one.label == label && one.window == SINCE_START)
        };
        let number = |name, label| {
            let amount = find(name, label).and_then(|one| one.amount);
            amount.and_then(|amount| u64::try_from(amount).ok()).unwrap_or(0)
        };
        let shown = |name| {
            let value = find(name, "").map(|one| one.value.clone());
            value.filter(|text| !text.is_empty()).unwrap_or_else(|| "no data".to_owned())
        };
        Self {
            succeeded: number("uploads_succeeded", ""),
            processed: number("uploads_processed", ""),
            invalid: number("uploads_processed", "invalid"),
            legacy: number("uploads_processed", "legacy"),
            error_rate: shown("error_rate"),
            p99: shown("latency_p99"),
        }
    }

    const fn all(&self) -> u64 {
        self.processed + self.legacy
    }
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { succeeded, invalid, legacy, error_rate, p99, processed } = self;
        let failed = processed - succeeded - invalid;
        write!(
            f,
            "{succeeded} succeeded, {failed} failed, {invalid} invalid, {legacy} by the old path"
        )?;
        write!(f, " | error rate {error_rate}, p99 {p99}")
    }
}
