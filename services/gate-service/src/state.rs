//! What the journal says: plans, phases, attestations, sightings, kept reports, triggers, days.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::gate as pb;
use contracts::gate::breaker_transition::State as WireBreaker;
use contracts::gate::gate_event::Kind;
use contracts::gate::incident::State as WireIncident;
use contracts::gate::sighting::Kind as Sight;
use gate_core::{BreakerState, Incident, Sighted};
use prost::Message as _;
use service_kit::wire::{signed, time_of};
use store::{Draft, Projection, Record};
use tonic::Status;
use vocab::Timestamp;

use crate::convert::{incident_kind, standing, transition_name};
use crate::watched::{Kept, Watched};

const REPORTS_KEPT_MAX: usize = 500; // Per rollout, in memory; the journal keeps all.

/// Everything, by rollout name. Copying it copies no rollout.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) rollouts: BTreeMap<String, Arc<Watched>>,
    pub(crate) drill_cursor: u64,
    /// How far communications have been followed.
    pub(crate) communication_cursor: u64,
}

impl State {
    /// The rollout that counts the outcomes of a pipeline.
    pub(crate) fn of_pipeline(&self, pipeline: &str) -> Option<&Arc<Watched>> {
        self.rollouts.values().find(|watched| watched.plan().pipeline.as_str() == pipeline)
    }

    /// Whether anything is known of a communication in the phase a rollout is in.
    pub(crate) fn has_heard_of(&self, rollout: &str, event: &str) -> bool {
        let watched = self.rollouts.get(rollout);
        watched.is_some_and(|one| one.communications.contains_key(event))
    }

    fn of_name(&mut self, rollout: &str) -> Option<&mut Watched> {
        self.rollouts.get_mut(rollout).map(Arc::make_mut)
    }

    fn apply_plan(&mut self, applied: &pb::GatePlanApplied, at: Timestamp) -> Result<(), String> {
        let known = self.rollouts.remove(&applied.rollout);
        let known = known.map(|known| Arc::try_unwrap(known).unwrap_or_else(|it| (*it).clone()));
        let mut watched = Watched::follow(known, applied)?;
        watched.at_share(applied.percentage_basis_points, at);
        self.rollouts.insert(applied.rollout.clone(), Arc::new(watched));
        Ok(())
    }

    fn apply_attestation(&mut self, attestation: pb::Attestation) {
        let name = attestation.name.clone();
        let Some((rollout, criterion)) = name.split_once("/criteria/") else { return };
        if let Some(watched) = self.of_name(rollout) {
            watched.stated(criterion, attestation);
        }
    }

    fn apply_sighting(&mut self, sighting: &pb::Sighting, number: u64) {
        let at = time_of(sighting.occur_time.as_ref());
        if let Some(Sight::DrillPassed(drill)) = &sighting.kind {
            self.drill_cursor = self.drill_cursor.max(u64::try_from(drill.revision).unwrap_or(0));
        }
        let own = self.rollouts.values_mut();
        for watched in own.filter(|one| one.plan().pipeline.as_str() == sighting.pipeline) {
            // What ends now may have begun before the phase.
            let ends = ends(sighting.kind.as_ref());
            if at >= watched.start_time || ends {
                see(&mut Arc::make_mut(watched).sighted, sighting.kind.as_ref(), at, number);
            }
        }
    }

    fn apply_communication(&mut self, seen: pb::CommunicationSeen) {
        let revision = u64::try_from(seen.revision).unwrap_or(0);
        self.communication_cursor = self.communication_cursor.max(revision);
        let happened = time_of(seen.occur_time.as_ref());
        if let Some(watched) = self.of_name(&seen.rollout)
            && happened >= watched.start_time
        {
            watched.told(seen);
        }
    }

    fn apply_trigger(&mut self, event: &pb::TriggerEvent) {
        let since = time_of(event.occur_time.as_ref());
        if let Some(watched) = self.of_name(&event.rollout) {
            let kept = Kept { state: standing(event), since };
            watched.standings.insert(event.trigger.clone(), kept);
        }
    }
}

const fn ends(kind: Option<&Sight>) -> bool {
    matches!(kind, Some(Sight::Incident(_)))
}

fn see(sighted: &mut Sighted, kind: Option<&Sight>, at: Timestamp, number: u64) {
    match kind {
        Some(Sight::BreakerTransition(transition)) => {
            let state = match transition.state() {
                WireBreaker::Open => BreakerState::Open,
                WireBreaker::HalfOpen => BreakerState::HalfOpen,
                WireBreaker::Closed => BreakerState::Closed,
                WireBreaker::Unspecified => return,
            };
            let breaker = sighted.breakers.entry(transition.breaker_id.clone()).or_default();
            breaker.entered(state, at, number);
        }
        Some(Sight::StateTransition(transition)) => {
            sighted.transitions.insert(transition_name(transition));
        }
        Some(Sight::ManualIntervention(_)) => sighted.intervened(at, number),
        Some(Sight::DrillPassed(_)) => sighted.drilled(at),
        Some(Sight::Incident(incident)) => {
            tell(sighted.incidents.entry(incident.incident_id.clone()).or_default(), incident, at);
        }
        None => {}
    }
}

/// Order does not matter: the newest declaration and the newest end count.
fn tell(known: &mut Incident, incident: &pb::Incident, at: Timestamp) {
    match incident.state() {
        WireIncident::Declared if known.declared <= Some(at) => {
            incident_kind(incident.kind()).clone_into(&mut known.kind);
            known.declared = Some(at);
            known.title.clone_from(&incident.title);
            known.client_facing = incident.client_facing;
        }
        WireIncident::Resolved => known.resolved = known.resolved.max(Some(at)),
        WireIncident::Declared | WireIncident::Unspecified => {}
    }
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        let event = pb::GateEvent::decode(record.payload.as_slice()).map_err(|e| e.to_string())?;
        match event.kind {
            Some(Kind::GatePlanApplied(applied)) => self.apply_plan(&applied, record.time)?,
            Some(
                Kind::CriterionAttested(attestation) | Kind::AttestationWithdrawn(attestation),
            ) => {
                self.apply_attestation(attestation);
            }
            Some(Kind::ReportKept(report)) => {
                let rollout = report.name.split("/gates/").next().unwrap_or_default().to_owned();
                if let Some(watched) = self.of_name(&rollout) {
                    watched.reports.push_front(Arc::new(report));
                    watched.reports_kept += 1;
                    watched.reports.truncate(REPORTS_KEPT_MAX);
                }
            }
            Some(Kind::Sighting(sighting)) => self.apply_sighting(&sighting, record.version),
            Some(Kind::TriggerChanged(event)) => self.apply_trigger(&event),
            Some(Kind::GaDayRecorded(recorded)) => {
                let generation = u64::try_from(recorded.phase_generation).unwrap_or(0);
                if let (Some(watched), Some(day)) = (self.of_name(&recorded.rollout), recorded.day)
                    && watched.phase_generation == generation
                {
                    watched.judged(day);
                }
            }
            Some(Kind::CommunicationSeen(seen)) => self.apply_communication(seen),
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
        Kind::CommunicationSeen(_) => "CommunicationSeen",
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
