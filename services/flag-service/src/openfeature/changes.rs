//! What has changed for those who keep answers or definitions: flags, and what kill switches do to
//! them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flag_core::flagd::Effect;
use killswitch_core::Scope;
use tokio::sync::{broadcast, watch};

use super::live;
use crate::app::App;

/// Events a listener may be behind; then it is told that everything may have changed.
const RING: usize = 256;
/// How often the kill switch is looked at: it engages by a message and by silence alike.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Tells of changes.
#[derive(Debug)]
pub(crate) struct Changes {
    senders: Mutex<Option<Senders>>,
}

#[derive(Debug)]
struct Senders {
    /// Keys of flags that have changed.
    keys: broadcast::Sender<Arc<[String]>>,
    /// Counts changes.
    count: watch::Sender<u64>,
}

/// What one listener is told: the keys that have changed.
pub(crate) type Keys = broadcast::Receiver<Arc<[String]>>;

impl Default for Changes {
    fn default() -> Self {
        let senders = Senders { keys: broadcast::Sender::new(RING), count: watch::Sender::new(0) };
        Self { senders: Mutex::new(Some(senders)) }
    }
}

impl Changes {
    /// Keys from now on; `None` when the service ends.
    pub(crate) fn keys(&self) -> Option<Keys> {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.as_ref().map(|senders| senders.keys.subscribe())
    }

    /// How many changes there were, now and from now on; `None` when the service ends.
    pub(crate) fn count(&self) -> Option<watch::Receiver<u64>> {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.as_ref().map(|senders| senders.count.subscribe())
    }

    fn tell(&self, keys: Vec<String>) {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(senders) = senders.as_ref() {
            senders.keys.send(keys.into()).ok(); // Nobody may be listening.
            senders.count.send_modify(|count| *count += 1);
        }
    }

    fn close(&self) {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    version: u64,
    scopes: Option<Option<Vec<Scope>>>,
    stale: bool,
    flags: BTreeMap<String, (u64, Effect)>,
}

impl App {
    /// Tells of every change until the service ends.
    pub(crate) fn tell_changes(self: Arc<Self>) {
        tokio::spawn(async move {
            let mut changes = self.replica.changes();
            let mut shutdown = self.shutdown.clone();
            let mut told = Told::default();
            self.look(&mut told);
            loop {
                let keys = self.look(&mut told);
                if !keys.is_empty() {
                    self.changes.tell(keys);
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { break },
                    () = tokio::time::sleep(LOOK_INTERVAL) => {}
                    () = shutdown.wait() => break,
                }
            }
            self.changes.close();
        });
    }

    /// The keys of what has changed since the last look.
    fn look(&self, told: &mut Told) -> Vec<String> {
        let (version, scopes) = (self.replica.snapshot().version, Some(self.kills.scopes()));
        let stale = self.is_stale();
        if version == told.version && scopes == told.scopes && stale == told.stale {
            return Vec::new();
        }
        let flags: BTreeMap<_, _> = live(self)
            .into_iter()
            .map(|stored| {
                let effect = self.effect(&stored.flag);
                (stored.flag.key.to_string(), (stored.revision, effect))
            })
            .collect();
        let before = std::mem::replace(told, Told { version, scopes, stale, flags });
        let gone = before.flags.keys().filter(|key| !told.flags.contains_key(*key));
        let changed = told.flags.iter().filter(|(key, now)| before.flags.get(*key) != Some(now));
        gone.chain(changed.map(|(key, _)| key)).cloned().collect()
    }
}
