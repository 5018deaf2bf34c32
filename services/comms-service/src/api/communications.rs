//! Communications: listed, and streamed on every change.

use std::sync::Arc;

use contracts::comms as pb;
use contracts::comms::communication::State as Told;
use service_kit::fault::{Fault, last_part};
use service_kit::paging::{cut, page};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{BUFFER, age};
use crate::app::App;
use crate::convert::shown_communication;
use crate::error::DOMAIN;

pub(super) fn list(
    app: &App,
    request: &pb::ListCommunicationsRequest,
) -> Result<pb::ListCommunicationsResponse, Status> {
    let (rollout, state) = (&request.rollout, request.state);
    if !rollout.is_empty() {
        last_part(DOMAIN, "rollout", rollout, "rollouts")?;
    }
    let wanted = Told::try_from(state).map_err(|_e| {
        let why =
            format!("{state} is not a state: expected PENDING, COMPLETE, INCOMPLETE or CANCELLED");
        Fault::field(DOMAIN, "state", why)
    })?;
    let list = format!("communications {rollout} {state}");
    let page = page(DOMAIN, &list, request.page_size, &request.page_token)?;
    let snapshot = app.state();
    let fits = |one: &pb::Communication| {
        (rollout.is_empty() || one.rollout == *rollout)
            && (wanted == Told::Unspecified || one.state() == wanted)
    };
    let all = snapshot.state.communications.newest_first();
    let found = all.filter(|(_, tracked)| fits(&tracked.communication));
    let keyed = found.map(|(position, tracked)| (age(position), tracked));
    let (communications, next_page_token) = cut(&list, &page, keyed);
    let shown = |tracked: &Arc<crate::state::communications::Tracked>| {
        shown_communication(&tracked.communication, &app.clock)
    };
    let communications = communications.into_iter().map(shown).collect();
    Ok(pb::ListCommunicationsResponse { communications, next_page_token })
}

type Stream = ReceiverStream<Result<pb::WatchCommunicationsResponse, Status>>;

/// Streams communications as they are now, on every change after `after`.
pub(super) fn watch(app: Arc<App>, after: u64) -> Stream {
    let (tx, rx) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        let mut after = after;
        let mut changes = app.replica.changes();
        let mut shutdown = app.shutdown.clone();
        loop {
            changes.mark_unchanged();
            let snapshot = app.state();
            for tracked in snapshot.state.communications.changed_after(after) {
                let communication = Some(shown_communication(&tracked.communication, &app.clock));
                if tx.send(Ok(pb::WatchCommunicationsResponse { communication })).await.is_err() {
                    return;
                }
            }
            after = after.max(snapshot.version);
            drop(snapshot);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = shutdown.wait() => return,
                () = tx.closed() => return,
            }
        }
    });
    ReceiverStream::new(rx)
}
