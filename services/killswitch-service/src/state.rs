//! The switches as a fold of the journal.

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_event::Kind;
use killswitch_core::{Event, Switches};
use prost::Message as _;
use store::{Draft, Projection, Record};

use crate::convert;

/// Everything the journal says.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) switches: Switches,
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        let event = decode(record)?;
        if let Some(event) = convert::event(event)? {
            self.switches.apply(event, &record.actor.subject, record.time);
        }
        Ok(())
    }
}

pub(crate) fn decode(record: &Record) -> Result<Kind, String> {
    pb::KillSwitchEvent::decode(record.payload.as_slice())
        .map_err(|error| error.to_string())?
        .kind
        .ok_or_else(|| "an event of a kind this version does not know".to_owned())
}

pub(crate) fn draft(kind: Kind) -> Draft {
    let name = match &kind {
        Kind::Engaged(_) => "Engaged",
        Kind::Released(_) => "Released",
        Kind::DrillCompleted(_) => "DrillCompleted",
        Kind::ReleaseRequested(_) => "ReleaseRequested",
        Kind::EpochRaised(_) => "EpochRaised",
        Kind::Rules(_) => "RulesTaken",
    };
    let payload = pb::KillSwitchEvent { kind: Some(kind) }.encode_to_vec();
    Draft { kind: name.to_owned(), payload }
}

pub(crate) fn draft_of(event: &Event) -> Draft {
    draft(convert::stored(event))
}
