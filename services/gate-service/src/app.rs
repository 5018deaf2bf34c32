//! Judging and keeping: decided by the core on evidence gathered here.

use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::gate_event::Kind;
use gate_core::{judge, overall};
use plan::Criterion;
use service_kit::clock::Clock;
use service_kit::fault::Fault;
use service_kit::journaled::{command, refused};
use service_kit::shutdown::Shutdown;
use service_kit::wire::{signed, wire_time};
use store::{Command, Counters, Replica};
use vocab::{Actor, Role};

use crate::convert::{criterion_result, report_digest, wire_verdict};
use crate::error::{DOMAIN, Refusal};
use crate::evidence::spans;
use crate::state::{State, Watched, draft};

/// The service behind its sockets.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) replica: Arc<Replica<State>>,
    pub(crate) counters: Arc<dyn Counters>,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
    pub(crate) gauge_stale_after: Duration,
}

/// A list of criteria with a name.
#[derive(Debug)]
pub(crate) struct GateView<'a> {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) criteria: &'a [Criterion],
    pub(crate) approvers: &'a [Role],
    /// The gate of the phase before, for entries.
    previous: Option<String>,
    /// The phase it ends, for exits.
    ends: Option<&'a str>,
}

/// Finds a gate of the plan: an exit gate by its id, or `{phase}-entry`.
pub(crate) fn find_gate<'a>(watched: &'a Watched, id: &str) -> Result<GateView<'a>, Refusal> {
    let phases = &watched.plan.phases;
    let mut known = Vec::new();
    for (index, phase) in phases.iter().enumerate() {
        let entry = format!("{}-entry", phase.id.as_str().to_lowercase());
        if entry == id {
            let before = index.checked_sub(1).and_then(|index| phases.get(index));
            return Ok(GateView {
                id: entry,
                title: format!("Entry of {}", phase.id),
                criteria: &phase.entry,
                approvers: &[],
                previous: before.and_then(|phase| Some(phase.gate.as_ref()?.id.to_string())),
                ends: None,
            });
        }
        known.push(entry);
        if let Some(gate) = &phase.gate {
            if gate.id.as_str() == id {
                return Ok(GateView {
                    id: gate.id.to_string(),
                    title: gate.title.clone(),
                    criteria: &gate.criteria,
                    approvers: &gate.approvers,
                    previous: None,
                    ends: Some(phase.id.as_str()),
                });
            }
            known.push(gate.id.to_string());
        }
    }
    Err(Refusal::GateNotFound { gate: id.to_owned(), known })
}

impl App {
    /// A rollout under judgement, as it is now.
    pub(crate) fn watched(&self, rollout: &str) -> Result<Watched, Refusal> {
        let snapshot = self.replica.snapshot();
        let watched = snapshot.state.rollouts.get(rollout).cloned();
        watched.ok_or_else(|| Refusal::RolloutNotFound(rollout.to_owned()))
    }

    pub(crate) async fn apply_plan(
        &self,
        command: Command,
        applied: pb::GatePlanApplied,
    ) -> Result<Watched, Fault> {
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
        if let Some(phase) = gate.ends.filter(|phase| *phase != watched.phase_id) {
            let current = if watched.phase_id.is_empty() {
                "no phase yet".to_owned()
            } else {
                watched.phase_id.clone()
            };
            let (gate, phase) = (gate.id, phase.to_owned());
            return Err(Refusal::WrongPhase { gate, phase, current }.into());
        }
        let now = self.clock.now();
        let previous = gate.previous.clone();
        let evidence = self.evidence(&watched, previous, &spans(gate.criteria), now).await?;
        let found: Vec<_> =
            gate.criteria.iter().map(|one| (one, judge(one, &evidence, now))).collect();
        let verdict = overall(found.iter().map(|(_, result)| result.verdict));
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
