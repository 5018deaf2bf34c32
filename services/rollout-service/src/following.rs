//! Following the gate service: what it sees is answered once, by the plan.

use std::sync::Arc;

use contracts::gate as pb;
use contracts::gate::gate_service_client::GateServiceClient;
use rollout_core::{Firing, Rollout, Watched, react};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::peers::follow;
use service_kit::propagation::continue_trace;
use service_kit::shutdown::Shutdown;
use service_kit::wire::{signed, time_of};
use tonic::Status;
use tracing::Instrument as _;
use vocab::Actor;

use crate::app::App;
use crate::error::{DOMAIN, Refused};
use crate::state::draft;

/// Follows triggers until asked to end. Any number of replicas may: what one has answered, the
/// others find answered.
pub(crate) fn run(app: &Arc<App>, shutdown: Shutdown) {
    let app = Arc::clone(app);
    tokio::spawn(follow("triggers", shutdown, move || {
        let app = Arc::clone(&app);
        async move { listen(&app).await }
    }));
}

async fn listen(app: &App) -> Result<(), Status> {
    let after_revision = signed(app.replica.snapshot().state.rollouts.trigger_cursor);
    let request = pb::WatchTriggersRequest { after_revision };
    let mut client = GateServiceClient::new(app.gate.clone());
    let mut events = client.watch_triggers(request).await?.into_inner();
    while let Some(response) = events.message().await? {
        let span = tracing::info_span!("trigger", otel.kind = "consumer");
        continue_trace(&span, &response.traceparent);
        answer(app, response).instrument(span).await?;
    }
    Ok(())
}

/// Decides on something seen, records both with the cursor, and carries out what follows.
async fn answer(app: &App, response: pb::WatchTriggersResponse) -> Result<(), Fault> {
    let cursor = u64::try_from(response.revision).unwrap_or(0);
    let Some(event) = response.event else { return Ok(()) };
    let Some(firing) = firing(cursor, &event) else { return Ok(()) };
    let name = event.rollout.clone();
    let reason = if firing.evidence.is_empty() { &firing.title } else { &firing.evidence };
    let command = command(&app.clock, Actor::system("trigger"), reason.clone(), None);
    let done = app
        .replica
        .execute(&command, |state, _| {
            let rollouts = &state.rollouts;
            let known = rollouts.by_name.get(&name).filter(|_| rollouts.trigger_cursor < cursor);
            let events = known.map(|rollout| react(rollout, &firing)).unwrap_or_default();
            Ok::<_, Refused>(events.iter().map(draft).collect())
        })
        .await
        .map_err(|error| refused(DOMAIN, error))?;
    for record in &done.records {
        tracing::info!(rollout = name, event = record.kind, trigger = firing.id, "reacted");
    }
    if let Ok(rollout) = app.find(&name) {
        app.reconcile(&rollout).await;
    }
    Ok(())
}

/// What the core must know of an event; `None` where nothing follows from it.
fn firing(cursor: u64, event: &pb::TriggerEvent) -> Option<Firing> {
    let kind = match event.kind() {
        pb::TriggerKind::Trigger => Watched::Trigger,
        pb::TriggerKind::Threshold => Watched::Threshold,
        pb::TriggerKind::Advisory => Watched::Advisory,
        pb::TriggerKind::Unspecified => return None,
    };
    let (state, before) = (event.state(), event.previous_state());
    let fires = state == pb::TriggerState::Fired;
    if !fires && before != pb::TriggerState::Fired {
        return None; // A warning, or a condition that has not held for long enough.
    }
    let (id, incident) = named(&event.trigger);
    Some(Firing {
        cursor,
        phase_generation: u64::try_from(event.phase_generation).unwrap_or(0),
        id,
        incident,
        kind,
        firing: fires,
        title: event.title.clone(),
        evidence: event.evidence.as_ref().map(evidence).unwrap_or_default(),
        at: time_of(event.occur_time.as_ref()),
    })
}

/// The id of what is watched, and the incident, of a name like
/// `rollouts/r/triggers/p1-incident/incidents/INC-42`.
fn named(name: &str) -> (String, String) {
    let mut parts = name.split('/').skip(3);
    let id = parts.next().unwrap_or_default();
    let incident = parts.nth(1).unwrap_or_default();
    (id.to_owned(), incident.to_owned())
}

fn evidence(evidence: &pb::TriggerEvidence) -> String {
    if let Some(incident) = &evidence.incident {
        return format!("incident {}", incident.incident_id);
    }
    let parts = [&evidence.value, &evidence.condition, &evidence.window, &evidence.reason];
    let said: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).cloned().collect();
    said.join(", ")
}

impl App {
    /// Whether every threshold of the phase is met now, on data: what cannot be said is no reason to
    /// go on.
    pub(crate) async fn thresholds_met(&self, rollout: &Rollout) -> Result<bool, Status> {
        let kind = pb::TriggerKind::Threshold.into();
        let request = pb::ListTriggersRequest { parent: rollout.name.clone(), kind };
        let mut client = GateServiceClient::new(self.gate.clone());
        let listed = client.list_triggers(request).await?.into_inner().triggers;
        let met = |one: &pb::Trigger| {
            let evidence = one.evidence.as_ref();
            let known = evidence.is_some_and(|evidence| !evidence.value.is_empty());
            one.state() == pb::TriggerState::Clear && known
        };
        Ok(listed.iter().filter(|one| one.watched).all(met))
    }
}
