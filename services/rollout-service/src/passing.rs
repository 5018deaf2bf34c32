//! What time alone brings: the next step of a ramp, and that a phase takes too long.

use std::sync::Arc;
use std::time::Duration;

use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::{ListMetricsRequest, MetricValue};
use rollout_core::{
    Rollout, Sample, overdue, ramp_automatically, ramp_is_due, sample, sample_is_due,
};
use service_kit::shutdown::Shutdown;
use vocab::Timestamp;

use crate::app::App;

const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// In real time: on a clock that runs faster it is written down less often than every hour.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(2);
const DAY: &str = "last 1d";

/// Looks at every rollout until asked to end. Any number of replicas may: a step is recorded by the
/// one whose append comes first.
pub(crate) fn run(app: &Arc<App>, mut shutdown: Shutdown) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut next_sample = std::collections::BTreeMap::<String, Duration>::new();
        loop {
            let snapshot = app.replica.snapshot();
            for rollout in snapshot.state.rollouts.by_name.values() {
                let next_sample = next_sample.entry(rollout.name.clone()).or_default();
                look(&app, rollout, next_sample).await;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = shutdown.wait() => return,
            }
        }
    });
}

/// Writes down how the pipeline does: what the dossier draws its curves from.
async fn write_down(app: &App, rollout: &Rollout, now: Timestamp) {
    let request = ListMetricsRequest { parent: rollout.name.clone(), ..Default::default() };
    let listed = GateServiceClient::new(app.gate.clone()).list_metrics(request).await;
    let Ok(listed) = listed else { return }; // It is written down the next time.
    let metrics = listed.into_inner().metrics;
    let found = |name: &str| {
        let of_day = |one: &&MetricValue| one.window == DAY && one.platform.is_empty();
        let mut named = metrics.iter().filter(|one| one.metric == name && one.label.is_empty());
        let amount = named.find(of_day)?.amount?;
        u64::try_from(amount).ok()
    };
    let measured = Sample {
        uploads: found("uploads_processed").unwrap_or(0),
        error_rate_ppm: found("error_rate"),
        latency_p99_ms: found("latency_p99"),
    };
    if let Err(fault) = app.record(rollout, |rollout| sample(rollout, measured, now)).await {
        tracing::debug!(rollout = rollout.name, code = ?fault.code(), "nothing was written down");
    }
}

async fn look(app: &App, rollout: &Rollout, next_sample: &mut Duration) {
    let now = app.clock.now();
    if !overdue(rollout, now).is_empty() {
        let recorded = app.record(rollout, |rollout| overdue(rollout, now)).await;
        if let Err(fault) = recorded {
            tracing::warn!(rollout = rollout.name, code = ?fault.code(), "cannot say it is overdue");
        }
    }
    if sample_is_due(rollout, now) && app.clock.monotonic() >= *next_sample {
        *next_sample = app.clock.monotonic() + SAMPLE_INTERVAL;
        write_down(app, rollout, now).await;
    }
    if ramp_is_due(rollout, now).is_none() || rollout.applied_generation < rollout.generation {
        return;
    }
    match app.thresholds_met(rollout).await {
        Ok(true) => step(app, rollout).await,
        Ok(false) => tracing::debug!(rollout = rollout.name, "a step waits for its thresholds"),
        Err(status) => {
            let (code, why) = (status.code(), status.message());
            tracing::warn!(rollout = rollout.name, %code, why, "a step waits for the gate service");
        }
    }
}

async fn step(app: &App, seen: &Rollout) {
    let now = app.clock.now();
    let decide = |rollout: &Rollout| {
        // The thresholds were those of this stay and share.
        let same = rollout.phase_generation == seen.phase_generation;
        ramp_automatically(rollout, same && rollout.exposure == seen.exposure, now)
    };
    match app.record(seen, decide).await {
        Ok(records) if records.is_empty() => {}
        Ok(_) => {
            tracing::info!(rollout = seen.name, from = %seen.exposure, "stepped by the plan");
            app.reconcile(seen).await;
        }
        Err(fault) => {
            tracing::warn!(rollout = seen.name, code = ?fault.code(), "a step was not recorded");
        }
    }
}
