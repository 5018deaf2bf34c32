//! What the watching task holds, and what of a message it takes in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::flag as pb;
use contracts::flag::watch_ruleset_response::Update;
use flag_core::Prepared;
use flag_core::limits::{FLAGS_MAX, RULESET_BYTES_MAX};
use foldhash::fast::RandomState;
use prost::Message as _;

/// A snapshot of more bytes than this is none: twice what definitions may take.
const SNAPSHOT_BYTES_MAX: usize = 2 * RULESET_BYTES_MAX;

/// A flag, as far as it can be read here.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The revision of `good`.
    pub(super) revision: u64,
    /// The newest definition that can be read; `None` where none could.
    pub(super) good: Option<Prepared>,
    /// A newer one that cannot, and why.
    pub(super) unread: Option<(Box<pb::Flag>, String)>,
}

/// All flags at a revision.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) history: String,
    pub(super) revision: u64,
    flags: HashMap<Arc<str>, Arc<Entry>, RandomState>, // Copied for every change: both are shared.
}

impl Rules {
    /// Reads a snapshot. A flag that cannot be read keeps its good definition in `before`.
    pub(super) fn read(snapshot: pb::RulesetSnapshot, before: Option<&Self>) -> Self {
        let (history, revision) = (snapshot.history, unsigned(snapshot.revision));
        let mut rules = Self { history, revision, flags: HashMap::default() };
        for wire in snapshot.flags {
            rules.put(wire, before);
        }
        rules
    }

