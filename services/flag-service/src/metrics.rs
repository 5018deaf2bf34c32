//! The figures of this service, for dashboards and alert rules.

use std::sync::Arc;

use contracts::flag as pb;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use service_kit::figures::{About, Figure, show};
use service_kit::metrics::meter;

use crate::app::App;
use crate::state::Stored;

/// Counts what was decided on uploads.
#[derive(Debug)]
pub(crate) struct Metrics {
    admissions: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let admissions = meter()
            .u64_counter("softlaunch.flag.admissions")
            .with_description("Uploads decided on, by flag, what was decided and why.")
            .build();
        Self { admissions }
    }

    /// An upload has been decided on.
    pub(crate) fn admitted(&self, flag: &str, decided: &pb::AdmitUploadResponse) {
        let admission = decided.admission().as_str_name();
        let reason = decided.reason().as_str_name();
        let labels = [
            KeyValue::new("flag", flag.to_owned()),
            KeyValue::new("admission", admission.strip_prefix("ADMISSION_").unwrap_or(admission)),
            KeyValue::new("reason", reason.strip_prefix("REASON_").unwrap_or(reason)),
        ];
        self.admissions.add(1, &labels);
    }
}

/// Shows, whenever somebody looks, what this replica answers by.
pub(crate) fn observe(app: &Arc<App>) {
    const EXPOSURE: About = About {
        name: "softlaunch.flag.exposure",
        unit: "",
        meaning: "Share of unlisted workspaces for which a rollout's flag is on, 0 to 1.",
    };
    const PAUSED: About = About {
        name: "softlaunch.flag.paused",
        unit: "",
        meaning: "1 where new uploads of the cohort of a rollout's flag are deferred, else 0.",
    };
    const STALE: About = About {
        name: "softlaunch.flag.kills.stale",
        unit: "",
        meaning: "1 where the kill-switch service is out of touch and all counts as killed, else 0.",
    };
    show(app, EXPOSURE, |app| {
        moved(app, |one| Figure::of(f64::from(one.flag.definition.share().get()) / 10_000.0))
    });
    show(app, PAUSED, |app| moved(app, |one| Figure::whether(one.flag.paused)));
    show(app, STALE, |app| vec![Figure::whether(app.kills.is_stale())]);
}

/// A figure of each flag that a rollout moves: flags that people keep by hand are too many for labels.
fn moved(app: &App, figure: impl Fn(&Stored) -> Figure) -> Vec<Figure> {
    let snapshot = app.replica.snapshot();
    let live = snapshot.state.flags.values().filter(|one| !one.is_deleted());
    let moved = live.filter(|one| !one.flag.rollout.is_empty());
    let labelled = moved.map(|one| {
        let phase = one.flag.phase.as_ref().map_or("", |phase| phase.as_str());
        figure(one)
            .with("flag", one.flag.key.as_str())
            .with("rollout", one.flag.rollout.as_str())
            .with("phase", phase)
    });
    labelled.collect()
}
