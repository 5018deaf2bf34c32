//! Adding up what a batch changes, before anything is written.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use gate_core::{Field, Outcome};
use store::Change;
use vocab::Timestamp;

use super::{HOUR, MINUTE, Series};
use crate::settled::late;
use crate::watched::Watched;

/// A minute, and whether it is counted for the phase: the one in which a phase begins is both.
type Minute = (i64, bool);

/// What a batch changes.
#[derive(Debug)]
pub(crate) struct Sums<'a> {
    watched: &'a Watched,
    happened: HashMap<Minute, Counts<Field>>,
    admitted: HashMap<Minute, Counts<&'static str>>,
    labelled: HashMap<(Series, Minute), Counts<(&'a str, Outcome)>>,
}

/// A few counters, the busiest found first.
#[derive(Debug)]
struct Counts<K>(HashMap<K, u64>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn add(&mut self, key: K, count: u64) {
        let total = self.0.entry(key).or_default();
        *total = total.saturating_add(count);
    }
}

impl<'a> Sums<'a> {
    pub(crate) fn of(watched: &'a Watched) -> Self {
        Self {
            watched,
            happened: HashMap::new(),
            admitted: HashMap::new(),
            labelled: HashMap::new(),
        }
    }

    fn minute(&self, at: Timestamp) -> Minute {
        let in_phase = at >= self.watched.start_time && !self.watched.phase_id.is_empty();
        (at.as_millis().div_euclid(60_000), in_phase)
    }

    /// Counts at an instant.
    pub(crate) fn count(&mut self, at: Timestamp, field: Field, count: u64) {
        let minute = self.minute(at);
        self.happened.entry(minute).or_default().add(field, count);
    }

    /// Counts an upload where it was admitted: `begun`, or how it ended.
    pub(crate) fn admitted(&mut self, at: Timestamp, what: &'static str) {
        let minute = self.minute(at);
        self.admitted.entry(minute).or_default().add(what, 1);
    }

    /// Counts an outcome of a platform or workspace.
    pub(crate) fn labelled(
        &mut self,
        series: Series,
        at: Timestamp,
        label: &'a str,
        outcome: Outcome,
    ) {
        let minute = self.minute(at);
        self.labelled.entry((series, minute)).or_default().add((label, outcome), 1);
    }

    /// The beginning of the oldest minute that is counted in.
    fn oldest(&self) -> Option<Timestamp> {
        let happened = self.happened.keys().chain(self.admitted.keys());
        let minutes = happened.chain(self.labelled.keys().map(|(_, minute)| minute));
        let oldest = minutes.map(|(minute, _)| *minute).min();
        oldest.map(|minute| Timestamp::from_millis(minute.saturating_mul(60_000)))
    }

    /// One change for every counter of every bucket; one more where some of it is late.
    pub(crate) fn into_changes(self, now: Timestamp) -> Vec<Change> {
        let mut changes: Vec<_> =
            self.oldest().and_then(|oldest| late(oldest, now)).into_iter().collect();
        let watched = self.watched;
        spread(watched, Series::Happened, self.happened, |field| field.name(), &mut changes);
        let name = |what: &&str| (*what).to_owned();
        spread(watched, Series::Admitted, self.admitted, name, &mut changes);
        for series in [Series::Platform, Series::Workspace] {
            let own = self.labelled.iter().filter(|((kind, _), _)| *kind == series);
            let own: HashMap<_, _> =
                own.map(|((_, minute), counts)| (*minute, Counts(counts.0.clone()))).collect();
            let name = |(label, outcome): &(&str, Outcome)| format!("{}/{label}", letter(*outcome));
            spread(watched, series, own, name, &mut changes);
        }
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

/// From minutes to minutes, hours and the phase.
fn spread<K: Eq + Hash + Clone>(
    watched: &Watched,
    series: Series,
    minutes: HashMap<Minute, Counts<K>>,
    name: impl Fn(&K) -> String,
    changes: &mut Vec<Change>,
) {
    let mut by_minute: BTreeMap<i64, Counts<K>> = BTreeMap::new();
    let mut by_hour: BTreeMap<i64, Counts<K>> = BTreeMap::new();
    let mut of_phase = Counts::default();
    for ((minute, in_phase), counts) in minutes {
        for (key, count) in counts.0 {
            if in_phase {
                of_phase.add(key.clone(), count);
            }
            by_hour.entry(minute.div_euclid(60)).or_default().add(key.clone(), count);
            by_minute.entry(minute).or_default().add(key, count);
        }
    }
    let mut put = |bucket: &store::Bucket, counts: Counts<K>| {
        changes.extend(counts.0.into_iter().map(|(key, by)| Change::Add {
            bucket: bucket.clone(),
            field: name(&key),
            by,
        }));
    };
    for (minute, counts) in by_minute {
        let at = Timestamp::from_millis(minute.saturating_mul(60_000));
        put(&MINUTE.bucket(series.minutes(), at), counts);
    }
    for (hour, counts) in by_hour {
        let at = Timestamp::from_millis(hour.saturating_mul(3_600_000));
        put(&HOUR.bucket(series.hours(), at), counts);
    }
    if !of_phase.0.is_empty() {
        put(&series.phase_bucket(watched), of_phase);
    }
}
