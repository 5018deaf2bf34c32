//! What goes wrong in a rehearsal, and when.

use std::time::Duration;

use gate_core::{BreakerState, Entry, Incident};
use plan::IncidentKind;
use vocab::Timestamp;

use crate::scenario::{Fault, FaultKind};
use crate::world::World;

const HALF_TURN: u64 = 600; // Seconds of a flapping fault on, and off.

/// A fault and how far it has got.
pub(crate) struct Trouble<'a> {
    fault: &'a Fault,
    began: Option<Timestamp>,
    entered: Option<Timestamp>,
    pub(crate) ended: bool,
    turns: u32,
}

impl<'a> Trouble<'a> {
    pub(crate) const fn new(fault: &'a Fault) -> Self {
        Self { fault, began: None, entered: None, ended: false, turns: 0 }
    }

    /// Whether it goes wrong now.
    pub(crate) const fn is_on(&self) -> bool {
        self.began.is_some() && !self.ended
    }

    /// How long uploads that were taken in before a stop are worked on.
    pub(crate) const fn in_flight(&self) -> Duration {
        if self.is_on() { self.fault.in_flight } else { Duration::ZERO }
    }

    /// Whether this kind of thing goes wrong now.
    pub(crate) fn is(&self, kind: FaultKind) -> bool {
        self.fault.kind == kind && self.is_on()
    }

    /// The share of uploads that fails by it.
    pub(crate) fn error_rate(&self, now: Timestamp) -> Option<u32> {
        let began = self.began.filter(|_| self.is_on())?;
        let passed = now.since(began);
        match self.fault.kind {
            FaultKind::Errors => Some(self.fault.rate),
            FaultKind::Flapping => {
                let on = (passed.as_secs() / HALF_TURN).is_multiple_of(2);
                on.then_some(self.fault.rate)
            }
            FaultKind::Leak => {
                let whole = self.fault.lasts.as_secs().max(1);
                let part = u64::from(self.fault.rate) * passed.as_secs().min(whole) / whole;
                u32::try_from(part).ok()
            }
            FaultKind::BreakerOpen
            | FaultKind::BreakerTwice
            | FaultKind::Silence
            | FaultKind::P1Incident
            | FaultKind::DataIntegrity
            | FaultKind::DataCorruption
            | FaultKind::DataLoss => None,
        }
    }

    /// Begins or ends it, when its time has come.
    pub(crate) fn look(&mut self, world: &mut World<'_>) {
        let Some(rollout) = world.rollout() else { return };
        let here = rollout.phase().is_some_and(|phase| phase.id.as_str() == self.fault.phase);
        if here && self.entered.is_none() {
            self.entered = Some(rollout.phase_entered_at);
        }
        let Some(entered) = self.entered else { return };
        if self.began.is_none() && here && world.now.since(entered) >= self.fault.after {
            self.began = Some(world.now);
            world.facts.first_fault.get_or_insert(world.now);
            world.say("fault", format!("{:?} begins", self.fault.kind));
            self.begin(world);
        }
        let Some(began) = self.began.filter(|_| !self.ended) else { return };
        if self.fault.kind == FaultKind::BreakerTwice {
            self.turn(world);
        }
        let fixed = self.fault.until_fixed && world.facts.resumed > 0;
        if fixed || (!self.fault.until_fixed && world.now.since(began) >= self.fault.lasts) {
            self.ended = true;
            world.say("fault", format!("{:?} ends", self.fault.kind));
            if self.fault.kind == FaultKind::BreakerOpen {
                world.record_entry(&Entry::Breaker("fleet".to_owned(), BreakerState::Closed));
            }
        }
    }

    fn begin(&mut self, world: &mut World<'_>) {
        let kind = match self.fault.kind {
            FaultKind::BreakerOpen => {
                return world.record_entry(&Entry::Breaker("fleet".to_owned(), BreakerState::Open));
            }
            FaultKind::P1Incident => IncidentKind::P1,
            FaultKind::DataIntegrity => IncidentKind::DataIntegrity,
            FaultKind::DataCorruption => IncidentKind::DataCorruption,
            FaultKind::DataLoss => IncidentKind::ClientReportedDataLoss,
            FaultKind::Errors
            | FaultKind::Leak
            | FaultKind::Flapping
            | FaultKind::BreakerTwice
            | FaultKind::Silence => return,
        };
        let incident = Incident {
            kind: kind.name().to_owned(),
            declared: Some(world.now),
            ..Incident::default()
        };
        world.record_entry(&Entry::Incident("incident-1".to_owned(), incident));
    }

    /// Opens and closes the breaker, twice.
    fn turn(&mut self, world: &mut World<'_>) {
        const TURNS: u32 = 4;
        if self.turns < TURNS {
            let open = self.turns.is_multiple_of(2);
            let state = if open { BreakerState::Open } else { BreakerState::Closed };
            world.record_entry(&Entry::Breaker("fleet".to_owned(), state));
            self.turns += 1;
        }
    }
}

impl World<'_> {
    /// People close the incidents.
    pub(crate) fn resolve_incidents(&mut self) {
        let evidence = self.evidence(&[], None);
        let open = evidence.sighted.incidents.iter().filter(|(_, one)| one.is_open());
        let ids: Vec<_> = open.map(|(id, one)| (id.clone(), one.clone())).collect();
        for (id, one) in ids {
            let resolved = Incident { resolved: Some(self.now), declared: None, ..one };
            self.record_entry(&Entry::Incident(id.clone(), resolved));
            self.say("sre_lead", format!("resolves {id}"));
        }
    }
}
