//! What the journal says: plans, phases, attestations, sightings, kept reports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use contracts::gate as pb;
use contracts::gate::breaker_transition::State as BreakerState;
use contracts::gate::gate_event::Kind;
use contracts::gate::sighting::Kind as Sight;
use gate_core::Sighted;
use plan::Plan;
use prost::Message as _;
use service_kit::wire::{signed, time_of};
use store::{Draft, Projection, Record};
use tonic::Status;
use vocab::Timestamp;

use crate::convert::transition_name;

const REPORTS_KEPT_MAX: usize = 500; // Per rollout, in memory; the journal keeps all.
const OCCURRENCES_MAX: usize = 1_000; // Of breaker openings and interventions in one phase.

/// A rollout under judgement.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) rollout: String,
    pub(crate) plan: Arc<Plan>,
    pub(crate) plan_source: Vec<u8>,
    pub(crate) generation: u64,
    pub(crate) phase_generation: u64,
    pub(crate) phase_id: String,
    pub(crate) start_time: Timestamp,
    pub(crate) passed_gates: BTreeSet<String>,
    pub(crate) sighted: Sighted,
    pub(crate) attestations: BTreeMap<String, pb::Attestation>,
    pub(crate) reports: VecDeque<Arc<pb::GateReport>>,
    /// How many were ever kept.
    pub(crate) reports_kept: u64,
}

/// Everything, by rollout name.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) rollouts: BTreeMap<String, Watched>,
    pub(crate) drill_cursor: u64,
}

impl State {
    /// The rollout that counts the outcomes of a pipeline.
    pub(crate) fn of_pipeline(&self, pipeline: &str) -> Option<&Watched> {
        self.rollouts.values().find(|watched| watched.plan.pipeline.as_str() == pipeline)
    }

    fn apply_plan(&mut self, applied: pb::GatePlanApplied) -> Result<(), String> {
        let generation = u64::try_from(applied.generation).unwrap_or(0);
        let phase_generation = u64::try_from(applied.phase_generation).unwrap_or(0);
        let known = self.rollouts.remove(&applied.rollout);
        let plan = match &known {
            Some(known) if known.plan_source == applied.plan_source => Arc::clone(&known.plan),
            Some(_) | None => Arc::new(read_plan(&applied.plan_source)?),
        };
        let reports_kept = known.as_ref().map_or(0, |known| known.reports_kept);
        let (sighted, attestations, reports) = match known {
            Some(known) if known.phase_generation == phase_generation => {
                (known.sighted, known.attestations, known.reports)
            }
            Some(known) => (after_phase(known.sighted), BTreeMap::new(), known.reports),
            None => (Sighted::default(), BTreeMap::new(), VecDeque::new()),
        };
        let watched = Watched {
            rollout: applied.rollout.clone(),
            plan,
            plan_source: applied.plan_source,
            generation,
            phase_generation,
            phase_id: applied.phase_id,
            start_time: time_of(applied.start_time.as_ref()),
            passed_gates: applied.passed_gates.into_iter().collect(),
            sighted,
            attestations,
            reports,
            reports_kept,
        };
        self.rollouts.insert(applied.rollout, watched);
        Ok(())
    }

    fn apply_attestation(&mut self, attestation: pb::Attestation) {
        let Some((rollout, criterion)) = attestation.name.split_once("/criteria/") else { return };
        if let Some(watched) = self.rollouts.get_mut(rollout) {
            watched.attestations.insert(criterion.to_owned(), attestation);
        }
    }

    fn apply_sighting(&mut self, sighting: pb::Sighting) {
        let at = time_of(sighting.occur_time.as_ref());
        if let Some(Sight::DrillPassed(drill)) = &sighting.kind {
            self.drill_cursor = self.drill_cursor.max(u64::try_from(drill.revision).unwrap_or(0));
        }
        let own = self.rollouts.values_mut();
        for watched in own.filter(|one| one.plan.pipeline.as_str() == sighting.pipeline) {
            if at >= watched.start_time {
                see(&mut watched.sighted, sighting.kind.as_ref(), at);
            }
        }
    }
}

