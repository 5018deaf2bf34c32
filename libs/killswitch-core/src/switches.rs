//! The switches, as a fold of their events.

use std::collections::BTreeMap;

use vocab::Timestamp;

use crate::scope::Scope;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A scope was stopped.
    Engaged {
        /// What.
        scope: Scope,
        /// The epoch of the change.
        epoch: u64,
        /// Why.
        reason: String,
        /// Whether it is a drill.
        drill: bool,
    },
    /// A scope goes on.
    Released {
        /// What.
        scope: Scope,
        /// The epoch of the change.
        epoch: u64,
        /// Why it is safe.
        reason: String,
        /// Whether it ends a drill.
        drill: bool,
    },
}

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
}

/// Every switch that was ever engaged, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Switches {
    /// The highest epoch.
    pub epoch: u64,
    /// The switches.
    pub by_id: BTreeMap<String, Switch>,
}

/// Why a release is refused. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The switch has changed since the caller looked.
    #[error(
        "the switch is at epoch {current}, not {seen}: look again, and release epoch {current} if \
         that is still right"
    )]
    EpochMismatch {
        /// The epoch the caller saw.
        seen: u64,
        /// The epoch it has.
        current: u64,
    },
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

    /// Applies an event. An epoch that is not above the switch's own changes nothing.
    pub fn apply(&mut self, event: Event, actor: &str, time: Timestamp) {
        let (engaged, (scope, epoch, reason, drill)) = match event {
            Event::Engaged { scope, epoch, reason, drill } => (true, (scope, epoch, reason, drill)),
            Event::Released { scope, epoch, reason, drill } => {
                (false, (scope, epoch, reason, drill))
            }
        };
        if self.get(&scope).is_some_and(|known| known.epoch >= epoch) {
            return;
        }
        self.epoch = self.epoch.max(epoch);
        let actor = actor.to_owned();
        let id = scope.id();
        self.by_id.insert(id, Switch { scope, engaged, epoch, reason, actor, time, drill });
    }
}

/// Stops a scope. Never refused; nothing to do where it is stopped already. A real kill of a
/// scope under drill takes the drill over.
#[must_use]
pub fn engage(switches: &Switches, scope: Scope, reason: String, drill: bool) -> Option<Event> {
    let already = switches.get(&scope).is_some_and(|known| known.engaged && known.drill <= drill);
    (!already).then(|| Event::Engaged { scope, epoch: switches.epoch + 1, reason, drill })
}

/// Lets a scope go on. `None`: it does already.
///
/// # Errors
/// Refuses an epoch other than the switch's own.
pub fn release(
    switches: &Switches,
    scope: Scope,
    seen: u64,
    reason: String,
) -> Result<Option<Event>, Refusal> {
    let known = switches.get(&scope);
    let current = known.map_or(0, |known| known.epoch);
    if seen != current {
        return Err(Refusal::EpochMismatch { seen, current });
    }
    let Some(known) = known.filter(|known| known.engaged) else {
        return Ok(None);
    };
    let (epoch, drill) = (switches.epoch + 1, known.drill);
    Ok(Some(Event::Released { scope, epoch, reason, drill }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vocab::{Pattern, PipelineId};

    use super::*;

    fn pipeline() -> Scope {
        Scope::Pipeline(PipelineId::new("ingestion_v2").unwrap())
    }

    fn after(events: impl IntoIterator<Item = Event>) -> Switches {
        let mut switches = Switches::default();
        events.into_iter().for_each(|event| switches.apply(event, "ada", Timestamp::EPOCH));
        switches
    }

    #[test]
    fn engaging_twice_changes_nothing_the_second_time() {
        let first = engage(&Switches::default(), pipeline(), "bad data".into(), false).unwrap();
        assert_eq!(engage(&after([first]), pipeline(), "again".into(), false), None);
    }

    #[test]
    fn a_release_must_name_the_epoch_it_saw() {
        let engaged = engage(&Switches::default(), pipeline(), "bad data".into(), false).unwrap();
        let switches = after([engaged]);
        let refused = release(&switches, pipeline(), 0, "fine".into());
        assert_eq!(refused, Err(Refusal::EpochMismatch { seen: 0, current: 1 }));
        let released = release(&switches, pipeline(), 1, "fixed".into()).unwrap().unwrap();
        assert!(matches!(released, Event::Released { epoch: 2, .. }));
    }

    #[test]
    fn an_event_with_an_older_epoch_changes_nothing() {
        let mut switches = after([Event::Engaged {
            scope: pipeline(),
            epoch: 5,
            reason: String::new(),
            drill: false,
        }]);
        let stale =
            Event::Released { scope: pipeline(), epoch: 4, reason: String::new(), drill: false };
        switches.apply(stale, "bob", Timestamp::EPOCH);
        assert!(switches.get(&pipeline()).unwrap().engaged);
    }

    #[test]
    fn a_real_kill_takes_over_a_drill() {
        let scope = Scope::Workspace(
            PipelineId::new("ingestion_v2").unwrap(),
            Pattern::new("drill-*").unwrap(),
        );
        let drill = engage(&Switches::default(), scope.clone(), "drill".into(), true).unwrap();
        assert!(engage(&after([drill]), scope, "real".into(), false).is_some());
    }

    proptest! {
        #[test]
        fn epochs_only_rise(commands in proptest::collection::vec(any::<(bool, bool)>(), 1..40)) {
            let mut switches = Switches::default();
            for (engaging, global) in commands {
                let scope = if global { Scope::Global } else { pipeline() };
                let before = switches.epoch;
                let seen = switches.get(&scope).map_or(0, |known| known.epoch);
                let event = if engaging {
                    engage(&switches, scope, String::new(), false)
                } else {
                    release(&switches, scope, seen, String::new()).unwrap()
                };
                let changes = event.is_some();
                event.into_iter().for_each(|event| switches.apply(event, "a", Timestamp::EPOCH));
                prop_assert_eq!(switches.epoch, before + u64::from(changes));
            }
        }
    }
}
