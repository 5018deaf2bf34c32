//! Everything that is the case in a rehearsal, and how it changes: by events of the cores alone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use comms_core::Standing as Told;
use flag_core::Flag;
use gate_core::{
    Attested, Day, Entry, Evidence, Recorded, Standing, Watched, consecutive_days, watched,
};
use killswitch_core::{Scope, Switches};
use plan::{Criterion, Plan};
use rollout_core::{Event, Outcome, Rollout, Rollouts, Stamp};
use vocab::Timestamp;

use crate::fleet::Fleet;
use crate::outcome::Line;
use crate::scenario::Scenario;

pub(crate) const ROLLOUT: &str = "rollouts/rehearsal";
const GAUGE_AGE_MAX_MS: u64 = 86_400_000;

/// Everything that is the case.
pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) scenario: &'a Scenario,
    pub(crate) now: Timestamp,
    pub(crate) rollouts: Rollouts,
    pub(crate) recorded: Recorded,
    pub(crate) limits_ms: Vec<u64>,
    pub(crate) standings: BTreeMap<String, Standing>,
    pub(crate) looked_at: Option<Timestamp>,
    pub(crate) cursor: u64,
    pub(crate) switches: Switches,
    pub(crate) flag: Option<Flag>,
    pub(crate) passed_gates: BTreeSet<String>,
    pub(crate) fleet: Fleet,
    pub(crate) attested: BTreeMap<String, Vec<Attested>>,
    pub(crate) days: Vec<Day>,
    /// What everybody it is for has been told of in this phase.
    pub(crate) communications: BTreeMap<String, gate_core::Told>,
    /// Where the rollout stands, as far as people are told.
    pub(crate) told: Told,
    /// What is watched, by the plan.
    pub(crate) rules: Rc<[Watched<'a>]>,
    /// In which generation, and when, breaker and kill switch were last exercised.
    pub(crate) exercised: Option<(u64, Timestamp)>,
    /// Uploads a day, and the generation and kill they follow from.
    pub(crate) rate_by: ((u64, bool), f64),
    /// Uploads a day while there were any.
    pub(crate) last_rate: f64,
    pub(crate) facts: Facts,
    lines: Vec<Line>,
    pub(crate) revision: u64,
}

/// What is compared with what is expected.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) acted: Vec<String>,
    pub(crate) back_to: Vec<String>,
    pub(crate) pauses: usize,
    pub(crate) first_fault: Option<Timestamp>,
    pub(crate) first_action: Option<Timestamp>,
    pub(crate) advice: Vec<String>,
    pub(crate) overdue: Vec<String>,
    pub(crate) warned: BTreeSet<String>,
    pub(crate) resumed: usize,
    pub(crate) uploads: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        plan: &'a Plan,
        scenario: &'a Scenario,
        limits_ms: Vec<u64>,
        seed: u64,
    ) -> Self {
        Self {
            plan,
            scenario,
            now: scenario.start,
            rollouts: Rollouts::default(),
            recorded: Recorded::default(),
            limits_ms,
            standings: BTreeMap::new(),
            looked_at: None,
            cursor: 0,
            switches: Switches::default(),
            flag: None,
            passed_gates: BTreeSet::new(),
            fleet: Fleet::new(&scenario.fleet, seed),
            attested: BTreeMap::new(),
            days: Vec::new(),
            communications: BTreeMap::new(),
            told: Told::default(),
            rules: watched(plan).into(),
            exercised: None,
            rate_by: ((u64::MAX, false), 0.0),
            last_rate: 0.0,
            facts: Facts::default(),
            lines: Vec::new(),
            revision: 0,
        }
    }

    pub(crate) fn rollout(&self) -> Option<&Rollout> {
        self.rollouts.by_name.get(ROLLOUT)
    }

    pub(crate) fn into_lines(self) -> (Vec<Line>, Facts) {
        (self.lines, self.facts)
    }

    pub(crate) fn say(&mut self, actor: &str, text: impl Into<String>) {
        let phase = self.rollout().and_then(Rollout::phase);
        let phase = phase.map_or_else(String::new, |phase| phase.id.to_string());
        self.lines.push(Line { at: self.now, phase, actor: actor.to_owned(), text: text.into() });
    }

    pub(crate) fn record_entry(&mut self, entry: &Entry) {
        self.recorded.add(self.now, entry, &self.limits_ms);
    }

    /// Records what was decided: the state, the timeline, who is told.
    pub(crate) fn record(&mut self, events: &[Event], actor: &str) {
        for event in events {
            self.revision += 1;
            let stamp = Stamp { time: self.now, actor: actor.to_owned(), revision: self.revision };
            self.rollouts.apply(event, &stamp);
            self.note(event);
            let quiet = matches!(
                event,
                Event::GenerationApplied { .. }
                    | Event::PlanStored { .. }
                    | Event::MetricsSampled { .. }
            );
            if !quiet {
                self.say(actor, event.describe());
            }
            self.tell(event, actor);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "only some events are facts to compare")]
    fn note(&mut self, event: &Event) {
        let now = self.now;
        match event {
            Event::TriggerSeen { firing, outcome: Outcome::Acted, .. } => {
                self.facts.acted.push(firing.id.clone());
                self.facts.first_action.get_or_insert(now);
            }
            Event::Paused { .. } => self.facts.pauses += 1,
            Event::Resumed { .. } => self.facts.resumed += 1,
            Event::PhaseOverdue { phase_id, .. } => self.facts.overdue.push(phase_id.clone()),
            Event::PhaseEntered { .. } | Event::PhaseReentered { .. } => {
                if let Event::PhaseReentered { phase_id, .. } = event {
                    self.facts.back_to.push(phase_id.clone());
                }
                self.recorded.enter_phase();
                self.standings.clear();
                self.attested.clear();
                self.days.clear();
                self.communications.clear();
            }
            _ => {}
        }
    }

    /// Whether the pipeline is stopped.
    pub(crate) fn is_killed(&self) -> bool {
        let pipeline = Scope::Pipeline(self.plan.pipeline.clone()).id();
        self.switches.engaged().any(|switch| {
            let id = switch.scope.id();
            id == pipeline || id == Scope::Global.id()
        })
    }

    /// What verdicts may rest on now.
    pub(crate) fn evidence(&self, criteria: &[&Criterion], next: Option<usize>) -> Evidence {
        let rollout = self.rollout();
        let start = rollout.map_or(self.scenario.start, |rollout| rollout.phase_entered_at);
        let mut evidence =
            self.recorded.evidence((self.plan, &self.rules), start, criteria, self.now);
        evidence.gauge_age_max_ms = GAUGE_AGE_MAX_MS;
        evidence.attested.clone_from(&self.attested);
        evidence.passed_gates.clone_from(&self.passed_gates);
        let before = next.and_then(|next| next.checked_sub(1));
        let before = before.and_then(|before| self.plan.phases.get(before));
        evidence.previous_gate =
            before.and_then(|phase| phase.gate.as_ref()).map(|gate| gate.id.to_string());
        evidence.percentage_basis_points = rollout.map_or(0, |rollout| rollout.exposure.get());
        evidence.ga_days = (consecutive_days(&self.days), self.plan.ga.consecutive_days);
        evidence.communications.clone_from(&self.communications);
        evidence
    }
}
