//! What comes due by the clock: reminders, deadlines, alerts.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;

/// How often it is looked. Any number of replicas may: what is due is
/// decided on the newest state, so that one of them tells.
const EVERY: Duration = Duration::from_secs(1);

/// Looks until asked to end.
pub(crate) async fn run(app: Arc<App>) {
    let mut shutdown = app.shutdown.clone();
    loop {
        if let Err(fault) = app.pass_time().await {
            let status = tonic::Status::from(fault);
            tracing::warn!(why = status.message(), "cannot record what is due: trying again");
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
