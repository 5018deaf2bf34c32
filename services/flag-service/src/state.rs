//! The flags as a fold of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::flag_event::Kind;
use flag_core::Flag;
use prost::Message as _;
use store::{Draft, Projection, Record};
use vocab::Timestamp;

/// Reports that can be asked for; older ones are in the journal only.
const RADII_MAX: usize = 1_000;
/// Revisions of one flag whose places are remembered; older ones are in the journal only.
const HISTORY_MAX: usize = 10_000;

/// A flag as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) flag: Arc<Flag>,
    pub(crate) revision: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    /// A newer revision that cannot be read, and why: `flag` is the last good one.
    pub(crate) problem: Option<(u64, String)>,
    /// Places of its changes in the journal, oldest first.
    pub(crate) history: Arc<Vec<u64>>,
    /// Size of the definition as sent.
    pub(crate) bytes: usize,
}

impl Stored {
    /// Where the journal last said something of it.
    pub(crate) fn touched(&self) -> u64 {
        self.problem.as_ref().map_or(self.revision, |(revision, _)| *revision)
    }

    pub(crate) const fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }
}

/// Where and when something happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) revision: u64,
    pub(crate) time: Timestamp,
}

/// Every flag by key, deleted ones included, and the reports kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) flags: BTreeMap<String, Arc<Stored>>,
    /// Size of all definitions.
    pub(crate) bytes: usize,
    /// Reports by digest, with their place in the journal.
    pub(crate) radii: BTreeMap<String, Arc<(u64, pb::BlastRadius)>>,
}

impl State {
    /// Finds a flag that is not deleted.
    pub(crate) fn live(&self, key: &str) -> Option<&Arc<Stored>> {
        self.flags.get(key).filter(|stored| !stored.is_deleted())
    }

    /// Takes in what happened.
    pub(crate) fn take(&mut self, kind: Kind, at: Moment) -> Result<(), String> {
        match kind {
            Kind::FlagChanged(pb::FlagChanged { flag: Some(flag) }) => self.change(&flag, at),
            Kind::FlagDeleted(pb::FlagDeleted { name }) => self.delete(&name, at),
            Kind::FlagsImported(pb::FlagsImported { flags }) => {
                flags.iter().for_each(|flag| self.change(flag, at));
            }
            Kind::BlastRadiusKept(pb::BlastRadiusKept { blast_radius: Some(report) }) => {
                self.keep(report, at);
            }
            Kind::FlagChanged(_) | Kind::BlastRadiusKept(_) => {
                return Err("an event of nothing".to_owned());
            }
        }
        Ok(())
    }

    fn change(&mut self, wire: &pb::Flag, at: Moment) {
        let key = wire.name.strip_prefix("flags/").unwrap_or(&wire.name).to_owned();
        let known = self.flags.get(&key);
        let mut history = known.map_or_else(Vec::new, |known| known.history.as_ref().clone());
        history.push(at.revision);
        if history.len() > HISTORY_MAX {
            history.remove(0);
        }
        let stored = match (flag_wire::flag(wire), known) {
            (Ok(flag), known) => {
                self.bytes -= known.map_or(0, |known| known.bytes);
                let bytes = wire.definition.as_ref().map_or(0, prost::Message::encoded_len);
                self.bytes += bytes;
                Stored {
                    flag: Arc::new(flag),
                    revision: at.revision,
                    created_at: known.map_or(at.time, |known| known.created_at),
                    updated_at: at.time,
                    deleted_at: None,
                    problem: None,
                    history: Arc::new(history),
                    bytes,
                }
            }
            (Err(problem), Some(known)) => {
                let (revision, why) = (at.revision, problem.to_string());
                tracing::error!(
                    flag = key,
                    revision,
                    why,
                    "a definition does not read: keeping the last good one"
                );
                Stored {
                    problem: Some((revision, why)),
                    history: Arc::new(history),
                    ..known.as_ref().clone()
                }
            }
            (Err(problem), None) => {
                let (revision, why) = (at.revision, problem.to_string());
                tracing::error!(
                    flag = key,
                    revision,
                    why,
                    "a definition does not read, and there was none before"
                );
                return;
            }
        };
        self.flags.insert(key, Arc::new(stored));
    }

    fn delete(&mut self, name: &str, at: Moment) {
        let key = name.strip_prefix("flags/").unwrap_or(name);
        let Some(known) = self.flags.get_mut(key) else { return };
        let known = Arc::make_mut(known);
        known.revision = at.revision;
        known.updated_at = at.time;
        known.deleted_at = Some(at.time);
        known.problem = None;
        Arc::make_mut(&mut known.history).push(at.revision);
    }

    fn keep(&mut self, report: pb::BlastRadius, at: Moment) {
        self.radii.insert(report.digest.clone(), Arc::new((at.revision, report)));
        if self.radii.len() > RADII_MAX
            && let Some(oldest) = self.radii.values().min_by_key(|kept| kept.0)
        {
            let digest = oldest.1.digest.clone();
            self.radii.remove(&digest);
        }
    }
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        self.take(event(record)?, Moment { revision: record.version, time: record.time })
    }
}

/// What a record says.
pub(crate) fn event(record: &Record) -> Result<Kind, String> {
    let event = pb::FlagEvent::decode(record.payload.as_slice()).map_err(|e| e.to_string())?;
    event.kind.ok_or_else(|| "an event of a kind this version does not know".to_owned())
}

/// What to append.
pub(crate) fn draft(kind: Kind) -> Draft {
    let name = match kind {
        Kind::FlagChanged(_) => "FlagChanged",
        Kind::FlagDeleted(_) => "FlagDeleted",
        Kind::BlastRadiusKept(_) => "BlastRadiusKept",
        Kind::FlagsImported(_) => "FlagsImported",
    };
    let payload = pb::FlagEvent { kind: Some(kind) }.encode_to_vec();
    Draft { kind: name.to_owned(), payload }
}

/// That a flag is now as it is.
pub(crate) fn changed(flag: &Flag) -> Kind {
    Kind::FlagChanged(pb::FlagChanged { flag: Some(flag_wire::wire_flag(flag)) })
}
