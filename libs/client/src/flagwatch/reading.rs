//! What is read on the hot path: no lock, no allocation of a boolean flag in our own form.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use flag_core::{Definition, Flag, Question};
use killswitch_core::Target;
use vocab::Timestamp;

use super::answer::{EvaluationError, Seen, Source};
use super::context::Context;
use super::held::{Entry, Held, Rules};
use crate::clock::{Now, elapsed};
use crate::killwatch::KillWatch;

/// What is known, and since when it is.
#[derive(Debug)]
pub(super) struct Known {
    rules: Option<Arc<Rules>>,
    heard: Option<Duration>,
    service_is_stale: bool,
}

impl Known {
    pub(super) fn of(held: &Held) -> Self {
        let (rules, heard) = (held.rules().map(Arc::clone), held.heard());
        Self { rules, heard, service_is_stale: held.service_is_stale() }
    }

    fn staleness(&self, now: Duration) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_sub(heard))
    }

    /// Exactly at the bound it is not stale yet.
    fn is_stale(&self, now: Duration, stale_after: Duration) -> bool {
        let silent = self.staleness(now).is_none_or(|silence| silence > stale_after);
        silent || self.service_is_stale || self.rules.is_none()
    }
}

/// An answer from here, and whether the service knows better.
pub(super) struct Step<T> {
    pub(super) answer: Result<T, EvaluationError>,
    pub(super) ask: bool,
}

/// What is known, shared with whoever asks.
pub(super) struct Reading {
    now: Now,
    kills: Arc<KillWatch>,
    stale_after: Duration,
    known: ArcSwap<Known>,
}

impl Reading {
    pub(super) fn new(
        known: Known,
        kills: Arc<KillWatch>,
        stale_after: Duration,
        now: Now,
    ) -> Self {
        Self { now, kills, stale_after, known: ArcSwap::from_pointee(known) }
    }

    /// Replaces what is known. For one writer.
    pub(super) fn publish(&self, known: Known) {
        self.known.store(Arc::new(known));
    }

    pub(super) fn staleness(&self) -> Option<Duration> {
        self.known.load().staleness(elapsed())
    }

    pub(super) fn is_stale(&self) -> bool {
        self.known.load().is_stale(elapsed(), self.stale_after)
    }

    /// The revision held, and how many flags; `None` where none are.
    pub(super) fn holds(&self) -> Option<(u64, usize)> {
        let known = self.known.load();
        known.rules.as_ref().map(|rules| (rules.revision, rules.len()))
    }

    /// Answers from what is known, and lets `read` look at it where it lies.
    pub(super) fn step<T>(
        &self,
        key: &str,
        context: &Context,
        read: impl FnOnce(&Seen<'_>) -> Result<T, EvaluationError>,
    ) -> Step<T> {
        let (known, now) = (self.known.load(), elapsed());
        let stale = known.is_stale(now, self.stale_after);
        let Some(rules) = &known.rules else {
            return Step { answer: Err(EvaluationError::NotReady(String::new())), ask: true };
        };
        match rules.get(key) {
            // It may be newer than what is held.
            None => Step { answer: Err(EvaluationError::FlagNotFound(key.to_owned())), ask: stale },
            Some(Entry { good: None, unread, .. }) => {
                let why = unread.as_ref().map_or_else(String::new, |(_, why)| why.clone());
                Step { answer: Err(EvaluationError::Unreadable(why)), ask: true }
            }
            Some(Entry { good: Some(flag), unread, revision }) => {
                let outdated = unread.is_some();
                let answer = self.evaluate(flag, context, now).and_then(|found| {
                    read(&Seen {
                        enabled: found.enabled,
                        variant: found.variant.map(|one| (&*one.name, &one.value)),
                        reason: found.reason,
                        revision: *revision,
                        stale: stale || outdated,
                        age: known.staleness(now),
                        source: Source::InProcess,
                    })
                });
                Step { answer, ask: outdated }
            }
        }
    }

    fn evaluate<'f>(
        &self,
        flag: &'f Flag,
        context: &Context,
        at: Duration,
    ) -> Result<flag_core::Evaluation<'f>, EvaluationError> {
        let workspace = context.targeting_key();
        let (pipeline, phase) = (&flag.pipeline, flag.phase.as_ref());
        let now = match &flag.definition {
            Definition::Audience(_) => Timestamp::EPOCH, // Nobody looks at it.
            Definition::Imported(_) => (self.now)(),
        };
        let question = Question {
            key: Some(workspace.as_str()),
            facts: context.attributes(),
            killed: self.kills.is_killed_at(Target { pipeline, phase, workspace }, at),
            now,
        };
        let found = flag_core::evaluate(flag, &question);
        found.map_err(|why| EvaluationError::Failed(why.to_string()))
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("known", &self.known).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_secs(3);

    fn known(heard: Option<Duration>, service_is_stale: bool) -> Known {
        Known { rules: Some(Arc::default()), heard, service_is_stale }
    }

    #[test]
    fn flags_are_stale_once_the_silence_is_longer_than_the_bound() {
        let known = known(Some(Duration::from_secs(1)), false);
        assert!(!known.is_stale(Duration::from_secs(4), BOUND));
        assert!(known.is_stale(Duration::from_millis(4_001), BOUND));
        assert_eq!(known.staleness(Duration::from_secs(4)), Some(BOUND));
    }

    #[test]
    fn flags_nobody_has_confirmed_in_this_process_are_stale() {
        assert!(known(None, false).is_stale(Duration::ZERO, BOUND));
        assert_eq!(known(None, false).staleness(Duration::ZERO), None);
    }

    #[test]
    fn flags_of_a_service_without_its_store_are_stale() {
        assert!(known(Some(Duration::ZERO), true).is_stale(Duration::ZERO, BOUND));
    }
}
