//! What is read on the hot path: no lock, no allocation of a boolean flag in our own form.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use flag_core::{Definition, Prepared, Question};
use killswitch_core::Target;
use vocab::Timestamp;

use super::answer::{EvaluationError, Seen, Source};
use super::context::Context;
use super::held::{Entry, Held, Rules};
use crate::clock::{Now, at_latest_ns, elapsed, nanoseconds};
use crate::killwatch::KillWatch;

/// What is known, and since when it is.
#[derive(Debug)]
pub(super) struct Known {
    rules: Option<Arc<Rules>>,
    heard: Option<Duration>,
    /// It is stale from then on; zero where it is already.
    stale_from_ns: u64,
}

impl Known {
    /// After `stale_after` without a word what is held is stale.
    pub(super) fn of(held: &Held, stale_after: Duration) -> Self {
        let (rules, heard) = (held.rules().map(Arc::clone), held.heard());
        let confirmed = heard.filter(|_| rules.is_some() && !held.service_is_stale());
        let good_until = confirmed.map(|heard| nanoseconds(heard.saturating_add(stale_after)));
        // Exactly at the bound it is not stale yet.
        let stale_from_ns = good_until.map_or(0, |until| until.saturating_add(1));
        Self { rules, heard, stale_from_ns }
    }

    pub(super) const fn rules(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref()
    }

    #[inline]
    fn staleness(&self, now: Duration) -> Option<Duration> {
        self.heard.map(|heard| now.saturating_sub(heard))
    }

    #[inline]
    const fn is_stale(&self, now_ns: u64) -> bool {
        now_ns >= self.stale_from_ns
    }
}

/// What is known, with the pointer to it at hand as long as it is the newest.
pub(super) type CachedKnown = Cache<Arc<ArcSwap<Known>>, Arc<Known>>;

/// An answer from here, and whether the service knows better.
pub(super) struct Step<T> {
    pub(super) answer: Result<T, EvaluationError>,
    pub(super) ask: bool,
}

/// What is known, shared with whoever asks.
pub(super) struct Reading {
    now: Now,
    kills: Arc<KillWatch>,
    known: Arc<ArcSwap<Known>>,
}

impl Reading {
    pub(super) fn new(known: Known, kills: Arc<KillWatch>, now: Now) -> Self {
        Self { now, kills, known: Arc::new(ArcSwap::from_pointee(known)) }
    }

    /// Replaces what is known. For one writer.
    pub(super) fn publish(&self, known: Known) {
        self.known.store(Arc::new(known));
    }

    pub(super) fn staleness(&self) -> Option<Duration> {
        self.known.load().staleness(elapsed())
    }

    pub(super) fn is_stale(&self) -> bool {
        self.known.load().is_stale(nanoseconds(elapsed()))
    }

    /// The revision held, and how many flags; `None` where none are.
    pub(super) fn holds(&self) -> Option<(u64, usize)> {
        let known = self.known.load();
        known.rules.as_ref().map(|rules| (rules.revision, rules.len()))
    }

    /// What is known, for who looks again and again.
    pub(super) fn cached(&self) -> CachedKnown {
        Cache::new(Arc::clone(&self.known))
    }

    /// Answers from what is known, and lets `read` look at it where it lies.
    pub(super) fn step<T>(
        &self,
        key: &str,
        context: &Context,
        read: impl FnOnce(&Seen<'_>) -> Result<T, EvaluationError>,
    ) -> Step<T> {
        let known = self.known.load();
        let entry = known.rules().map(|rules| rules.get(key));
        self.look(&known, entry.map(|entry| entry.map(Arc::as_ref)), key, context, read)
    }

    /// As [`Reading::step`]. `entry` is what `known` has of the flag; `None` where it has no flags.
    #[inline]
    pub(super) fn look<T>(
        &self,
        known: &Known,
        entry: Option<Option<&Entry>>,
        key: &str,
        context: &Context,
        read: impl FnOnce(&Seen<'_>) -> Result<T, EvaluationError>,
    ) -> Step<T> {
        let now_ns = at_latest_ns();
        // The exact clock has the last word.
        let stale = known.is_stale(now_ns) && known.is_stale(nanoseconds(elapsed()));
        match entry {
            None => {
                let why = "it was not asked".to_owned();
                Step { answer: Err(EvaluationError::NotReady(why)), ask: true }
            }
            // It may be newer than what is held.
            Some(None) => {
                Step { answer: Err(EvaluationError::FlagNotFound(key.to_owned())), ask: stale }
            }
            Some(Some(Entry { good: None, unread, .. })) => {
                let why = unread.as_ref().map_or_else(String::new, |(_, why)| why.clone());
                Step { answer: Err(EvaluationError::Unreadable(why)), ask: true }
            }
            Some(Some(Entry { good: Some(flag), unread, revision })) => {
                let outdated = unread.is_some();
                let answer = self.evaluate(flag, context, now_ns).and_then(|found| {
                    read(&Seen {
                        enabled: found.enabled,
                        variant: found.variant.map(|one| (&*one.name, &one.value)),
                        reason: found.reason,
                        revision: *revision,
                        stale: stale || outdated,
                        age: known.staleness(Duration::from_nanos(now_ns)),
                        source: Source::InProcess,
                    })
                });
                Step { answer, ask: outdated }
            }
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its answer goes through memory otherwise")]
    fn evaluate<'f>(
        &self,
        prepared: &'f Prepared,
        context: &Context,
        at_ns: u64,
    ) -> Result<flag_core::Evaluation<'f>, EvaluationError> {
        let (flag, workspace) = (prepared.flag(), context.targeting_key());
        let (pipeline, phase) = (&flag.pipeline, flag.phase.as_ref());
        let now = match &flag.definition {
            Definition::Audience(_) => Timestamp::EPOCH, // Nobody looks at it.
            Definition::Imported(_) => (self.now)(),
        };
        let question = Question {
            key: Some(workspace.as_str()),
            facts: context.attributes(),
            killed: self.kills.is_killed_at(Target { pipeline, phase, workspace }, at_ns),
            now,
        };
        let found = prepared.evaluate(&question);
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
    use contracts::flag::RulesetSnapshot;
    use contracts::flag::watch_ruleset_response::Update;

    use super::*;

    const BOUND: Duration = Duration::from_secs(3);

    /// Flags that a service confirmed after so many milliseconds.
    fn held(heard_ms: u64, stale: bool) -> Held {
        let mut held = Held::new(Some(Arc::new(Rules::default())));
        let all = RulesetSnapshot { stale, ..RulesetSnapshot::default() };
        held.take(Update::Snapshot(all), Duration::from_millis(heard_ms)).unwrap();
        held
    }

    const fn ms(ms: u64) -> u64 {
        ms * 1_000_000
    }

    #[test]
    fn flags_are_stale_once_the_silence_is_longer_than_the_bound() {
        let known = Known::of(&held(1_000, false), BOUND);
        assert!(!known.is_stale(ms(4_000)));
        assert!(known.is_stale(ms(4_000) + 1));
        assert_eq!(known.staleness(Duration::from_secs(4)), Some(BOUND));
    }

    #[test]
    fn flags_nobody_has_confirmed_in_this_process_are_stale() {
        let known = Known::of(&Held::new(Some(Arc::new(Rules::default()))), BOUND);
        assert!(known.is_stale(0));
        assert_eq!(known.staleness(Duration::ZERO), None);
    }

    #[test]
    fn flags_of_a_service_without_its_store_are_stale() {
        assert!(Known::of(&held(0, true), BOUND).is_stale(0));
    }
}
