//! The highest state a process has held, on disk: what a restart holds against an older one.
//!
//! A sealed `KillState`.

use std::io;
use std::path::Path;

use contracts::killswitch as pb;
use killswitch_core::Engaged;
use prost::Message as _;

use super::convert::{engaged, signed, unsigned, wire_engaged};
use crate::sealed::{self, Damaged, Format};

const FORMAT: Format = Format {
    magic: "softlaunch-kill-state 1\n",
    size_max_bytes: 16 * 1024 * 1024, // Far above what a message can carry.
};

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) epoch: u64,
    pub(super) engaged: Vec<Engaged>,
}

/// Reads the file; `None` where there is none.
pub(super) fn load(path: &Path) -> Result<Option<State>, Damaged> {
    let Some(payload) = FORMAT.load(path)? else { return Ok(None) };
    let wire = pb::KillState::decode(payload.as_slice());
    let wire = wire.map_err(|error| Damaged::at(path, &error))?;
    let engaged = wire.engaged.iter().map(engaged).collect();
    Ok(Some(State { epoch: unsigned(wire.epoch), engaged }))
}

/// Writes the state so that a crash at any moment leaves the old file or the new one. A newer file
/// is left as it is, and at the same epoch what either of the two stops stays stopped: a process
/// that is being replaced may still run beside its successor.
pub(super) fn save(path: &Path, state: &State) -> io::Result<()> {
    let _locked = sealed::lock(path)?;
    let mut state = state.clone();
    // What a damaged file held is not known: it is replaced.
    if let Ok(Some(kept)) = load(path) {
        if kept.epoch > state.epoch {
            return Ok(());
        }
        if kept.epoch == state.epoch {
            let more = kept.engaged.into_iter().filter(|one| !state.engaged.contains(one));
            let more: Vec<_> = more.collect();
            state.engaged.extend(more);
        }
    }
    let engaged = state.engaged.iter().map(wire_engaged).collect();
    let wire = pb::KillState { epoch: signed(state.epoch), engaged, ..pb::KillState::default() };
    FORMAT.store(path, &wire.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use killswitch_core::Scope;
    use vocab::{Pattern, PhaseId, PipelineId};

    use super::*;
    use crate::sealed::beside;

    fn state(epoch: u64, scopes: impl IntoIterator<Item = Scope>) -> State {
        let engaged = scopes.into_iter().map(|scope| Engaged { scope, epoch }).collect();
        State { epoch, engaged }
    }

    fn every_scope() -> [Scope; 4] {
        let pipeline = PipelineId::new("ingestion_v2").unwrap();
        [
            Scope::Global,
            Scope::Pipeline(pipeline.clone()),
            Scope::Cohort(pipeline.clone(), PhaseId::new("P1").unwrap()),
            Scope::Workspace(pipeline, Pattern::new("eu-*").unwrap()),
        ]
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_newest_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/on/demand.state");
        assert_eq!(load(&path).unwrap(), None);
        for kept in [state(3, every_scope()), state(7, []), state(9, every_scope())] {
            save(&path, &kept).unwrap();
            assert_eq!(load(&path).unwrap(), Some(kept));
        }
        save(&path, &state(8, [])).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state(9, every_scope())), "an older one is not");
    }

    #[test]
    fn at_the_same_epoch_what_either_stops_stays_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let [global, pipeline, ..] = every_scope();
        save(&path, &state(5, [global.clone()])).unwrap();
        save(&path, &state(5, [pipeline.clone()])).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state(5, [pipeline, global])));
    }

    #[test]
    fn any_byte_that_changed_or_is_missing_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        save(&path, &state(5, every_scope())).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(&path, &other).unwrap();
            assert!(load(&path).is_err(), "byte {at} changed");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(load(&path).is_err(), "cut at {at}");
        }
        save(&path, &state(1, [])).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state(1, [])), "a damaged one is replaced");
    }

    #[test]
    fn a_leftover_of_a_crash_while_writing_is_no_hindrance() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        save(&path, &state(5, [])).unwrap();
        fs::write(beside(&path, ".new"), b"half").unwrap();
        assert_eq!(load(&path).unwrap(), Some(state(5, [])));
        save(&path, &state(6, [])).unwrap();
        assert_eq!(load(&path).unwrap(), Some(state(6, [])));
    }
}
