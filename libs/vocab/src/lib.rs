//! The words two crates share: names, shares, instants, patterns, people.
//!
//! **Invariant:** a value of any of these types is valid. Each is checked once, when it is made,
//! and never again; nothing here does I/O or reads a clock.

mod actor;
mod name;
mod pattern;
mod reading;
mod share;
mod time;

pub use actor::{Actor, Role};
pub use name::{FlagKey, PhaseId, PipelineId, ResourceId, UploadId, WorkspaceId};
pub use pattern::{Parts, Pattern};
pub use share::BasisPoints;
pub use time::{Timestamp, format_duration, parse_duration};

/// Why a value was refused: what was wrong and what would be right, as a lowercase fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    /// Builds a refusal from a message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Shortens `text` for an error message: at most 64 characters, control characters escaped.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().count() > 64 {
        shown.push('…');
    }
    shown
}
