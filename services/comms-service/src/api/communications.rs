//! Communications: listed, and streamed on every change.

use std::sync::Arc;

use contracts::comms as pb;
use contracts::comms::communication::State as Told;
use service_kit::fault::{Fault, last_part};
use service_kit::paging::{cut, page};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::age;
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
    super::watch(
        app,
        after,
        |state, after| state.communications.changed_after(after).cloned().collect(),
        |tracked, clock| {
            let communication = Some(shown_communication(&tracked.communication, clock));
            pb::WatchCommunicationsResponse { communication }
        },
    )
}