    /// All of it as one message; what cannot be read here included, for who may read it later.
    pub(super) fn as_snapshot(&self) -> pb::RulesetSnapshot {
        let flags = self.flags.values().flat_map(|entry| {
            let revision = signed(entry.revision);
            let good = entry.good.as_ref();
            let good = good.map(|one| pb::Flag { revision, ..flag_wire::wire_flag(one.flag()) });
            good.into_iter().chain(entry.unread.as_ref().map(|(wire, _)| wire.as_ref().clone()))
        });
        pb::RulesetSnapshot {
            revision: signed(self.revision),
            flags: flags.collect(),
            more: false,
            history: self.history.clone(),
            stale: false,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.flags.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.flags.len()
    }

    /// What cannot be read: key, and why.
    pub(super) fn unread(&self) -> impl Iterator<Item = (&str, &str)> {
        let flags = self.flags.iter();
        flags.filter_map(|(key, entry)| Some((&**key, entry.unread.as_ref()?.1.as_str())))
    }

    /// Whether revisions of the two can be compared. A service that has not found out says none.
    fn is_of(&self, history: &str) -> bool {
        self.history == history || self.history.is_empty() || history.is_empty()
    }

    fn put(&mut self, wire: pb::Flag, before: Option<&Self>) {
        let key = key_of(&wire);
        let entry = match flag_wire::flag(&wire) {
            Ok(flag) => {
                let good = Some(Prepared::new(flag));
                Entry { revision: unsigned(wire.revision), good, unread: None }
            }
            Err(why) => {
                // The same key twice: what was kept of a flag that could not be read.
                let known = self.get(key).or_else(|| before?.get(key));
                let (revision, good) =
                    known.map_or((0, None), |entry| (entry.revision, entry.good.clone()));
                let why = why.to_string();
                Entry { revision, good, unread: Some((Box::new(wire.clone()), why)) }
            }
        };
        self.flags.insert(key.into(), Arc::new(entry));
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// All flags were replaced.
    Replaced,
    /// One flag was.
    Changed,
    /// It told of nothing new: a sign of life, or a snapshot that goes on.
    Nothing,
    /// It is older than what is held, and was ignored.
    Older,
}

/// The stream says what it must not, or has to be begun again; what is held stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(&'static str);

/// Where a stream is.
#[derive(Debug)]
enum Stage {
    /// Its snapshot is not complete.
    Beginning { snapshot: Option<pb::RulesetSnapshot>, bytes: usize },
    /// It follows what is held.
    Following,
    /// It began at an older revision than is held.
    Behind,
}

/// The newest flags heard of, and when that was. Times are of one clock that never jumps.
#[derive(Debug)]
pub(super) struct Held {
    rules: Option<Arc<Rules>>,
    stage: Stage,
    heard: Option<Duration>,
    service_is_stale: bool,
}

impl Held {
    /// Holds what was kept, and has heard nothing.
    pub(super) const fn new(kept: Option<Arc<Rules>>) -> Self {
        let stage = Stage::Beginning { snapshot: None, bytes: 0 };
        Self { rules: kept, stage, heard: None, service_is_stale: false }
    }

    pub(super) const fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    /// When a message last confirmed what is held.
    pub(super) const fn heard(&self) -> Option<Duration> {
        self.heard
    }

    /// Whether the service says that its store is out of reach.
    pub(super) const fn service_is_stale(&self) -> bool {
        self.service_is_stale
    }

    /// A new stream: what the last one left unfinished is forgotten.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::Beginning { snapshot: None, bytes: 0 };
    }

    /// Takes in what was heard at `now`.
    pub(super) fn take(&mut self, update: Update, now: Duration) -> Result<Taken, Broken> {
        match update {
            Update::Snapshot(part) => self.part(part, now),
            Update::Change(wire) => self.change(wire, now),
            Update::Heartbeat(beat) => self.heartbeat(&beat, now),
        }
    }

    fn part(&mut self, part: pb::RulesetSnapshot, now: Duration) -> Result<Taken, Broken> {
        let size = part.encoded_len();
        let (mut whole, bytes) = match std::mem::replace(&mut self.stage, Stage::Following) {
            Stage::Beginning { snapshot: Some(whole), bytes } => (whole, bytes + size),
            Stage::Beginning { snapshot: None, .. } | Stage::Following | Stage::Behind => {
                (pb::RulesetSnapshot { flags: Vec::new(), ..part.clone() }, size)
            }
        };
        if (whole.revision, &whole.history) != (part.revision, &part.history) {
            return Err(Broken("another snapshot began before one was complete"));
        }
        whole.flags.extend(part.flags);
        if whole.flags.len() > FLAGS_MAX || bytes > SNAPSHOT_BYTES_MAX {
            return Err(Broken("the snapshot is larger than any ruleset may be"));
        }
        (whole.more, whole.stale) = (part.more, part.stale);
        if whole.more {
            self.stage = Stage::Beginning { snapshot: Some(whole), bytes };
            return Ok(Taken::Nothing);
        }
        Ok(self.replace(whole, now))
    }

    fn replace(&mut self, mut whole: pb::RulesetSnapshot, now: Duration) -> Taken {
        let before = self.rules.clone().filter(|rules| rules.is_of(&whole.history));
        if let Some(before) = &before {
            if unsigned(whole.revision) < before.revision {
                self.stage = Stage::Behind;
                return Taken::Older;
            }
            if whole.history.is_empty() {
                whole.history.clone_from(&before.history);
            }
        }
        self.confirm(whole.stale, now);
        self.rules = Some(Arc::new(Rules::read(whole, before.as_deref())));
        Taken::Replaced
    }

    fn change(&mut self, wire: pb::Flag, now: Duration) -> Result<Taken, Broken> {
        let revision = unsigned(wire.revision);
        let rules = self.follow(revision)?;
        // An import is one event: several flags of one revision.
        if revision < rules.revision {
            return Ok(Taken::Older);
        }
        let rules = Arc::make_mut(rules);
        rules.revision = revision;
        if wire.delete_time.is_some() {
            rules.flags.remove(key_of(&wire));
        } else {
            rules.put(wire, None);
        }
        self.heard = Some(now);
        Ok(Taken::Changed)
    }

    fn heartbeat(&mut self, beat: &pb::RulesetHeartbeat, now: Duration) -> Result<Taken, Broken> {
        if matches!(self.stage, Stage::Beginning { .. }) {
            return Ok(Taken::Nothing);
        }
        let revision = unsigned(beat.revision);
        let rules = self.follow(revision)?;
        if revision < rules.revision {
            return Ok(Taken::Older);
        }
        if revision > rules.revision {
            Arc::make_mut(rules).revision = revision;
        }
        self.confirm(beat.stale, now);
        Ok(Taken::Nothing)
    }

    /// What a stream that has begun goes on from.
    fn follow(&mut self, revision: u64) -> Result<&mut Arc<Rules>, Broken> {
        let rules = self.rules.as_mut().ok_or(Broken("no snapshot comes first"))?;
        match self.stage {
            Stage::Beginning { .. } => {
                Err(Broken("a change comes before the snapshot is complete"))
            }
            // What it changed on the way here was ignored: only a snapshot says all of it.
            Stage::Behind if revision >= rules.revision => {
                Err(Broken("the service has caught up: it is asked for all flags"))
            }
            Stage::Behind | Stage::Following => Ok(rules),
        }
    }

    const fn confirm(&mut self, service_is_stale: bool, now: Duration) {
        self.heard = Some(now);
        self.service_is_stale = service_is_stale;
    }
}

fn key_of(wire: &pb::Flag) -> &str {
    wire.name.strip_prefix("flags/").unwrap_or(&wire.name)
}

fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or(0)
}

#[cfg(test)]
mod tests;
