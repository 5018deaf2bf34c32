//! What the watching task holds: the state, what is on disk of it, and for how long to trust it.

use std::path::PathBuf;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::watch_kill_switches_request::Hello;
use killswitch_core::View;

use super::convert::{engaged, reopening, signed, unsigned, wire_scope};
use super::lease::Trust;
use super::reading::Known;
use super::state_file::{self, State};
use super::{Remembered, WatchOptions};
use crate::saver::{Saver, Saving};

/// The state of a process, and who keeps it.
#[derive(Debug)]
pub(super) struct Held {
    view: View,
    trust: Trust,
    told_nothing: Trust,
    trust_max: Option<Duration>,
    generation: u64,
    path: Option<PathBuf>,
    saver: Option<Saver<State>>,
}

impl Held {
    /// Begins with what the state file holds. What cannot be read counts as unknown: everything
    /// is killed until the first word, as without a file.
    pub(super) fn remember(options: &WatchOptions) -> (Self, Remembered) {
        let mut view = View::default();
        let remembered = match options.state_file.as_deref().map(state_file::load) {
            None | Some(Ok(None)) => Remembered::Nothing,
            Some(Ok(Some(State { epoch, engaged }))) => {
                view.take(epoch, engaged);
                Remembered::Epoch(epoch)
            }
            Some(Err(damaged)) => {
                tracing::error!(
                    why = %damaged,
                    "the kept kill switches are damaged: everything is killed until the first word"
                );
                Remembered::Damaged
            }
        };
        let trust = Trust::of(options.policy).at_most(options.trust_max);
        let path = options.state_file.clone();
        let (told_nothing, trust_max) = (trust, options.trust_max);
        let held = Self { view, trust, told_nothing, trust_max, generation: 0, path, saver: None };
        (held, remembered)
    }

    /// Begins to keep what is heard. Must be called inside a runtime.
    pub(super) fn keep(&mut self) {
        let saving = Saving {
            save: state_file::save,
            complaint: "cannot keep the kill switches: no epoch is acknowledged",
        };
        self.saver = self.path.take().map(|path| Saver::start(path, saving));
    }

    pub(super) fn known(&self) -> Known {
        Known { view: self.view.clone(), trust: self.trust }
    }

    pub(super) const fn trust(&self) -> Trust {
        self.trust
    }

    pub(super) fn hello(&self, options: &WatchOptions) -> Hello {
        Hello {
            worker_id: options.worker_id.clone(),
            pipeline: options.pipeline.clone(),
            epoch: signed(self.view.epoch()),
            engaged: self.view.engaged().iter().map(|one| wire_scope(&one.scope)).collect(),
        }
    }

    /// Takes a state in that was heard at `now`, and trusts it from `contact` on; returns the epoch to acknowledge.
    pub(super) fn take(
        &mut self,
        state: &pb::KillState,
        policy: Option<&pb::Policy>,
        contact: Option<Duration>,
        now: Duration,
    ) -> u64 {
        if let Some(policy) = policy {
            self.trust = Trust::read(policy, self.told_nothing).at_most(self.trust_max);
        }
        let epoch = unsigned(state.epoch);
        let engaged = state.engaged.iter().map(engaged).collect();
        let reopening = state.reopening.iter().map(reopening).collect();
        if self.view.take_state(epoch, engaged, reopening, now) {
            tracing::info!(epoch, engaged = self.view.engaged().len(), "kill switches changed");
            self.generation += 1;
            if let Some(saver) = &self.saver {
                let (epoch, engaged) = (self.view.epoch(), self.view.engaged().to_vec());
                saver.save(self.generation, State { epoch, engaged });
            }
        }
        if epoch >= self.view.epoch()
            && let Some(contact) = contact
        {
            self.view.renew(contact);
        }
        self.view.epoch().min(epoch)
    }

    /// Whether a restart would begin with what is held now.
    pub(super) fn is_kept(&self) -> bool {
        self.saver.as_ref().is_none_or(|saver| saver.saved() >= self.generation)
    }

    /// Waits until more of it is on disk; for ever where nothing is kept.
    pub(super) async fn progress(&mut self) {
        match &mut self.saver {
            Some(saver) => saver.progress().await,
            None => std::future::pending().await,
        }
    }
}
