//! Adding up what a batch changes, before anything is written.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use foldhash::fast::RandomState;
use gate_core::{Field, Outcome};
use store::{Bucket, Change};
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

    /// One change for every counter of every bucket; one more where some of it is late.
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

/// From minutes to minutes, hours and the phase. Each counter is named once.
fn spread<'m, 'a: 'm, K: Eq + Hash + 'm>(
    watched: &Watched,
    series: Series,
    minutes: &'m [OfMinute<'a>],
    of: impl Fn(&'m OfMinute<'a>) -> &'m Counts<K>,
    name: impl Fn(&K) -> String,
    changes: &mut Vec<Change>,
) {
    let mut named: HashMap<&K, String, RandomState> = HashMap::default();
    let mut buckets: BTreeMap<(u8, i64), (Bucket, Counts<&K>)> = BTreeMap::new();
    for one in minutes {
        let at = Timestamp::from_millis(one.minute.saturating_mul(60_000));
        let minute = || MINUTE.bucket(series.minutes(), at);
        let hour = || HOUR.bucket(series.hours(), at);
        for (key, count) in &of(one).0 {
            named.entry(key).or_insert_with(|| name(key));
            let mut add = |place, bucket: &dyn Fn() -> Bucket| {
                let entry = buckets.entry(place).or_insert_with(|| (bucket(), Counts::default()));
                entry.1.add(key, *count);
            };
            add((0, one.minute), &minute);
            add((1, one.minute.div_euclid(60)), &hour);
            if one.in_phase {
                add((2, 0), &|| series.phase_bucket(watched));
            }
        }
    }
    for (bucket, counts) in buckets.into_values() {
        let of_bucket = counts.0.into_iter().map(|(key, by)| Change::Add {
            bucket: bucket.clone(),
            field: named.get(key).cloned().unwrap_or_default(),
            by,
        });
        changes.extend(of_bucket);
    }
}
