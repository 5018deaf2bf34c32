//! The figures of this service, for dashboards and alert rules.

use std::sync::{Arc, Weak};

use opentelemetry::metrics::ObservableGauge;
use service_kit::metrics::meter;

use crate::app::App;

/// Communications that are incomplete: an alert rule on more than none has somebody look.
pub(crate) fn observe(app: &Arc<App>) -> ObservableGauge<u64> {
    let app: Weak<App> = Arc::downgrade(app);
    meter()
        .u64_observable_gauge("softlaunch.comms.communications.incomplete")
        .with_description("Communications of which somebody was not told who must be.")
        .with_callback(move |observer| {
            if let Some(app) = app.upgrade() {
                let incomplete = app.state().state.communications.incomplete();
                observer.observe(u64::try_from(incomplete).unwrap_or(u64::MAX), &[]);
            }
        })
        .build()
}
