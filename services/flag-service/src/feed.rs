//! What watchers of the ruleset are sent: encoded once, shared by all of them.
//!
//! One task turns every change into a message and puts it into a ring that all watchers read. A
//! watcher that falls behind the ring begins again with a snapshot, which is shared as well: what a
//! slow one holds on to is bounded, however slow it is.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use contracts::flag as pb;
use contracts::flag::watch_ruleset_response::Update;
use prost::Message as _;
use service_kit::wire::signed;
use tokio::sync::broadcast;

use crate::app::App;
use crate::convert::public_flag;

/// Messages a watcher may be behind.
const RING: usize = 128; // Each at most a definition long.
/// Bytes after which a snapshot goes on in another message.
const PART_BYTES_MAX: usize = 1024 * 1024;

/// A message, encoded.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Where whoever has read it stands.
    pub(crate) revision: u64,
    /// Whether it says that nothing has changed.
    pub(crate) heartbeat: bool,
    pub(crate) bytes: Bytes,
}

/// A snapshot in parts.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) revision: u64,
    pub(crate) parts: Vec<Bytes>,
    stale: bool,
}

/// The ring, and the newest snapshot.
#[derive(Debug)]
pub(crate) struct Feed {
    ring: Mutex<Option<broadcast::Sender<Frame>>>,
    snapshot: Mutex<Option<Arc<Parts>>>,
    history: Mutex<String>,
}

impl Default for Feed {
    fn default() -> Self {
        let (ring, snapshot, history) = (Some(broadcast::Sender::new(RING)), None, String::new());
        Self {
            ring: Mutex::new(ring),
            snapshot: Mutex::new(snapshot),
            history: Mutex::new(history),
        }
    }
}

impl Feed {
    /// Everything from now on; `None` when the service ends.
    pub(crate) fn subscribe(&self) -> Option<broadcast::Receiver<Frame>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.as_ref().map(broadcast::Sender::subscribe)
    }

    fn send(&self, frame: Frame) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = ring.as_ref() {
            ring.send(frame).ok(); // Nobody may be watching.
        }
    }

    fn close(&self) {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl App {
    /// Sends every change to all watchers, and signs of life, until the service ends.
    pub(crate) fn feed_watchers(self: Arc<Self>) {
        tokio::spawn(async move {
            let mut changes = self.replica.changes();
            let mut shutdown = self.shutdown.clone();
            let mut sent = self.replica.snapshot().version;
            loop {
                changes.mark_unchanged();
                for frame in self.frames_after(sent) {
                    sent = sent.max(frame.revision);
                    self.feed.send(frame);
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { break },
                    () = tokio::time::sleep(self.durations.heartbeat) => {
                        self.feed.send(self.heartbeat(sent));
                    }
                    () = shutdown.wait() => break,
                }
            }
            self.feed.close();
        });
    }

    /// What has changed after a revision, in order of revisions. Where nothing of a flag has, a
    /// heartbeat tells of the new revision.
    pub(crate) fn frames_after(&self, after: u64) -> Vec<Frame> {
        let snapshot = self.replica.snapshot();
        if snapshot.version <= after {
            return Vec::new();
        }
        let flags = snapshot.state.flags.values();
        let mut changed: Vec<_> = flags.filter(|stored| stored.touched() > after).collect();
        changed.sort_by_key(|stored| stored.touched());
        let mut frames: Vec<_> = changed
            .into_iter()
            .map(|stored| encoded(stored.touched(), Update::Change(public_flag(stored))))
            .collect();
        if frames.last().is_none_or(|last| last.revision < snapshot.version) {
            frames.push(self.heartbeat(snapshot.version));
        }
        frames
    }

    /// What a watcher that holds `revision` has missed. Where several flags changed at once, it may
    /// have read some of them only: all of them are said again.
    pub(crate) fn frames_since(&self, revision: u64) -> Vec<Frame> {
        let snapshot = self.replica.snapshot();
        let same = snapshot.state.flags.values().filter(|stored| stored.touched() == revision);
        let together = same.take(2).count() > 1;
        self.frames_after(if together { revision - 1 } else { revision })
    }

    pub(crate) fn heartbeat(&self, revision: u64) -> Frame {
        let heartbeat = pb::RulesetHeartbeat {
            revision: signed(revision),
            stale: self.is_stale(),
            kill_epoch: signed(self.kills.epoch()),
        };
        Frame { heartbeat: true, ..encoded(revision, Update::Heartbeat(heartbeat)) }
    }

    /// All flags as they are now; made once for everybody who asks at this revision.
    pub(crate) fn snapshot_parts(&self) -> Arc<Parts> {
        let (current, stale) = (self.replica.snapshot(), self.is_stale());
        let mut kept = self.feed.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.as_ref()
            && kept.revision == current.version
            && kept.stale == stale
        {
            return Arc::clone(kept);
        }
        let history = self.feed.history.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let part = |flags, more| {
            let snapshot = pb::RulesetSnapshot {
                revision: signed(current.version),
                flags,
                more,
                history: history.clone(),
                stale,
            };
            encoded(current.version, Update::Snapshot(snapshot)).bytes
        };
        let (mut parts, mut flags, mut bytes) = (Vec::new(), Vec::new(), 0);
        for stored in current.state.flags.values().filter(|stored| !stored.is_deleted()) {
            if bytes + stored.bytes > PART_BYTES_MAX && !flags.is_empty() {
                parts.push(part(std::mem::take(&mut flags), true));
                bytes = 0;
            }
            bytes += stored.bytes;
            flags.push(public_flag(stored));
        }
        parts.push(part(flags, false));
        let made = Arc::new(Parts { revision: current.version, parts, stale });
        *kept = Some(Arc::clone(&made));
        made
    }

    /// Finds out which history the store has: its first record says so.
    pub(crate) async fn learn_history(&self) {
        let unknown =
            || self.feed.history.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if unknown()
            && let Ok(first) = self.replica.records(0, 1).await
            && let Some(first) = first.first()
        {
            let history = first.hash.to_string();
            *self.feed.history.lock().unwrap_or_else(PoisonError::into_inner) = history;
        }
    }
}

fn encoded(revision: u64, update: Update) -> Frame {
    let bytes = pb::WatchRulesetResponse { update: Some(update) }.encode_to_vec();
    Frame { revision, heartbeat: false, bytes: bytes.into() }
}
