//! Flags between the wire and the core: the one reading that flag service and worker SDK share.
//!
//! **Invariant:** reading is total: what cannot be read is refused with the path of the field, and
//! what was written is read back as the same.

mod condition;
mod json;
mod reading;
mod writing;

use contracts::flag as pb;
use flag_core::{Evaluation, Problem, Reason};

pub use json::{StructFacts, attribute, attributes, context, json_of_struct, struct_of, value_of};
pub use reading::{about, definition, flag, limits, metadata};
pub use writing::{wire_definition, wire_flag, wire_metadata};

/// A problem of a field.
pub(crate) fn problem(path: impl Into<String>, why: impl Into<String>) -> Problem {
    Problem::new(path, why)
}

/// A reason on the wire.
#[must_use]
pub const fn wire_reason(reason: Reason) -> pb::Reason {
    match reason {
        Reason::Killed => pb::Reason::Killed,
        Reason::Paused => pb::Reason::Paused,
        Reason::Denylisted => pb::Reason::Denylisted,
        Reason::Allowlisted => pb::Reason::Allowlisted,
        Reason::Disabled => pb::Reason::Disabled,
        Reason::Excluded => pb::Reason::Excluded,
        Reason::Targeted => pb::Reason::Targeted,
        Reason::Percentage => pb::Reason::Percentage,
        Reason::Default => pb::Reason::Default,
        Reason::Static => pb::Reason::Static,
    }
}

/// What flagd's own evaluator calls the reason of an answer. Whatever a rule or a list decides is a
/// match to it; only what never changes is `STATIC`, since clients keep that.
#[must_use]
pub const fn flagd_reason(evaluation: &Evaluation<'_>) -> &'static str {
    match evaluation.reason {
        Reason::Static => "STATIC",
        Reason::Default => "DEFAULT",
        Reason::Disabled | Reason::Killed | Reason::Paused if evaluation.variant.is_none() => {
            "DISABLED"
        }
        Reason::Disabled
        | Reason::Killed
        | Reason::Paused
        | Reason::Denylisted
        | Reason::Allowlisted
        | Reason::Excluded
        | Reason::Targeted
        | Reason::Percentage => "TARGETING_MATCH",
    }
}
