//! The switches, as a fold of their events.

use std::collections::BTreeMap;
use std::time::Duration;

use vocab::{PipelineId, Timestamp};

use crate::event::{Event, Rules};
use crate::scope::Scope;

/// One switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// What it stops.
    pub scope: Scope,
    /// Whether it is engaged.
    pub engaged: bool,
    /// The epoch of its last change.
    pub epoch: u64,
    /// Why it was last changed.
    pub reason: String,
    /// Who last changed it.
    pub actor: String,
    /// When it last changed.
    pub time: Timestamp,
    /// Whether it was engaged as a drill.
    pub drill: bool,
    /// The evidence that its release was given; empty while it is engaged.
    pub evidence: String,
    /// Time from its release until everybody goes on.
    pub ramp: Duration,
    /// A release that waits for a second person.
    pub pending: Option<PendingRelease>,
}

/// A release that one person asked for and another must confirm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRelease {
    /// Who asked.
    pub actor: String,
    /// Why it is safe.
    pub reason: String,
    /// The evidence for the resume criterion, a link.
    pub evidence: String,
    /// When it was asked for.
    pub time: Timestamp,
}

/// Every switch that was ever engaged, by id, and the rules of the plans.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switches {
    /// The highest epoch.
    pub epoch: u64,
    /// The switches.
    pub by_id: BTreeMap<String, Switch>,
    /// The rules, by pipeline.
    pub rules: BTreeMap<String, Rules>,
}

impl Switches {
    /// The switch of a scope, if it was ever engaged.
    #[must_use]
    pub fn get(&self, scope: &Scope) -> Option<&Switch> {
        self.by_id.get(&scope.id())
    }

    /// The switches that are engaged.
    pub fn engaged(&self) -> impl Iterator<Item = &Switch> {
        self.by_id.values().filter(|switch| switch.engaged)
    }

    /// The switches that are let go on bit by bit at `now`, and for how long already.
    pub fn reopening(&self, now: Timestamp) -> impl Iterator<Item = (&Switch, Duration)> {
        let released = self.by_id.values().filter(|switch| !switch.engaged);
        released
            .map(move |switch| (switch, now.since(switch.time)))
            .filter(|(switch, elapsed)| *elapsed < switch.ramp)
    }

    /// The rules of a pipeline, where its plan has spoken.
    #[must_use]
    pub fn rules(&self, pipeline: &str) -> Option<&Rules> {
        self.rules.get(pipeline)
    }

    /// Whether releasing the scope takes a second person. Everything: where any plan wants one.
    #[must_use]
    pub fn takes_two(&self, scope: &Scope) -> bool {
        let of = |pipeline: &PipelineId| self.rules(pipeline.as_str()).is_some_and(second);
        match scope {
            Scope::Global => self.rules.values().any(second),
            Scope::Pipeline(pipeline)
            | Scope::Cohort(pipeline, _)
            | Scope::Workspace(pipeline, _) => of(pipeline),
        }
    }

    /// Applies an event. A change whose epoch is not above the switch's own changes nothing.
    pub fn apply(&mut self, event: Event, actor: &str, time: Timestamp) {
        let actor = actor.to_owned();
        match event {
            Event::Engaged { scope, epoch, reason, drill } => self.put(Switch {
                scope,
                engaged: true,
                epoch,
                reason,
                actor,
                time,
                drill,
                evidence: String::new(),
                ramp: Duration::ZERO,
                pending: None,
            }),
            Event::Released { scope, epoch, reason, drill, evidence, ramp } => self.put(Switch {
                scope,
                engaged: false,
                epoch,
                reason,
                actor,
                time,
                drill,
                evidence,
                ramp,
                pending: None,
            }),
            Event::ReleaseRequested { scope, epoch, reason, evidence } => {
                let known = self.by_id.get_mut(&scope.id());
                if let Some(known) = known.filter(|known| known.engaged && known.epoch == epoch) {
                    known.pending = Some(PendingRelease { actor, reason, evidence, time });
                }
            }
            Event::EpochRaised { epoch, .. } => self.epoch = self.epoch.max(epoch),
            Event::RulesTaken(rules) => {
                let pipeline = rules.pipeline.to_string();
                let newer = |known: &Rules| known.generation < rules.generation;
                if self.rules.get(&pipeline).is_none_or(newer) {
                    self.rules.insert(pipeline, rules);
                }
            }
        }
    }

    fn put(&mut self, switch: Switch) {
        if self.get(&switch.scope).is_some_and(|known| known.epoch >= switch.epoch) {
            return;
        }
        self.epoch = self.epoch.max(switch.epoch);
        self.by_id.insert(switch.scope.id(), switch);
    }
}

const fn second(rules: &Rules) -> bool {
    rules.second_person
}
