//! The kill switch as one process knows it, kept current by a stream that it acknowledges.

mod convert;
mod held;
mod lease;
mod reading;
mod state_file;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch::worker::Breaker as WireBreaker;
use credentials::Credentials;
use killswitch_core::{Policy, Scope, Target};
use tokio::sync::watch;
use vocab::Invalid;

use crate::Way;
use crate::clock::at_latest_ns;
use held::Held;
use reading::Reading;
use stream::Listener;

/// How to watch.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Identifies the watcher, e.g. `worker-1`.
    pub worker_id: String,
    /// The pipeline served; drills count its watchers.
    pub pipeline: String,
    /// What to do in silence, until the service says what the pipeline's plan wants. Where it does
    /// not fail closed, the last state is kept for an hour at most.
    pub policy: Policy,
    /// How long a word is trusted at most, whatever policy the service tells; no bound where
    /// `None`.
    pub trust_max: Option<Duration>,
    /// Where to keep the highest state, of one process alone; nothing is kept where `None`. No
    /// epoch is acknowledged before it is kept.
    pub state_file: Option<PathBuf>,
    /// Whom to trust, and what to show.
    pub credentials: Credentials,
}

/// What a process began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// Nothing was kept.
    Nothing,
    /// The state of this epoch: no older one is applied any more.
    Epoch(u64),
    /// Something was kept and cannot be read.
    Damaged,
}

/// How a worker's circuit breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Work goes through.
    Closed,
    /// Nothing goes through.
    Open,
    /// Some is tried.
    HalfOpen,
}

/// The newest state heard of. Until the first word everything counts as killed, and so it does
/// once no permission is good any more: a permission counts from when it was asked for. A kill
/// ends with its release only.
#[derive(Debug)]
pub struct KillWatch {
    reading: Reading,
    remembered: Remembered,
    breaker: watch::Sender<WireBreaker>,
    heard: watch::Sender<bool>,
}

impl KillWatch {
    /// Starts watching at `address`, for as long as the runtime lives. Must be called inside one.
    ///
    /// # Errors
    /// Refuses what is not an address such as `http://127.0.0.1:7103`.
    pub fn start(address: &str, options: WatchOptions) -> Result<Arc<Self>, Invalid> {
        let way = Way::new(address, &options.credentials)?;
        let (held, remembered) = Held::remember(&options);
        let watch = Arc::new(Self {
            reading: Reading::new(held.known()),
            remembered,
            breaker: watch::Sender::new(WireBreaker::Unspecified),
            heard: watch::Sender::new(false),
        });
        let listener = Listener { watch: Arc::clone(&watch), way, options, held };
        tokio::spawn(listener.run());
        Ok(watch)
    }

    /// Whether the target is stopped. One atomic load and a look at the clock while nothing is
    /// engaged and the permission is good; takes no lock and allocates nothing in any case.
    #[must_use]
    pub fn is_killed(&self, target: Target<'_>) -> bool {
        self.reading.is_killed(target, at_latest_ns())
    }

    /// As [`is_killed`](Self::is_killed), for who has looked at the clock already.
    #[inline]
    pub(crate) fn is_killed_at(&self, target: Target<'_>, now_ns: u64) -> bool {
        self.reading.is_killed(target, now_ns)
    }

    /// Whether the target is stopped, and the epoch of the state that says so.
    #[must_use]
    pub fn answer(&self, target: Target<'_>) -> (bool, u64) {
        self.reading.answer(target)
    }

    /// The epoch of the state by which everybody goes on, whoever asks; `None` where it depends.
    #[must_use]
    pub fn everybody_goes_on(&self) -> Option<u64> {
        self.reading.everybody_goes_on(at_latest_ns())
    }

    /// The scopes by which anybody may be stopped, those that are let go on bit by bit included;
    /// `None` where everybody is stopped for want of a permission.
    #[must_use]
    pub fn scopes(&self) -> Option<Vec<Scope>> {
        self.reading.scopes()
    }

    /// Whether a switch covers the target for certain: a cohort's does so only where the phase
    /// is known.
    pub(crate) fn covers_without_phase(&self, target: Target<'_>) -> bool {
        self.reading.covers_without_phase(target)
    }

    /// The highest epoch held.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.reading.epoch()
    }

    /// What was kept from before.
    #[must_use]
    pub const fn remembered(&self) -> Remembered {
        self.remembered
    }

    /// Waits for the first word of the kill-switch service that says who goes on.
    pub async fn first_word(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        drop(self.heard.subscribe().wait_for(|heard| *heard).await);
    }

    /// Whether the permission is over, or there was none yet. Under `FAIL_STATIC` what is not
    /// killed goes on for a time all the same.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.reading.is_stale()
    }

    /// Tells the service, now and after every reconnect, how the circuit breaker stands.
    pub fn breaker(&self, state: Breaker) {
        let state = match state {
            Breaker::Closed => WireBreaker::Closed,
            Breaker::Open => WireBreaker::Open,
            Breaker::HalfOpen => WireBreaker::HalfOpen,
        };
        self.breaker.send_if_modified(|told| std::mem::replace(told, state) != state);
    }
}
