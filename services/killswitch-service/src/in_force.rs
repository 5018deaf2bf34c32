//! What is in force: what the journal says, and kills that the store has not taken yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use contracts::killswitch as pb;
use killswitch_core::{Given, Kill, Provisional, Scope, Switches};
use service_kit::wire::signed;
use store::{Replica, Snapshot};
use tokio::sync::{Notify, watch};
use vocab::Timestamp;

use crate::convert;
use crate::state::State;

/// What every watcher is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) epoch: u64,
    pub(crate) stored: Snapshot<State>,
    pub(crate) provisional: Provisional,
    engaged: Vec<pb::KillSwitch>,
}

/// What is in force in this process, and its changes.
#[derive(Debug)]
pub(crate) struct InForce {
    replica: Arc<Replica<State>>,
    survives: String,
    provisional: Mutex<Provisional>,
    told: watch::Sender<Arc<Told>>,
    /// There is something to store.
    pub(crate) unstored: Notify,
}

impl InForce {
    pub(crate) fn new(replica: Arc<Replica<State>>, survives: String) -> Self {
        let told = Told::of(replica.snapshot(), Provisional::default(), &survives);
        let (provisional, told) = (Mutex::default(), watch::Sender::new(Arc::new(told)));
        Self { replica, survives, provisional, told, unstored: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Provisional> {
        self.provisional.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told.borrow())
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Told>> {
        self.told.subscribe()
    }

    /// What the stored change survives.
    pub(crate) fn survives(&self) -> &str {
        &self.survives
    }

    /// Tells what is in force now, where that is news.
    pub(crate) fn publish(&self) -> Arc<Told> {
        self.change(|_, _| ()).1
    }

    /// Changes what is in force beyond the store, and tells it at once.
    fn change<T>(&self, change: impl FnOnce(&mut Provisional, &Switches) -> T) -> (T, Arc<Told>) {
        let mut provisional = self.lock();
        let stored = self.replica.snapshot();
        let known = provisional.clone();
        let done = change(&mut provisional, &stored.state.switches);
        let before = self.told();
        if before.stored.version == stored.version && known == *provisional {
            return (done, before);
        }
        let told = Arc::new(Told::of(stored, provisional.clone(), &self.survives));
        self.told.send_replace(Arc::clone(&told));
        (done, told)
    }

    /// Puts a kill in force without the store.
    pub(crate) fn engage(&self, scope: &Scope, given: Given) -> Arc<Told> {
        let scope = scope.clone();
        let (_, told) = self.change(|provisional, stored| {
            provisional.engage(stored, scope, given);
        });
        self.unstored.notify_one();
        told
    }

    /// Epochs go on above `epoch`.
    pub(crate) fn raise(&self, epoch: u64) {
        self.change(|provisional, _| provisional.raise(epoch));
        self.unstored.notify_one();
    }

    /// Forgets a kill that is stored by now.
    pub(crate) fn stored(&self, scope: &Scope) {
        self.change(|provisional, _| provisional.stored(scope));
    }

    pub(crate) fn provisional(&self) -> Provisional {
        self.lock().clone()
    }

    pub(crate) fn kills(&self) -> Vec<Kill> {
        self.lock().kills().cloned().collect()
    }

    /// New epochs must be above this one.
    pub(crate) fn floor(&self) -> u64 {
        self.lock().floor()
    }

    /// The switch of a scope, as it is in force.
    pub(crate) fn kill_switch(&self, told: &Told, scope: &Scope) -> pb::KillSwitch {
        match told.provisional.get(scope) {
            Some(kill) => convert::wire_switch(&kill.switch, None),
            None => convert::kill_switch(&told.stored.state.switches, scope, Some(&self.survives)),
        }
    }
}

impl Told {
    /// How many switches are engaged.
    pub(crate) fn engaged_count(&self) -> usize {
        self.engaged.len()
    }

    fn of(stored: Snapshot<State>, provisional: Provisional, survives: &str) -> Self {
        let switches = &stored.state.switches;
        let engaged = provisional.engaged(switches).map(|switch| {
            let unstored = provisional.get(&switch.scope).is_some();
            convert::wire_switch(switch, (!unstored).then_some(survives))
        });
        let engaged = engaged.collect();
        Self { epoch: provisional.epoch(switches), stored, provisional, engaged }
    }

    /// The state as watchers hear it at `now`. `real` turns stretches of the house's time into
    /// those of the watchers.
    pub(crate) fn kill_state(
        &self,
        now: Timestamp,
        real: impl Fn(std::time::Duration) -> std::time::Duration,
    ) -> pb::KillState {
        let reopening = self.stored.state.switches.reopening(now);
        let unstored = |scope: &Scope| self.provisional.get(scope).is_some();
        let reopening =
            reopening.filter(|(switch, _)| !unstored(&switch.scope)).map(|(switch, elapsed)| {
                pb::Reopening {
                    scope: Some(convert::wire_scope(&switch.scope)),
                    epoch: signed(switch.epoch),
                    elapsed_duration: real(elapsed).try_into().ok(),
                    ramp_duration: real(switch.ramp).try_into().ok(),
                }
            });
        pb::KillState {
            epoch: signed(self.epoch),
            engaged: self.engaged.clone(),
            reopening: reopening.collect(),
        }
    }
}
