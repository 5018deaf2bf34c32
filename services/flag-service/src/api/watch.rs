//! The stream of the ruleset: a snapshot, then changes in revision order, with heartbeats.

use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::watch_ruleset_response::Update;
use service_kit::wire::signed;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::app::App;
use crate::convert::public_flag;

const BUFFER: usize = 64; // A watcher that is slower waits; changes in between are coalesced.

/// Streams the flags to a watcher that holds revision `after`.
pub(super) fn ruleset(
    app: Arc<App>,
    after: u64,
) -> ReceiverStream<Result<pb::WatchRulesetResponse, Status>> {
    let (tx, rx) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        let mut changes = app.replica.changes();
        let mut shutdown = app.shutdown.clone();
        let mut held = after;
        let mut first = true;
        loop {
            changes.mark_unchanged();
            for update in updates(&app, &mut held, first) {
                if tx.send(Ok(pb::WatchRulesetResponse { update: Some(update) })).await.is_err() {
                    return;
                }
            }
            first = false;
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(app.durations.heartbeat) => {}
                () = shutdown.wait() => return,
                () = tx.closed() => return,
            }
        }
    });
    ReceiverStream::new(rx)
}

/// What a watcher at `held` must be told now, and where it stands after it.
fn updates(app: &App, held: &mut u64, first: bool) -> Vec<Update> {
    let snapshot = app.replica.snapshot();
    let flags = snapshot.state.flags.values();
    let revision = signed(snapshot.version);
    // A cursor from the future belongs to another history: begin afresh.
    if first && (*held == 0 || *held > snapshot.version) {
        *held = snapshot.version;
        let flags = flags.map(|stored| public_flag(stored)).collect();
        return vec![Update::Snapshot(pb::RulesetSnapshot {
            revision,
            flags,
            ..pb::RulesetSnapshot::default()
        })];
    }
    let mut changed: Vec<_> = flags.filter(|stored| stored.revision > *held).collect();
    changed.sort_by_key(|stored| stored.revision);
    *held = snapshot.version;
    if changed.is_empty() {
        return vec![Update::Heartbeat(pb::RulesetHeartbeat {
            revision,
            ..pb::RulesetHeartbeat::default()
        })];
    }
    changed.into_iter().map(|stored| Update::Change(public_flag(stored))).collect()
}
