//! Drills: engage on a scope that stops nobody, see every worker apply it, release, record.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use killswitch_core::{Resume, Scope};
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use service_kit::wire::wire_time;
use vocab::{Actor, Pattern, PipelineId};

use crate::app::App;
use crate::error::{DOMAIN, Refused};
use crate::state::draft;

/// How long a drill waits for the workers where nobody says otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// Matches no workspace of a client: nobody is stopped.
const DRILL_PATTERN: &str = "softlaunch-drill-*";

impl App {
    pub(crate) async fn drill(
        &self,
        pipeline: PipelineId,
        actor: Actor,
        reason: String,
        timeout: Duration,
    ) -> Result<pb::Drill, Fault> {
        let pattern = Pattern::new(DRILL_PATTERN)
            .map_err(|why| Fault::field(DOMAIN, "pipeline", why.to_string()))?;
        let scope = Scope::Workspace(pipeline.clone(), pattern);
        let connections = self.workers.connections(pipeline.as_str());
        let epoch = self.engage_drill(scope.clone(), actor.clone(), reason.clone()).await?;
        self.await_workers(&connections, epoch, timeout).await;
        let (applied, slowest) = self.workers.applied(&connections, epoch);
        let resume = Resume {
            actor: actor.subject.clone(),
            seen: epoch,
            reason: "end of drill".to_owned(),
            evidence: String::new(),
            ramp: Duration::ZERO,
        };
        self.release(scope, actor.clone(), resume).await?;
        let completed = self.clock.now();
        let told = self.in_force.told();
        let rules = told.stored.state.switches.rules(pipeline.as_str());
        let valid = rules.map(|rules| rules.drill_valid).filter(|valid| !valid.is_zero());
        let drill = pb::Drill {
            pipeline: pipeline.to_string(),
            worker_count: i32::try_from(connections.len()).unwrap_or(i32::MAX),
            applied_count: i32::try_from(applied).unwrap_or(i32::MAX),
            apply_duration_max: slowest.try_into().ok(),
            complete_time: Some(wire_time(completed)),
            passed: !connections.is_empty() && applied == connections.len(),
            expire_time: valid.map(|valid| wire_time(completed.plus(valid))),
        };
        let command = command(&self.clock, actor, reason, None);
        self.replica
            .execute(&command, |_, _| {
                Ok::<_, Refused>(vec![draft(Kind::DrillCompleted(drill.clone()))])
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        self.metrics.drilled(&drill);
        Ok(drill)
    }

    async fn await_workers(&self, connections: &[u64], epoch: u64, timeout: Duration) {
        let mut changes = self.workers.changes();
        let all_applied = async {
            while self.workers.applied(connections, epoch).0 < connections.len() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // The record says how many applied it; running out of time is not an error.
        tokio::time::timeout(timeout, all_applied).await.ok();
    }
}

/// Drills every pipeline that a plan has spoken for and that has workers, again and again, until
/// asked to end.
pub(crate) async fn on_schedule(app: Arc<App>, every: Duration, shutdown: Shutdown) {
    let drilling = async {
        loop {
            tokio::time::sleep(every).await;
            let rules = app.state().state.switches.rules.clone();
            for pipeline in rules.into_values().map(|rules| rules.pipeline) {
                if app.workers.connections(pipeline.as_str()).is_empty() {
                    continue;
                }
                let (actor, reason) = (Actor::system("drill"), "scheduled drill".to_owned());
                match app.drill(pipeline.clone(), actor, reason, TIMEOUT).await {
                    Ok(drill) => {
                        let (workers, applied) = (drill.worker_count, drill.applied_count);
                        let passed = drill.passed;
                        tracing::info!(%pipeline, workers, applied, passed, "scheduled drill");
                    }
                    Err(fault) => {
                        tracing::error!(%pipeline, code = ?fault.code(), "a drill did not run");
                    }
                }
            }
        }
    };
    tokio::select! {
        () = drilling => {}
        () = shutdown.wait_owned() => {}
    }
}
