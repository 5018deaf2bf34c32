//! Following the services whose events are told, each from the cursor in the journal.

use std::sync::Arc;

use contracts::killswitch::WatchKillSwitchEventsRequest;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use contracts::rollout::{GetPlanVersionRequest, ListRolloutsRequest, WatchRolloutEventsRequest};
use service_kit::peers::Peer;
use service_kit::propagation::continue_trace;
use service_kit::server::MESSAGE_SIZE_MAX;
use service_kit::uncancelled::uncancelled;
use service_kit::wire::signed;
use tonic::Status;
use tracing::{Instrument as _, Span};

use crate::affected::{self, Affected, Askable};
use crate::app::App;
use crate::convert::{Concern, Occurrence, What, of_kill_switch, of_rollout};

const ROLLOUTS_MAX: i32 = 1_000; // One page; there are a few in a lifetime.

type Rollouts = RolloutServiceClient<Peer>;

/// Handles events of the rollout service until its stream ends.
pub(crate) async fn rollouts(app: Arc<App>, peer: Peer, askable: Askable) -> Result<(), Status> {
    let mut client = Rollouts::new(peer).max_decoding_message_size(MESSAGE_SIZE_MAX);
    let after_revision = cursor(&app, "rollout").await?;
    let request = WatchRolloutEventsRequest { after_revision };
    let mut events = client.watch_rollout_events(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        let span = handling("rollout", event.revision, &event.traceparent);
        let occurrence = of_rollout(event);
        async {
            let plan = chosen_plan(&mut client, &occurrence).await?;
            let affected = affected::of(&app, &askable, &occurrence).await;
            handle(&app, occurrence, plan, affected).await
        }
        .instrument(span)
        .await?;
    }
    Ok(())
}

/// Handles events of the kill-switch service until its stream ends.
pub(crate) async fn kill_switches(app: Arc<App>, peer: Peer, rollout: Peer) -> Result<(), Status> {
    let mut rollouts = Rollouts::new(rollout);
    let mut client = KillSwitchServiceClient::new(peer);
    let after_revision = cursor(&app, "killswitch").await?;
    let request = WatchKillSwitchEventsRequest { after_revision };
    let mut events = client.watch_kill_switch_events(request).await?.into_inner();
    while let Some(event) = events.message().await? {
        let span = handling("killswitch", event.revision, &event.traceparent);
        let occurrence = of_kill_switch(event);
        async {
            await_plan(&app, &mut rollouts, &occurrence).await?;
            handle(&app, occurrence, Vec::new(), Affected::default()).await
        }
        .instrument(span)
        .await?;
    }
    Ok(())
}

/// Puts a kill off while the plan that says whom to tell is still on its way: the two streams run
/// side by side, and after an absence the kill may be read first.
async fn await_plan(
    app: &App,
    rollouts: &mut Rollouts,
    occurrence: &Occurrence,
) -> Result<(), Status> {
    let What::News(concern, _) = &occurrence.what else { return Ok(()) };
    if !app.lacks_plan(concern) {
        return Ok(());
    }
    let request = ListRolloutsRequest { page_size: ROLLOUTS_MAX, page_token: String::new() };
    let listed = rollouts.list_rollouts(request).await?.into_inner().rollouts;
    let known = &app.state().state.rollouts;
    let fits = |pipeline: &str| match concern {
        Concern::Pipeline(concerned) => concerned.as_str() == pipeline,
        Concern::Everything | Concern::Rollout(_) => true,
    };
    match listed.iter().find(|one| fits(&one.pipeline) && !known.contains(&one.name)) {
        Some(coming) => Err(Status::unavailable(format!("the plan of {} is to come", coming.name))),
        None => Ok(()),
    }
}

/// Where to go on: where any replica has come to.
async fn cursor(app: &App, source: &str) -> Result<i64, Status> {
    Ok(signed(app.newest_state().await?.state.cursor(source)))
}

fn handling(source: &'static str, revision: i64, traceparent: &str) -> Span {
    let span = tracing::info_span!("handle_event", source, revision);
    continue_trace(&span, traceparent);
    span
}

/// The plan file that an event chooses, if it chooses one.
async fn chosen_plan(client: &mut Rollouts, occurrence: &Occurrence) -> Result<Vec<u8>, Status> {
    let What::PlanChosen { plan_version, .. } = &occurrence.what else { return Ok(Vec::new()) };
    let request = GetPlanVersionRequest { name: plan_version.clone() };
    Ok(client.get_plan_version(request).await?.into_inner().source)
}

async fn handle(
    app: &Arc<App>,
    occurrence: Occurrence,
    plan: Vec<u8>,
    affected: Affected,
) -> Result<(), Status> {
    let app = Arc::clone(app);
    uncancelled(async move { Ok(app.handle(&occurrence, &plan, &affected).await?) }).await
}
