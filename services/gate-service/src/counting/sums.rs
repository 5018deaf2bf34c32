//! Adding up what a batch changes, before anything is written.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use gate_core::{Field, Outcome, Path};
use store::Change;
use vocab::Timestamp;

use super::{HOUR, MINUTE, Series};
use crate::labels::{Admitting, OTHER};
use crate::settled::late;
use crate::watched::Watched;

const MINUTE_MS: i64 = 60_000;
/// Names of what [`OfMinute::admitted`] counts.
const ADMITTED: [&str; 4] = ["succeeded", "failed", "invalid", "begun"];
const BEGUN: usize = 3;
/// Outcomes and paths by their places in arrays.
const OUTCOMES: [Outcome; 3] = [Outcome::Succeeded, Outcome::Failed, Outcome::Invalid];
const PATHS: [Path; 2] = [Path::New, Path::Legacy];

/// An upload that ended, or that has only begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upload<'a> {
    pub(crate) at: Timestamp,
    pub(crate) path: Path,
    /// `None` where it has only begun.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) latency_ms: u64,
    pub(crate) platform: &'a str,
    pub(crate) workspace: &'a str,
}

/// What a batch changes.
#[derive(Debug)]
pub(crate) struct Sums<'a> {
    watched: &'a Watched,
    /// A batch is of a few minutes, and of one mostly.
    minutes: Vec<OfMinute>,
    platforms: Labels<'a>,
    workspaces: Labels<'a>,
}

/// A minute, and whether it is counted for the phase: the one in which a phase begins is both.
#[derive(Debug, Default)]
struct OfMinute {
    minute: i64,
    in_phase: bool,
    happened: Happened,
    admitted: [u64; ADMITTED.len()],
    platforms: ByLabel,
    workspaces: ByLabel,
}

/// Outcomes by path, latencies by bucket, and the few other counters.
#[derive(Debug, Default)]
struct Happened {
    outcomes: [[u64; OUTCOMES.len()]; PATHS.len()],
    latencies: Vec<u64>,
    others: HashMap<Field, u64, RandomState>,
}

/// Labels by number, in the order in which they were seen.
#[derive(Debug, Default)]
struct Labels<'a> {
    numbers: HashMap<&'a str, usize, RandomState>,
    names: Vec<&'a str>,
}

/// Outcomes, by the number of a label.
#[derive(Debug, Default)]
struct ByLabel(Vec<[u64; OUTCOMES.len()]>);

impl<'a> Sums<'a> {
    pub(crate) fn of(watched: &'a Watched) -> Self {
        let (platforms, workspaces) = (Labels::default(), Labels::default());
        Self { watched, minutes: Vec::new(), platforms, workspaces }
    }

    fn at(&mut self, at: Timestamp) -> &mut OfMinute {
        let in_phase = at >= self.watched.start_time && !self.watched.phase_id.is_empty();
        let minute = at.as_millis().div_euclid(MINUTE_MS);
        let is = |one: &OfMinute| one.minute == minute && one.in_phase == in_phase;
        let place = self.minutes.iter().position(is).unwrap_or_else(|| {
            self.minutes.push(OfMinute { minute, in_phase, ..OfMinute::default() });
            self.minutes.len() - 1
        });
        &mut self.minutes[place]
    }

    /// Counts at an instant.
    pub(crate) fn count(&mut self, at: Timestamp, field: Field, count: u64) {
        self.at(at).happened.add(field, count);
    }

    /// Counts an upload: when it ended, and when it was admitted.
    pub(crate) fn upload(&mut self, upload: &Upload<'a>) {
        if let Some(outcome) = upload.outcome {
            self.ended(upload, outcome);
        }
        if upload.path == Path::New {
            let begun = upload.at.minus(Duration::from_millis(upload.latency_ms));
            self.at(begun).admitted[upload.outcome.map_or(BEGUN, place)] += 1;
        }
    }

    fn ended(&mut self, upload: &Upload<'a>, outcome: Outcome) {
        let labels = (upload.path == Path::New).then(|| {
            (self.platforms.number(upload.platform), self.workspaces.number(upload.workspace))
        });
        let limits_ms = &self.watched.reading.limits_ms;
        let minute = self.at(upload.at);
        Field::of(upload.path, outcome, upload.latency_ms, limits_ms)
            .for_each(|field| minute.happened.add(field, 1));
        if let Some((platform, workspace)) = labels {
            minute.platforms.add(platform, outcome);
            minute.workspaces.add(workspace, outcome);
        }
    }

    /// Keeps apart which labels may be.
    pub(crate) fn admit(&mut self, labels: &mut Admitting<'_>) {
        for (series, own) in
            [(Series::Platform, &mut self.platforms), (Series::Workspace, &mut self.workspaces)]
        {
            for name in &mut own.names {
                *name = labels.kept(series, name);
            }
        }
    }

