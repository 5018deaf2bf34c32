//! What a plan file may hold, said once: the check, the reader and the schema all go by it.

mod closing;
mod communication;
mod criterion;
mod phase;
mod response;
mod whole;
mod word;

pub(crate) use closing::{DOCUMENT, DOCUMENT_CHANGE, ENHANCEMENT, GA, POST_GA_TASK, REFERENCE};
pub(crate) use communication::{
    AUDIENCE, CHANNEL, COMMUNICATION, CONTACT, DIRECTORY, ESCALATION, MESSAGE, QUIET_HOURS,
    TEMPLATE,
};
pub(crate) use criterion::{BASELINE, CRITERION, METRIC_CRITERION, PROM_QUERY};
pub(crate) use phase::{
    ACTIVITY, COHORT, EXCLUSION, FLAG, GATE, LIMITS, PARAMETER, PHASE, RAMP_STEP, REVIEW,
    REVIEW_INTERVAL,
};
pub(crate) use response::{
    GROWTH, KILL_SWITCH, MATRIX_ACTIONS, MATRIX_ROW, ROLLBACK_STEP, SIGNAL, STEP_ACTORS, THRESHOLD,
    TRIGGER, TRIGGER_METRIC, WATCHING,
};
pub(crate) use whole::{PLAN, ROLE_TITLE};
pub(crate) use word::{
    Word, parse_clock_time, parse_confidence, parse_span, parse_utc_offset, parse_window,
};

use crate::node::Node;
use crate::problem::Problems;

/// No list of a plan is longer.
pub(crate) const LIST_LENGTH_MAX: usize = 1000;
/// Words on one line of a document.
pub(crate) const TEXT_LENGTH_MAX: usize = 500;

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Kind {
    /// A line of words for people.
    Text,
    /// Text of a certain form.
    Word(&'static Word),
    /// A whole number between two bounds, both allowed.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// One of these names.
    OneOf(&'static str, fn() -> Vec<&'static str>),
    /// A list of at least this many.
    List(usize, &'static Kind),
    /// A map with these fields.
    Object(&'static Object),
}

/// A map of the file.
#[derive(Debug)]
pub(crate) struct Object {
    /// Its name in the schema.
    pub(crate) name: &'static str,
    /// What it is.
    pub(crate) doc: &'static str,
    /// Its keys.
    pub(crate) fields: &'static [Field],
    /// Keys of which exactly one is given; empty for no such rule.
    pub(crate) exactly_one_of: &'static [&'static str],
    /// What is asked of several fields together.
    pub(crate) also: fn(&Node, &str, &mut Problems),
}

/// A key of a map.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) key: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    pub(crate) doc: &'static str,
}

/// A key that must be given.
pub(crate) const fn must(key: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { key, kind, required: true, doc }
}

/// A key that may be left out.
pub(crate) const fn may(key: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { key, kind, required: false, doc }
}

/// A map whose fields stand alone.
pub(crate) const fn object(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
) -> Object {
    Object { name, doc, fields, exactly_one_of: &[], also: |_, _, _| {} }
}

/// The names of a table.
pub(crate) fn names<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(name, _)| *name).collect()
}

impl Object {
    /// The field of this key.
    pub(crate) fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// With a rule on several fields together.
    pub(crate) const fn also(mut self, rule: fn(&Node, &str, &mut Problems)) -> Self {
        self.also = rule;
        self
    }

    /// With keys of which exactly one is given.
    pub(crate) const fn exactly_one_of(mut self, keys: &'static [&'static str]) -> Self {
        self.exactly_one_of = keys;
        self
    }
}
