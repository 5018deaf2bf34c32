//! The figures of this service, for dashboards and alert rules.

use std::sync::{Arc, Weak};
use std::time::Duration;

use contracts::killswitch as pb;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use service_kit::metrics::meter;
use service_kit::wire::signed;

use crate::app::App;

/// Of the time to apply, in seconds: what matters lies between a millisecond and a lease.
const APPLY_BOUNDARIES: [f64; 12] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Instruments that something has to be told to.
#[derive(Debug)]
pub(crate) struct Metrics {
    apply: Histogram<f64>,
    drills: Counter<u64>,
    drill_workers: Gauge<u64>,
    drill_applied: Gauge<u64>,
    drill_apply_max: Gauge<f64>,
    drill_time: Gauge<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let meter = meter();
        Self {
            apply: meter
                .f64_histogram("softlaunch.killswitch.apply.duration")
                .with_unit("s")
                .with_description("Time from a change to a worker's acknowledgement of it.")
                .with_boundaries(APPLY_BOUNDARIES.to_vec())
                .build(),
            drills: meter
                .u64_counter("softlaunch.killswitch.drills")
                .with_description(
                    "Drills, by pipeline and whether every worker applied it in time.",
                )
                .build(),
            drill_workers: meter
                .u64_gauge("softlaunch.killswitch.drill.workers")
                .with_description("Workers connected when the pipeline's last drill began.")
                .build(),
            drill_applied: meter
                .u64_gauge("softlaunch.killswitch.drill.applied_workers")
                .with_description("Workers that applied the pipeline's last drill in time.")
                .build(),
            drill_apply_max: meter
                .f64_gauge("softlaunch.killswitch.drill.apply.duration.max")
                .with_unit("s")
                .with_description("The slowest worker's time to apply the pipeline's last drill.")
                .build(),
            drill_time: meter
                .u64_gauge("softlaunch.killswitch.drill.last_time")
                .with_unit("s")
                .with_description("When the pipeline's last drill ended, in seconds since 1970.")
                .build(),
        }
    }

    /// A worker has acknowledged a change.
    pub(crate) fn applied(&self, duration: Duration) {
        self.apply.record(duration.as_secs_f64(), &[]);
    }

    /// A drill has ended.
    pub(crate) fn drilled(&self, drill: &pb::Drill) {
        let pipeline = KeyValue::new("pipeline", drill.pipeline.clone());
        self.drills.add(1, &[pipeline.clone(), KeyValue::new("passed", drill.passed)]);
        let pipeline = [pipeline];
        let count = |count: i32| u64::try_from(count).unwrap_or_default();
        self.drill_workers.record(count(drill.worker_count), &pipeline);
        self.drill_applied.record(count(drill.applied_count), &pipeline);
        let slowest = drill.apply_duration_max.and_then(|slowest| Duration::try_from(slowest).ok());
        self.drill_apply_max.record(slowest.unwrap_or_default().as_secs_f64(), &pipeline);
        let ended = drill.complete_time.map_or(0, |time| time.seconds);
        self.drill_time.record(u64::try_from(ended).unwrap_or_default(), &pipeline);
    }
}

/// Shows, whenever somebody looks, what is in force and how far it has got.
pub(crate) fn observe(app: &Arc<App>) {
    observed(app, "softlaunch.killswitch.epoch", "The highest epoch.", |app| {
        signed(app.in_force.told().epoch)
    });
    observed(app, "softlaunch.killswitch.engaged", "Switches that are engaged.", |app| {
        count(app.in_force.told().engaged_count())
    });
    observed(
        app,
        "softlaunch.killswitch.unstored",
        "Kills in force that the store has not taken yet.",
        |app| count(app.in_force.kills().len()),
    );
    observed(
        app,
        "softlaunch.killswitch.workers",
        "Workers connected to this replica, or gone with a lease that is not over.",
        |app| count(app.workers.list(app.clock.monotonic()).len()),
    );
    observed(
        app,
        "softlaunch.killswitch.unacknowledged_workers",
        "Those of them that have not acknowledged the highest epoch.",
        |app| {
            let epoch = app.in_force.told().epoch;
            count(app.workers.propagation(epoch, app.clock.monotonic()).pending.len())
        },
    );
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn observed(
    app: &Arc<App>,
    name: &'static str,
    description: &'static str,
    look: impl Fn(&App) -> i64 + Send + Sync + 'static,
) {
    // Weak: what looks on must not keep alive a service that has ended.
    let app: Weak<App> = Arc::downgrade(app);
    let meter = meter();
    let gauge = meter.i64_observable_gauge(name).with_description(description);
    let gauge = gauge.with_callback(move |observer| {
        if let Some(app) = app.upgrade() {
            observer.observe(look(&app), &[]);
        }
    });
    gauge.build(); // What has a callback is kept by the meter.
}
