//! The last flags a process held, on disk: what it starts with while the service is away.
//!
//! A sealed `RulesetSnapshot`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use contracts::flag as pb;
use prost::Message as _;

use super::held::Rules;
use crate::sealed::{self, Damaged, Format};

const FORMAT: Format = Format {
    magic: "softlaunch-ruleset 1\n",
    size_max_bytes: 256 * 1024 * 1024, // Far above what a ruleset may be.
};

/// Reads the file; `None` where there is none.
pub(super) fn load(path: &Path) -> Result<Option<Rules>, Damaged> {
    let Some(payload) = FORMAT.load(path)? else { return Ok(None) };
    let wire = pb::RulesetSnapshot::decode(payload.as_slice());
    let wire = wire.map_err(|error| Damaged::at(path, &error))?;
    Ok(Some(Rules::read(wire, None)))
}

/// Writes the flags. A newer file of the same history is left as it is: a process that is being
/// replaced may still run beside its successor.
pub(super) fn save(path: &Path, rules: &Arc<Rules>) -> io::Result<()> {
    let _locked = sealed::lock(path)?;
    // What a damaged file held is not known: it is replaced.
    if let Ok(Some(kept)) = load(path)
        && kept.history == rules.history
        && kept.revision > rules.revision
    {
        return Ok(());
    }
    FORMAT.store(path, &rules.as_snapshot().encode_to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rules(history: &str, revision: i64) -> Arc<Rules> {
        let flag = pb::Flag {
            name: "flags/a".to_owned(),
            pipeline: "ingestion_v2".to_owned(),
            revision,
            ..pb::Flag::default()
        };
        let (history, flags) = (history.to_owned(), vec![flag]);
        let wire = pb::RulesetSnapshot { revision, flags, history, ..Default::default() };
        Arc::new(Rules::read(wire, None))
    }

    fn revision(path: &Path) -> u64 {
        let rules = load(path).unwrap().unwrap();
        assert_eq!(rules.get("a").unwrap().revision, rules.revision);
        rules.revision
    }

    #[test]
    fn what_is_saved_is_loaded_and_the_newest_of_a_history_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made/on/demand.rules");
        assert!(load(&path).unwrap().is_none());
        for (history, saved, kept) in [("h", 5, 5), ("h", 4, 5), ("h", 6, 6), ("other", 1, 1)] {
            save(&path, &rules(history, saved)).unwrap();
            assert_eq!(revision(&path), kept);
        }
    }

    #[test]
    fn any_byte_that_changed_or_is_missing_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        save(&path, &rules("h", 5)).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut other = whole.clone();
            other[at] ^= 1;
            fs::write(&path, &other).unwrap();
            assert!(load(&path).is_err(), "byte {at} changed");
            fs::write(&path, &whole[..at]).unwrap();
            assert!(load(&path).is_err(), "cut at {at}");
        }
        save(&path, &rules("h", 1)).unwrap();
        assert_eq!(revision(&path), 1, "a damaged one is replaced");
    }

    #[test]
    fn a_file_of_another_format_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        for begin in ["softlaunch-ruleset 2\n", "softlaunch-kill-state 1\n", ""] {
            fs::write(&path, [begin.as_bytes(), &[0; 64]].concat()).unwrap();
            let why = load(&path).unwrap_err().to_string();
            assert!(why.contains("expected `softlaunch-ruleset 1`"), "{why}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        fs::write(sealed::beside(&path, ".new"), b"a leftover").unwrap();
        save(&path, &rules("h", 5)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
