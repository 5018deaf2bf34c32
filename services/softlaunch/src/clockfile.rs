//! The demo clock of a data directory: kept, so that time goes on where it was after a restart.

use std::path::Path;

use serde::{Deserialize, Serialize};
use service_kit::clock::{Clock, Demo, real_now};
use vocab::Timestamp;

use crate::failure::Failure;

const FILE: &str = "demo-clock.toml";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    origin_ms: i64,
    factor: u32,
}

/// The demo clock of a directory; made now where there is none.
pub(crate) fn keep(directory: &Path, factor: u32) -> Result<Demo, Failure> {
    if let Some(demo) = find(directory)? {
        return Ok(demo);
    }
    let kept = Kept { origin_ms: real_now().as_millis(), factor: factor.max(1) };
    let path = directory.join(FILE);
    let text = toml::to_string(&kept).map_err(|error| Failure::refused(error.to_string()))?;
    std::fs::write(&path, text)
        .map_err(|error| Failure::refused(format!("cannot write {}: {error}", path.display())))?;
    Ok(Demo { origin: Timestamp::from_millis(kept.origin_ms), factor: kept.factor })
}

/// The clock that goes with a directory: its demo clock, or the system's.
pub(crate) fn clock(directory: &Path) -> Result<Clock, Failure> {
    find(directory).map(Clock::new)
}

fn find(directory: &Path) -> Result<Option<Demo>, Failure> {
    let path = directory.join(FILE);
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let kept: Kept = toml::from_str(&text)
        .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
    Ok(Some(Demo { origin: Timestamp::from_millis(kept.origin_ms), factor: kept.factor.max(1) }))
}
