//! The flags for one thread that asks again and again.

use std::sync::Arc;

use super::FlagWatch;
use super::answer::{
    BOOLEAN, Details, Evaluation, EvaluationError, FLOAT, INTEGER, Kind, STRING, Seen,
};
use super::context::Context;
use super::held::{Entry, Rules};
use super::reading::{CachedKnown, Known};

/// What [`FlagWatch`] answers about one flag from what it holds, at once and without asking the
/// service, for a thread that evaluates many workspaces. It remembers where the flag is until there
/// are newer ones; no answer is remembered.
///
/// Where [`FlagWatch`] would ask the service, this answers from what was known last, which then says
/// that it is stale, or with the error of what is missing.
pub struct Evaluator {
    watch: Arc<FlagWatch>,
    flag: String,
    known: CachedKnown,
    last: Option<Found>,
}

/// What some flags have of this one.
struct Found {
    rules: Arc<Rules>,
    entry: Option<Arc<Entry>>,
}

impl Evaluator {
    pub(super) fn of(watch: Arc<FlagWatch>, flag: &str) -> Self {
        let known = watch.reading.cached();
        Self { watch, flag: flag.to_owned(), known, last: None }
    }

    /// Evaluates the flag at the revision held.
    ///
    /// # Errors
    /// See [`EvaluationError`].
    pub fn evaluate(&mut self, context: &Context) -> Result<Evaluation, EvaluationError> {
        self.answer(context, |seen| Ok(seen.owned()))
    }

    /// The value of a boolean flag and nothing else; `default` where there is none. Of a flag in our
    /// own form it allocates nothing, takes no lock, and waits for nobody.
    #[inline]
    pub fn boolean_value(&mut self, default: bool, context: &Context) -> bool {
        self.answer(context, |seen| seen.value(&BOOLEAN, &default)).unwrap_or(default)
    }

    /// The value of a boolean flag, and why; `default` where there is none.
    pub fn boolean(&mut self, default: bool, context: &Context) -> Details<bool> {
        self.typed(&BOOLEAN, default, context)
    }

    /// The value of a flag whose variants are texts; `default` where there is none.
    pub fn string(&mut self, default: String, context: &Context) -> Details<String> {
        self.typed(&STRING, default, context)
    }

    /// The value of a flag whose variants are whole numbers; `default` where there is none.
    pub fn integer(&mut self, default: i64, context: &Context) -> Details<i64> {
        self.typed(&INTEGER, default, context)
    }

    /// The value of a flag whose variants are numbers; `default` where there is none.
    pub fn float(&mut self, default: f64, context: &Context) -> Details<f64> {
        self.typed(&FLOAT, default, context)
    }

    fn typed<T: Clone>(&mut self, kind: &Kind<T>, default: T, context: &Context) -> Details<T> {
        let found = self.answer(context, |seen| seen.details(kind, &default));
        found.unwrap_or_else(|error| self.watch.failed(default, error))
    }

    #[inline]
    fn answer<T>(
        &mut self,
        context: &Context,
        read: impl FnOnce(&Seen<'_>) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationError> {
        let known: &Known = self.known.load();
        let entry = known.rules().map(|rules| find(&mut self.last, rules, &self.flag));
        self.watch.reading.look(known, entry, &self.flag, context, read).answer
    }
}

#[inline]
fn find<'a>(last: &'a mut Option<Found>, rules: &Arc<Rules>, flag: &str) -> Option<&'a Entry> {
    if !last.as_ref().is_some_and(|found| Arc::ptr_eq(&found.rules, rules)) {
        *last = Some(Found { rules: Arc::clone(rules), entry: rules.get(flag).map(Arc::clone) });
    }
    last.as_ref()?.entry.as_deref()
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator")
            .field("flag", &self.flag)
            .field("watch", &self.watch)
            .finish_non_exhaustive()
    }
}
