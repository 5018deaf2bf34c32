//! OpenFeature: what providers of every language ask for, on the same port as everything else.
//!
//! `flagd.evaluation` v1 and v2 answer providers in rpc mode, `flagd.sync.v1` feeds those that
//! evaluate in-process, OFREP answers over HTTP. All of them say what flagd's own evaluator says of
//! the exported definition; our own reason is in the metadata.

pub(crate) mod changes;
pub(crate) mod evaluation;
mod events;
pub(crate) mod ofrep;
pub(crate) mod sync;

use std::sync::Arc;

use flag_core::{Attribute, Attributes, Definition, Evaluation, Flag, Reason, Value};
use flag_wire::{StructFacts, context, flagd_reason};
use prost_types::{Struct, Value as WireValue, value::Kind};
use service_kit::fault::Fault;
use tonic::{Code, Status};

use crate::app::App;
use crate::convert;
use crate::error::DOMAIN;
use crate::state::Stored;

/// An answer in flagd's words.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) value: Option<Value>,
    /// The variant; empty where there is none: the caller's own value holds.
    pub(crate) variant: String,
    pub(crate) reason: &'static str,
    pub(crate) metadata: Struct,
    /// Whether the answer would be another one if the caller had said who it is.
    pub(crate) needs_key: bool,
}

impl App {
    /// Answers one provider.
    pub(crate) fn resolve(&self, key: &str, wire: Option<&Struct>) -> Result<Resolved, Fault> {
        self.of_flag(key, |stored| {
            let targeting_key = context(wire).map_err(invalid_context)?;
            self.resolved(stored, targeting_key, wire)
        })
    }

    /// The same of a flag that was found and a context that was checked.
    pub(crate) fn resolved(
        &self,
        stored: &Stored,
        key: Option<&str>,
        wire: Option<&Struct>,
    ) -> Result<Resolved, Fault> {
        let flag = stored.flag.as_ref();
        let (found, _) = self.evaluate(flag, key, &StructFacts(wire))?;
        Ok(Resolved {
            value: found.variant.map(|variant| variant.value.clone()),
            variant: found.variant.map_or_else(String::new, |variant| variant.name.to_string()),
            reason: flagd_reason(&found),
            metadata: self.metadata(stored, &found),
            needs_key: key.is_none() && needs_key(flag, &found),
        })
    }

    /// What is said of the flag, and of this answer.
    fn metadata(&self, stored: &Stored, found: &Evaluation<'_>) -> Struct {
        let own = metadata_of(&stored.flag);
        let own =
            own.iter().map(|(name, value)| (name.clone(), flag_wire::value_of(&value.into())));
        let mut fields: std::collections::BTreeMap<_, _> = own.collect();
        let mut say = |name: &str, kind| {
            fields.insert(name.to_owned(), WireValue { kind: Some(kind) });
        };
        say("softlaunch.reason", Kind::StringValue(found.reason.name().to_owned()));
        #[expect(clippy::cast_precision_loss, reason = "a revision is far below 2^53")]
        say("softlaunch.revision", Kind::NumberValue(stored.revision as f64));
        if self.is_stale() {
            say("softlaunch.stale", Kind::BoolValue(true));
        }
        Struct { fields }
    }
}

/// The metadata that clients see of a flag.
fn metadata_of(flag: &Flag) -> &Attributes {
    match &flag.definition {
        Definition::Audience(_) => &flag.about.metadata,
        Definition::Imported(imported) => imported.metadata(),
    }
}

/// Whether a list, a share or a percentage would have decided on a key.
fn needs_key(flag: &Flag, found: &Evaluation<'_>) -> bool {
    match found.reason {
        Reason::Killed | Reason::Paused | Reason::Static => return false,
        Reason::Default => return flag.definition.audience().is_some(),
        Reason::Denylisted
        | Reason::Allowlisted
        | Reason::Disabled
        | Reason::Excluded
        | Reason::Targeted
        | Reason::Percentage => {}
    }
    let listed =
        |audience: &flag_core::Audience| !(audience.deny.is_empty() && audience.allow.is_empty());
    flag.definition.audience().is_some_and(listed)
}

fn invalid_context(problem: flag_core::Problem) -> Fault {
    let reason = "INVALID_CONTEXT";
    Fault::new(Code::InvalidArgument, DOMAIN, reason, problem.to_string())
        .violation(problem.path.clone(), problem.why)
        .with("field", problem.path)
}

/// The value is of another type than was asked for.
fn type_mismatch(key: &str, asked: &str, found: &Value) -> Status {
    let why = format!("flag `{}` is of type {}, not {asked}", vocab::excerpt(key), found.kind());
    Fault::new(Code::InvalidArgument, DOMAIN, "TYPE_MISMATCH", why.clone())
        .violation("flag_key", why)
        .with("type", found.kind())
        .into()
}

/// Metadata of the set of flags.
pub(crate) fn about_all(app: &App) -> Attributes {
    let stale = app.is_stale().then(|| ("softlaunch.stale".to_owned(), Attribute::Truth(true)));
    stale.into_iter().collect()
}

/// Flags that are evaluated, by key.
pub(crate) fn live(app: &App) -> Vec<Arc<Stored>> {
    let snapshot = app.replica.snapshot();
    let live = snapshot.state.flags.values().filter(|stored| !stored.is_deleted());
    live.cloned().collect()
}

/// A problem of a context, to a caller over HTTP.
pub(crate) fn context_problem(problem: &flag_core::Problem) -> String {
    convert::shown(problem)
}
