//! What the system itself sees: kill-switch drills and deliveries, followed from their services.

use std::sync::Arc;

use contracts::comms::comms_service_client::CommsServiceClient;
use contracts::comms::communication::State as Told;
use contracts::comms::{Communication, WatchCommunicationsRequest};
use contracts::gate as pb;
use contracts::gate::gate_event::Kind;
use contracts::gate::sighting::Kind as Sight;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::watch_kill_switch_events_response::Event;
use contracts::killswitch::{WatchKillSwitchEventsRequest, WatchKillSwitchEventsResponse};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::peers::{Peer, follow};
use service_kit::propagation::continue_trace;
use service_kit::shutdown::Shutdown;
use service_kit::wire::signed;
use tonic::Status;
use tracing::Instrument as _;
use vocab::Actor;

use crate::app::App;
use crate::error::{DOMAIN, Refusal};
use crate::state::draft;

/// Follows drills until asked to end.
pub(crate) fn follow_drills(app: Arc<App>, peer: Peer, shutdown: Shutdown) {
    tokio::spawn(follow("kill-switch drills", shutdown, move || {
        let (app, peer) = (Arc::clone(&app), peer.clone());
        async move { listen(&app, peer).await }
    }));
}

async fn listen(app: &App, peer: Peer) -> Result<(), Status> {
    let after_revision = signed(app.replica.snapshot().state.drill_cursor);
    let request = WatchKillSwitchEventsRequest { after_revision };
    let mut client = KillSwitchServiceClient::new(peer);
    let mut events = client.watch_kill_switch_events(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        let span = tracing::info_span!("observe_drill", otel.kind = "consumer");
        continue_trace(&span, &event.traceparent);
        observe(app, event).instrument(span).await?;
    }
    Ok(())
}

async fn observe(app: &App, event: WatchKillSwitchEventsResponse) -> Result<(), Fault> {
    let Some(Event::Drill(drill)) = event.event else { return Ok(()) };
    if !drill.passed {
        return Ok(());
    }
    let revision = event.revision;
    let sighting = pb::Sighting {
        pipeline: drill.pipeline,
        occur_time: drill.complete_time,
        kind: Some(Sight::DrillPassed(pb::DrillPassed {
            worker_count: drill.applied_count,
            revision,
        })),
    };
    let command = command(&app.clock, Actor::system("gate"), "kill-switch drill", None);
    app.replica
        .execute(&command, |state, _| {
            let known = signed(state.drill_cursor) >= revision;
            let event = || draft(Kind::Sighting(sighting.clone()));
            Ok::<_, Refusal>(if known { Vec::new() } else { vec![event()] })
        })
        .await
        .map_err(|error| refused(DOMAIN, error))?;
    Ok(())
}

/// Follows communications until asked to end.
pub(crate) fn follow_communications(app: Arc<App>, peer: Peer, shutdown: Shutdown) {
    tokio::spawn(follow("communications", shutdown, move || {
        let (app, peer) = (Arc::clone(&app), peer.clone());
        async move { hear(&app, peer).await }
    }));
}

async fn hear(app: &App, peer: Peer) -> Result<(), Status> {
    let after_revision = signed(app.replica.snapshot().state.communication_cursor);
    let request = WatchCommunicationsRequest { after_revision };
    let mut client = CommsServiceClient::new(peer);
    let mut changes = client.watch_communications(request).await?.into_inner();
    while let Some(change) = changes.message().await? {
        if let Some(communication) = change.communication {
            note(app, communication).await?;
        }
    }
    Ok(())
}

/// Records how far a communication is: when it is first heard of, and when it is settled. Between the
/// two it changes with every message of it, of which there may be thousands.
async fn note(app: &App, communication: Communication) -> Result<(), Fault> {
    let revision = communication.revision;
    let settled = communication.state() != Told::Pending;
    let seen = pb::CommunicationSeen {
        rollout: communication.rollout,
        communication: communication.name,
        event: communication.event,
        occur_time: communication.create_time,
        complete_time: communication.complete_time,
        detail: communication.detail,
        revision,
    };
    let reason = format!("how far {} is", seen.event);
    let command = command(&app.clock, Actor::system("gate"), reason, None);
    app.replica
        .execute(&command, |state, _| {
            let known = signed(state.communication_cursor) >= revision;
            let told = state.has_heard_of(&seen.rollout, &seen.event);
            let event = || draft(Kind::CommunicationSeen(seen.clone()));
            Ok::<_, Refusal>(if known || (told && !settled) { Vec::new() } else { vec![event()] })
        })
        .await
        .map_err(|error| refused(DOMAIN, error))?;
    Ok(())
}
