//! The flags as a fold of the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use contracts::flag as pb;
use contracts::flag::flag_event::Kind;
use flag_core::Flag;
use prost::Message as _;
use store::{Draft, Projection, Record};
use vocab::Timestamp;

use crate::convert;

/// A flag as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) flag: Flag,
    pub(crate) revision: u64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// Every flag by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) flags: BTreeMap<String, Arc<Stored>>,
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        let flag = changed(record)?;
        let key = flag.key.as_str().to_owned();
        let created_at = self.flags.get(&key).map_or(record.time, |known| known.created_at);
        let (revision, updated_at) = (record.version, record.time);
        self.flags.insert(key, Arc::new(Stored { flag, revision, created_at, updated_at }));
        Ok(())
    }
}

/// What a record made of its flag.
pub(crate) fn changed(record: &Record) -> Result<Flag, String> {
    let event = pb::FlagEvent::decode(record.payload.as_slice()).map_err(|e| e.to_string())?;
    let Some(Kind::FlagChanged(pb::FlagChanged { flag: Some(flag) })) = event.kind else {
        return Err("an event of a kind this version does not know".to_owned());
    };
    convert::stored_flag(&flag).map_err(|why| why.to_string())
}

pub(crate) fn draft(flag: &Flag) -> Draft {
    let changed = pb::FlagChanged { flag: Some(convert::wire_flag(flag)) };
    let payload = pb::FlagEvent { kind: Some(Kind::FlagChanged(changed)) }.encode_to_vec();
    Draft { kind: "FlagChanged".to_owned(), payload }
}