/// What a new phase begins with: a breaker stays OPEN until it is said to be CLOSED.
fn after_phase(mut sighted: Sighted) -> Sighted {
    let mut fresh = Sighted::default();
    for (id, mut breaker) in std::mem::take(&mut sighted.breakers) {
        breaker.recovered = false;
        if breaker.open_since.is_some() {
            fresh.breakers.insert(id, breaker);
        }
    }
    fresh
}

fn see(sighted: &mut Sighted, kind: Option<&Sight>, at: Timestamp) {
    match kind {
        Some(Sight::BreakerTransition(transition)) => {
            let state = transition.state();
            let breaker = sighted.breakers.entry(transition.breaker_id.clone()).or_default();
            match state {
                BreakerState::Open => {
                    if breaker.open_since.is_none()
                        && sighted.breaker_opened.len() < OCCURRENCES_MAX
                    {
                        sighted.breaker_opened.push(at);
                    }
                    breaker.open_since.get_or_insert(at);
                }
                BreakerState::Closed => {
                    breaker.recovered |= breaker.open_since.take().is_some();
                }
                BreakerState::HalfOpen | BreakerState::Unspecified => {}
            }
        }
        Some(Sight::StateTransition(transition)) => {
            sighted.transitions.insert(transition_name(transition));
        }
        Some(Sight::ManualIntervention(_)) if sighted.interventions.len() < OCCURRENCES_MAX => {
            sighted.interventions.push(at);
        }
        Some(Sight::DrillPassed(_)) => sighted.drill = Some(at),
        Some(Sight::ManualIntervention(_) | Sight::Incident(_)) | None => {}
    }
}

pub(crate) fn read_plan(source: &[u8]) -> Result<Plan, String> {
    let text = std::str::from_utf8(source).map_err(|error| error.to_string())?;
    Plan::parse(text)
        .map(|(plan, _)| plan)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        let event = pb::GateEvent::decode(record.payload.as_slice()).map_err(|e| e.to_string())?;
        match event.kind {
            Some(Kind::GatePlanApplied(applied)) => self.apply_plan(applied)?,
            Some(
                Kind::CriterionAttested(attestation) | Kind::AttestationWithdrawn(attestation),
            ) => {
                self.apply_attestation(attestation);
            }
            Some(Kind::ReportKept(report)) => {
                let rollout = report.name.split("/gates/").next().unwrap_or_default();
                if let Some(watched) = self.rollouts.get_mut(rollout) {
                    watched.reports.push_front(Arc::new(report));
                    watched.reports_kept += 1;
                    watched.reports.truncate(REPORTS_KEPT_MAX);
                }
            }
            Some(Kind::Sighting(sighting)) => self.apply_sighting(sighting),
            Some(Kind::TriggerChanged(_) | Kind::GaDayRecorded(_)) => {}
            None => return Err("an event of a kind this version does not know".to_owned()),
        }
        Ok(())
    }
}

pub(crate) fn draft(kind: Kind) -> Draft {
    let name = match &kind {
        Kind::GatePlanApplied(_) => "GatePlanApplied",
        Kind::CriterionAttested(_) => "CriterionAttested",
        Kind::AttestationWithdrawn(_) => "AttestationWithdrawn",
        Kind::ReportKept(_) => "ReportKept",
        Kind::Sighting(_) => "Sighting",
        Kind::TriggerChanged(_) => "TriggerChanged",
        Kind::GaDayRecorded(_) => "GaDayRecorded",
    };
    let payload = pb::GateEvent { kind: Some(kind) }.encode_to_vec();
    Draft { kind: name.to_owned(), payload }
}

/// What a record tells those who watch triggers; `None` where it is about something else.
pub(crate) fn happened(record: &Record) -> Result<Option<pb::WatchTriggersResponse>, Status> {
    let event = pb::GateEvent::decode(record.payload.as_slice());
    let event = event.map_err(|error| Status::data_loss(error.to_string()))?;
    let Some(Kind::TriggerChanged(event)) = event.kind else { return Ok(None) };
    Ok(Some(pb::WatchTriggersResponse {
        revision: signed(record.version),
        traceparent: record.traceparent.clone(),
        event: Some(event),
    }))
}
