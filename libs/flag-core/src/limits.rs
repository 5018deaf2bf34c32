//! Every bound of a flag, with its number; `docs/flags.md` repeats them for callers.

/// Flags of one house, deleted ones included: bounds memory and a first snapshot.
pub const FLAGS_MAX: usize = 10_000;
/// Patterns on an allow or deny list.
pub const LISTED_MAX: usize = 100_000;
/// Of those, patterns with a `*`: what is not found by hashing is looked at one by one.
pub const GLOBS_MAX: usize = 1_000;
/// Exclusions of a flag.
pub const EXCLUSIONS_MAX: usize = 100;
/// Variants of a flag.
pub const VARIANTS_MAX: usize = 100;
/// Rules of a flag.
pub const RULES_MAX: usize = 100;
/// Shares of one split.
pub const SHARES_MAX: usize = 100;
/// Levels of a condition.
pub const CONDITION_DEPTH_MAX: usize = 8;
/// Tests of attributes in all rules of a flag.
pub const TESTS_MAX: usize = 1_000;
/// Values of one `in`.
pub const IN_MAX: usize = 1_000;
/// Bytes of a variant's text or object.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Levels of an object: of a variant, or of a context.
pub const DEPTH_MAX: usize = 32;
/// Bytes of a definition as it is kept and sent: it must fit into one message with room to spare.
pub const DEFINITION_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Bytes of all definitions together: what every watcher holds.
pub const RULESET_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of a targeting key of an OpenFeature client. Workspace ids are shorter.
pub const KEY_BYTES_MAX: usize = 1_024;
/// Attributes of a workspace, and entries of a flag's metadata.
pub const ATTRIBUTES_MAX: usize = 64;
/// Bytes of an attribute's name.
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 128;
/// Bytes of an attribute's text.
pub const ATTRIBUTE_TEXT_BYTES_MAX: usize = 1_024;
/// Values in the whole context of an OpenFeature client, nested ones included.
pub const CONTEXT_VALUES_MAX: usize = 1_024;
/// Bytes of all names and texts in the context of an OpenFeature client.
pub const CONTEXT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an imported flagd definition.
pub const FLAGD_BYTES_MAX: usize = 1024 * 1024;
/// Levels of an imported targeting rule.
pub const LOGIC_DEPTH_MAX: usize = 64;
/// Steps one evaluation of an imported rule may take: an operator, an element looked at, 64 bytes
/// of text made. Beyond it the evaluation fails, and with it nobody else's.
pub const LOGIC_STEPS_MAX: u32 = 250_000;
