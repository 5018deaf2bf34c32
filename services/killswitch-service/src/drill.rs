//! Drills: engage on a scope that stops nobody, see every worker apply it, release, record.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use killswitch_core::Scope;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::wire::wire_time;
use vocab::{Actor, Pattern, PipelineId};

use crate::app::App;
use crate::error::{DOMAIN, Refused};
use crate::state::draft;

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
        let engaged = self.engage(scope.clone(), actor.clone(), reason.clone(), true).await?;
        let epoch = u64::try_from(engaged.epoch).unwrap_or(0);
        self.await_workers(&connections, epoch, timeout).await;
        let (applied, slowest) = self.workers.applied(&connections, epoch);
        self.release(scope, epoch, actor.clone(), "end of drill".to_owned()).await?;
        let drill = pb::Drill {
            pipeline: pipeline.to_string(),
            worker_count: i32::try_from(connections.len()).unwrap_or(i32::MAX),
            applied_count: i32::try_from(applied).unwrap_or(i32::MAX),
            apply_duration_max: slowest.try_into().ok(),
            complete_time: Some(wire_time(self.clock.now())),
            passed: !connections.is_empty() && applied == connections.len(),
        };
        let command = command(&self.clock, actor, reason, None);
        self.replica
            .execute(&command, |_, _| {
                Ok::<_, Refused>(vec![draft(Kind::DrillCompleted(drill.clone()))])
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
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
