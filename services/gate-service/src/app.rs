//! Judging and keeping: decided by the core on evidence gathered here.

use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::gate_event::Kind;
use gate_core::{judge, overall};
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use service_kit::wire::{signed, wire_time};
use store::{Command, Counters, Replica};
use vocab::Actor;

use crate::convert::{criterion_result, report_digest, wire_verdict};
use crate::error::{DOMAIN, Refusal};
use crate::evidence::{Gathered, Wanted};
use crate::exported::Meters;
use crate::labels::Labels;
use crate::prometheus::Prometheus;
use crate::settled::Settled;
use crate::state::{State, draft};
use crate::watched::{Watched, find_gate};
use crate::watching::Over;

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) counters: Arc<dyn Counters>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) gauge_stale_after: Duration,
    pub(crate) prometheus: Prometheus,
    pub(crate) labels: Labels,
    pub(crate) settled: Settled,
    pub(crate) meters: Meters,
    pub(crate) over: Over,
}

impl App {
    /// A rollout under judgement, as it is now.
    pub(crate) fn watched(&self, rollout: &str) -> Result<Arc<Watched>, Refusal> {
        let snapshot = self.replica.snapshot();
        let watched = snapshot.state.rollouts.get(rollout).cloned();
        watched.ok_or_else(|| Refusal::RolloutNotFound(rollout.to_owned()))
    }

    /// The rollout that counts what is reported of a pipeline.
    pub(crate) fn of_pipeline(&self, pipeline: &str) -> Result<Arc<Watched>, Refusal> {
        let snapshot = self.replica.snapshot();
        let watched = snapshot.state.of_pipeline(pipeline).cloned();
        watched.ok_or_else(|| Refusal::PipelineNotFound(pipeline.to_owned()))
    }

    pub(crate) async fn apply_plan(
        &self,
        command: Command,
        applied: pb::GatePlanApplied,
    ) -> Result<Arc<Watched>, Fault> {
        let offered = u64::try_from(applied.generation).unwrap_or(0);
        let rollout = applied.rollout.clone();
        self.replica
            .execute(&command, |state, _| {
                let known = state.rollouts.get(&applied.rollout).map_or(0, |one| one.generation);
                if offered < known {
                    return Err(Refusal::StaleGeneration { offered, applied: known });
                }
                let event = Kind::GatePlanApplied(applied.clone());
                Ok(if offered == known { Vec::new() } else { vec![draft(event)] })
            })
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(self.watched(&rollout)?)
    }

    /// Judges a gate now; keeps the report unless told not to.
    pub(crate) async fn evaluate(
        &self,
        rollout: &str,
        gate_id: &str,
        keep: Option<Actor>,
    ) -> Result<pb::GateReport, Fault> {
        let watched = self.watched(rollout)?;
        let gate = find_gate(&watched, gate_id)?;
        if let Some(phase) = gate.ends.filter(|phase| *phase != watched.phase_id.as_str()) {
            let current = if watched.phase_id.is_empty() {
                "no phase yet".to_owned()
            } else {
                watched.phase_id.clone()
            };
            let (gate, phase) = (gate.id, phase.to_owned());
            return Err(Refusal::WrongPhase { gate, phase, current }.into());
        }
        let now = self.clock.now();
        let wanted = Wanted {
            spans: Watched::spans(&gate.criteria),
            previous_gate: gate.previous.clone(),
            whole: false,
            queries: Watched::queries(&gate.criteria),
        };
        let Gathered { evidence, .. } = self.gather(&watched, wanted, now).await?;
        let found: Vec<_> =
            gate.criteria.iter().map(|one| (*one, judge(one, &evidence, now))).collect();
        let verdict = overall(found.iter().map(|(_, result)| result));
        let criteria =
            found.into_iter().map(|(criterion, found)| criterion_result(criterion, found));
        let mut report = pb::GateReport {
            name: String::new(),
            gate: format!("{rollout}/gates/{}", gate.id),
            title: gate.title.clone(),
            phase_id: watched.phase_id.clone(),
            generation: signed(watched.phase_generation),
            verdict: wire_verdict(verdict).into(),
            criteria: criteria.collect(),
            approver_roles: gate.approvers.iter().map(ToString::to_string).collect(),
            create_time: Some(wire_time(now)),
            digest: String::new(),
        };
        report.digest = report_digest(&report);
        report.name = format!("{}/reports/{}", report.gate, &report.digest[..16]);
        if let Some(actor) = keep {
            self.keep(&report, actor).await?;
        }
        Ok(report)
    }

    async fn keep(&self, report: &pb::GateReport, actor: Actor) -> Result<(), Fault> {
        let command = command(&self.clock, actor, String::new(), None);
        let event = draft(Kind::ReportKept(report.clone()));
        self.replica
            .execute(&command, |_, _| Ok::<_, Refusal>(vec![event.clone()]))
            .await
            .map_err(|error| refused(DOMAIN, error))?;
        Ok(())
    }
}
