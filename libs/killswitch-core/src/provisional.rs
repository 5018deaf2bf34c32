//! Kills that are in force before the store has taken them.

use std::collections::BTreeMap;
use std::time::Duration;

use vocab::{Actor, Timestamp};

use crate::event::Event;
use crate::scope::Scope;
use crate::switches::{Switch, Switches};

/// A kill that is in force and not stored yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kill {
    /// The switch as it is in force.
    pub switch: Switch,
    /// Who engaged it.
    pub actor: Actor,
    /// How far the journal was known when it was engaged.
    pub revision: u64,
}

/// What one process has told beyond what is stored: kills, and epochs that it must not go below.
/// What is in force is the sum of both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisional {
    floor: u64,
    kills: BTreeMap<String, Kill>,
}

/// Who engages a switch, why and when.
#[derive(Debug, Clone)]
pub struct Given {
    /// Who.
    pub actor: Actor,
    /// Why.
    pub reason: String,
    /// When.
    pub time: Timestamp,
    /// How far the journal is known.
    pub revision: u64,
}

impl Provisional {
    /// New epochs must be above this one.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Epochs go on above `epoch`.
    pub fn raise(&mut self, epoch: u64) {
        self.floor = self.floor.max(epoch);
    }

    /// Puts a kill in force; one that is in force already stays as it is.
    pub fn engage(&mut self, stored: &Switches, scope: Scope, given: Given) -> Switch {
        let epoch = self.epoch(stored).saturating_add(1);
        let id = scope.id();
        if let Some(known) = self.kills.get(&id) {
            return known.switch.clone();
        }
        let Given { actor, reason, time, revision } = given;
        let switch = Switch {
            scope,
            engaged: true,
            epoch,
            reason,
            actor: actor.subject.clone(),
            time,
            drill: false,
            evidence: String::new(),
            ramp: Duration::ZERO,
            pending: None,
        };
        self.floor = epoch;
        self.kills.insert(id, Kill { switch: switch.clone(), actor, revision });
        switch
    }

    /// The highest epoch that was told or is stored.
    #[must_use]
    pub fn epoch(&self, stored: &Switches) -> u64 {
        self.floor.max(stored.epoch)
    }

    /// The kill of a scope that is not stored yet.
    #[must_use]
    pub fn get(&self, scope: &Scope) -> Option<&Kill> {
        self.kills.get(&scope.id())
    }

    /// The kills that are not stored yet.
    pub fn kills(&self) -> impl Iterator<Item = &Kill> {
        self.kills.values()
    }

    /// What is engaged: what is stored, and what is not yet.
    pub fn engaged<'a>(&'a self, stored: &'a Switches) -> impl Iterator<Item = &'a Switch> {
        let unstored = self.kills.values().map(|kill| &kill.switch);
        stored
            .engaged()
            .filter(|switch| !self.kills.contains_key(&switch.scope.id()))
            .chain(unstored)
    }

    /// The event that stores a kill; `None` where the store has it engaged.
    #[must_use]
    pub fn storing(&self, stored: &Switches, kill: &Kill) -> Option<Event> {
        let switch = &kill.switch;
        let already = stored.get(&switch.scope).is_some_and(|known| known.engaged && !known.drill);
        let epoch = self.epoch(stored).saturating_add(1);
        let (scope, reason) = (switch.scope.clone(), switch.reason.clone());
        (!already).then_some(Event::Engaged { scope, epoch, reason, drill: false })
    }

    /// The event after which stored epochs are above everything that was told; `None` where they
    /// are already.
    #[must_use]
    pub fn raising(&self, stored: &Switches) -> Option<Event> {
        let epoch = self.floor.saturating_add(1);
        let worker = String::new();
        (self.floor > stored.epoch).then_some(Event::EpochRaised { epoch, worker })
    }

    /// Forgets a kill that is stored by now.
    pub fn stored(&mut self, scope: &Scope) {
        self.kills.remove(&scope.id());
    }

    /// Whether the store lacks nothing that was told.
    #[must_use]
    pub fn is_stored(&self, stored: &Switches) -> bool {
        self.kills.is_empty() && self.floor <= stored.epoch
    }
}
