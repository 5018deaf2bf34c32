//! What time alone brings: the next step of a ramp, and that a phase takes too long.

use std::sync::Arc;
use std::time::Duration;

use rollout_core::{Rollout, overdue, ramp_automatically, ramp_is_due};
use service_kit::shutdown::Shutdown;

use crate::app::App;

const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Looks at every rollout until asked to end. Any number of replicas may: a step is recorded by the
/// one whose append comes first.
pub(crate) fn run(app: &Arc<App>, mut shutdown: Shutdown) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        loop {
            let snapshot = app.replica.snapshot();
            for rollout in snapshot.state.rollouts.by_name.values() {
                look(&app, rollout).await;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = shutdown.wait() => return,
            }
        }
    });
}

async fn look(app: &App, rollout: &Rollout) {
    let now = app.clock.now();
    if !overdue(rollout, now).is_empty() {
        let recorded = app.record(rollout, |rollout| overdue(rollout, now)).await;
        if let Err(fault) = recorded {
            tracing::warn!(rollout = rollout.name, code = ?fault.code(), "cannot say it is overdue");
        }
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