    /// A change for every minute and kind of series; one more where some of it is late.
    pub(crate) fn into_changes(self, now: Timestamp) -> Vec<Change> {
        let oldest = self.minutes.iter().map(|one| one.minute).min();
        let oldest = oldest.map(|minute| Timestamp::from_millis(minute.saturating_mul(MINUTE_MS)));
        let mut changes: Vec<_> = oldest.and_then(|oldest| late(oldest, now)).into_iter().collect();
        for one in &self.minutes {
            for (series, fields) in [
                (Series::Happened, one.happened.fields()),
                (Series::Admitted, one.admitted()),
                (Series::Platform, one.platforms.fields(&self.platforms)),
                (Series::Workspace, one.workspaces.fields(&self.workspaces)),
            ] {
                if !fields.is_empty() {
                    changes.push(one.change(self.watched, series, fields));
                }
            }
        }
        changes
    }
}

impl OfMinute {
    /// From a minute to itself, its hour and the phase.
    fn change(&self, watched: &Watched, series: Series, fields: Vec<(String, u64)>) -> Change {
        let at = Timestamp::from_millis(self.minute.saturating_mul(MINUTE_MS));
        let mut buckets =
            vec![MINUTE.bucket(series.minutes(), at), HOUR.bucket(series.hours(), at)];
        if self.in_phase {
            buckets.push(series.phase_bucket(watched));
        }
        Change::Add { buckets, fields }
    }

    fn admitted(&self) -> Vec<(String, u64)> {
        let counts = ADMITTED.iter().zip(self.admitted).filter(|(_, count)| *count > 0);
        counts.map(|(name, count)| ((*name).to_owned(), count)).collect()
    }
}

impl Happened {
    fn add(&mut self, field: Field, count: u64) {
        let total = match field {
            Field::Latency(bucket) => {
                let place = usize::from(bucket);
                if self.latencies.len() <= place {
                    self.latencies.resize(place + 1, 0);
                }
                &mut self.latencies[place]
            }
            Field::Count(path, outcome) => &mut self.outcomes[of_path(path)][place(outcome)],
            Field::Slow(_)
            | Field::Probe { .. }
            | Field::Happened(_)
            | Field::Looked(_)
            | Field::Reading(..) => self.others.entry(field).or_default(),
        };
        *total = total.saturating_add(count);
    }

    fn fields(&self) -> Vec<(String, u64)> {
        let latencies = (0..).map(Field::Latency).zip(&self.latencies);
        let latencies = latencies.filter(|(_, count)| **count > 0);
        let others = self.others.iter().map(|(field, count)| (*field, count));
        let outcomes = PATHS.iter().zip(&self.outcomes).flat_map(|(path, counts)| {
            OUTCOMES
                .iter()
                .zip(counts)
                .map(|(outcome, count)| (Field::Count(*path, *outcome), count))
        });
        let outcomes = outcomes.filter(|(_, count)| **count > 0);
        let all = outcomes.chain(others).chain(latencies);
        all.map(|(field, count)| (field.name(), *count)).collect()
    }
}

impl<'a> Labels<'a> {
    fn number(&mut self, label: &'a str) -> usize {
        if let Some(number) = self.numbers.get(label) {
            return *number;
        }
        self.numbers.insert(label, self.names.len());
        self.names.push(label);
        self.names.len() - 1
    }
}

impl ByLabel {
    fn add(&mut self, number: usize, outcome: Outcome) {
        if self.0.len() <= number {
            self.0.resize(number + 1, [0; OUTCOMES.len()]);
        }
        self.0[number][place(outcome)] += 1;
    }

    /// The counters of labels that are kept apart, and of all others together.
    fn fields(&self, labels: &Labels<'_>) -> Vec<(String, u64)> {
        let mut fields = Vec::with_capacity(self.0.len());
        let mut others = [0; OUTCOMES.len()];
        let mut push = |label: &str, counts: &[u64; OUTCOMES.len()]| {
            for (letter, count) in ["s", "f", "i"].into_iter().zip(counts) {
                if *count > 0 {
                    fields.push(([letter, "/", label].concat(), *count));
                }
            }
        };
        for (label, counts) in labels.names.iter().zip(&self.0) {
            if *label == OTHER {
                others.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
            } else {
                push(label, counts);
            }
        }
        push(OTHER, &others);
        fields
    }
}

const fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Succeeded => 0,
        Outcome::Failed => 1,
        Outcome::Invalid => 2,
    }
}

const fn of_path(path: Path) -> usize {
    match path {
        Path::New => 0,
        Path::Legacy => 1,
    }
}
