//! Flags: rules and context in, a decision out (semantics §3 and §4).
//!
//! **Invariant:** this crate does no I/O, reads no clock and draws no randomness: the same flag,
//! workspace and attributes give the same answer on every replica, restart and machine. Of a flag in
//! our own form it allocates nothing to answer.

mod admission;
mod audience;
mod bucket;
mod change;
mod condition;
mod context;
mod d7;
mod evaluate;
mod flag;
pub mod flagd;
pub mod limits;
mod patterns;
mod problem;
mod radius;
mod ruleset;
mod stratify;
mod value;
mod version;

pub use admission::{Admission, Limit, LimitHit, decide_admission};
pub use audience::{Audience, Rule, Serve, Share, Split};
pub use bucket::{Salt, bucket};
pub use change::{ChangeRefusal, check_delete, check_new, check_step, check_update, raises};
pub use condition::{AttributeTest, Comparison, Condition, KEY_ATTRIBUTE, Test, check_attribute};
pub use context::{Attribute, Attributes, Fact, Facts, number_as_json};
pub use d7::{export as export_d7, import as import_d7};
pub use evaluate::{Evaluation, Prepared, Question, Reason, evaluate};
pub use flag::{About, Definition, Flag, Limits};
pub use patterns::Patterns;
pub use problem::{Problem, join};
pub use radius::{AFFECTED_MAX, Affected, Counts, GROUPS_MAX, Group, Radius};
pub use ruleset::Ruleset;
pub use stratify::{Strata, Stratum};
pub use value::{Type, Value, Variant, VariantIndex, Variants};
pub use version::parse as parse_version;
