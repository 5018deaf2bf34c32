//! Adding up what a batch changes, before anything is written.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use gate_core::{Field, Outcome};
use store::Change;
use vocab::Timestamp;

use super::{HOUR, MINUTE, Series};
use crate::settled::late;
use crate::watched::Watched;

/// What a batch changes.
#[derive(Debug)]
pub(crate) struct Sums<'a> {
    watched: &'a Watched,
    /// A batch is of a few minutes, and of one mostly.
    minutes: Vec<OfMinute<'a>>,
    /// The place of the minute that was counted in last.
    last: usize,
}

/// A minute, and whether it is counted for the phase: the one in which a phase begins is both.
#[derive(Debug)]
struct OfMinute<'a> {
    minute: i64,
    in_phase: bool,
    happened: Counts<Field>,
    admitted: Counts<&'static str>,
    platforms: Counts<(&'a str, Outcome)>,
    workspaces: Counts<(&'a str, Outcome)>,
}

#[derive(Debug, Clone)]
struct Counts<K>(HashMap<K, u64, RandomState>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn add(&mut self, key: K, count: u64) {
        let total = self.0.entry(key).or_default();
        *total = total.saturating_add(count);
    }
}

impl<'a> Sums<'a> {
    pub(crate) const fn of(watched: &'a Watched) -> Self {
        Self { watched, minutes: Vec::new(), last: 0 }
    }

    fn at(&mut self, at: Timestamp) -> &mut OfMinute<'a> {
        let in_phase = at >= self.watched.start_time && !self.watched.phase_id.is_empty();
        let minute = at.as_millis().div_euclid(60_000);
        let is = |one: &OfMinute<'_>| one.minute == minute && one.in_phase == in_phase;
        if !self.minutes.get(self.last).is_some_and(is) {
            self.last = self.minutes.iter().position(is).unwrap_or_else(|| {
                self.minutes.push(OfMinute {
                    minute,
                    in_phase,
                    happened: Counts::default(),
                    admitted: Counts::default(),
                    platforms: Counts::default(),
                    workspaces: Counts::default(),
                });
                self.minutes.len() - 1
            });
        }
        &mut self.minutes[self.last]
    }

    /// Counts at an instant.
    pub(crate) fn count(&mut self, at: Timestamp, field: Field, count: u64) {
        self.at(at).happened.add(field, count);
    }

    /// Counts an upload where it was admitted: `begun`, or how it ended.
    pub(crate) fn admitted(&mut self, at: Timestamp, what: &'static str) {
        self.at(at).admitted.add(what, 1);
    }

    /// Counts an outcome of a platform and a workspace.
    pub(crate) fn labelled(
        &mut self,
        at: Timestamp,
        (platform, workspace): (&'a str, &'a str),
        outcome: Outcome,
    ) {
        let minute = self.at(at);
        minute.platforms.add((platform, outcome), 1);
        minute.workspaces.add((workspace, outcome), 1);
    }

    /// A change for every minute and kind of series; one more where some of it is late.
    pub(crate) fn into_changes(self, now: Timestamp) -> Vec<Change> {
        let oldest = self.minutes.iter().map(|one| one.minute).min();
        let oldest = oldest.map(|minute| Timestamp::from_millis(minute.saturating_mul(60_000)));
        let mut changes: Vec<_> = oldest.and_then(|oldest| late(oldest, now)).into_iter().collect();
        let (minutes, watched) = (&self.minutes, self.watched);
        let by_label = |(label, outcome): &(&str, Outcome)| format!("{}/{label}", letter(*outcome));
        spread(
            watched,
            Series::Happened,
            minutes,
            |one| &one.happened,
            |it| it.name(),
            &mut changes,
        );
        let name = |what: &&str| (*what).to_owned();
        spread(watched, Series::Admitted, minutes, |one| &one.admitted, name, &mut changes);
        spread(watched, Series::Platform, minutes, |one| &one.platforms, by_label, &mut changes);
        spread(watched, Series::Workspace, minutes, |one| &one.workspaces, by_label, &mut changes);
        changes
    }
}

const fn letter(outcome: Outcome) -> char {
    match outcome {
        Outcome::Succeeded => 's',
        Outcome::Failed => 'f',
        Outcome::Invalid => 'i',
    }
}

/// From minutes to minutes, hours and the phase: a change for each minute.
fn spread<'m, 'a: 'm, K: Eq + Hash + 'm>(
    watched: &Watched,
    series: Series,
    minutes: &'m [OfMinute<'a>],
    of: impl Fn(&'m OfMinute<'a>) -> &'m Counts<K>,
    name: impl Fn(&K) -> String,
    changes: &mut Vec<Change>,
) {
    for one in minutes {
        let counts = &of(one).0;
        if counts.is_empty() {
            continue;
        }
        let at = Timestamp::from_millis(one.minute.saturating_mul(60_000));
        let mut buckets =
            vec![MINUTE.bucket(series.minutes(), at), HOUR.bucket(series.hours(), at)];
        if one.in_phase {
            buckets.push(series.phase_bucket(watched));
        }
        let fields = counts.iter().map(|(key, by)| (name(key), *by)).collect();
        changes.push(Change::Add { buckets, fields });
    }
}
