//! Which platforms and workspaces are kept apart: so many a day, the first to be seen. The busy
//! ones are seen early; the rest is counted together, as `other`.
//!
//! Every replica keeps the list of the day and finds the others' in the store when it begins: as
//! many labels are kept at most as the bound times the number of replicas.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gate_core::Day;
use store::{Bucket, Change, Counters, Scope, StoreError, Window};
use vocab::Timestamp;

use crate::counting::Series;

/// What is beyond the bound is counted under this.
pub(crate) const OTHER: &str = "other";

const DAY: Duration = Duration::from_secs(24 * 3_600);
const PLATFORMS_MAX: usize = 16;
const WORKSPACES_MAX: usize = 200;

/// The lists of the day, by pipeline and series.
#[derive(Debug, Default)]
pub(crate) struct Labels(Mutex<HashMap<(String, Series), Known>>);

#[derive(Debug)]
struct Known {
    day: i64,
    labels: HashSet<String>,
}

/// The lists while one batch is counted, and what it adds to them.
#[derive(Debug)]
pub(crate) struct Admitting<'l> {
    known: MutexGuard<'l, HashMap<(String, Series), Known>>,
    pipeline: &'l str,
    now: Timestamp,
    pub(crate) added: Vec<Change>,
}

const fn most(series: Series) -> usize {
    match series {
        Series::Workspace => WORKSPACES_MAX,
        Series::Platform | Series::Happened | Series::Admitted => PLATFORMS_MAX,
    }
}

fn list_name(series: Series) -> &'static str {
    match series {
        Series::Workspace => "workspaces:known",
        Series::Platform | Series::Happened | Series::Admitted => "platforms:known",
    }
}

fn bucket(series: Series, now: Timestamp) -> Bucket {
    let start = Day::begin(Day::number_of(now));
    Bucket { series: list_name(series).to_owned(), start, keep: 2 * DAY }
}

impl Labels {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, Series), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads today's lists where this process has not yet.
    pub(crate) async fn load(
        &self,
        counters: &dyn Counters,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let day = Day::number_of(now);
        for series in [Series::Platform, Series::Workspace] {
            let key = (scope.as_str().to_owned(), series);
            if self.lock().get(&key).is_some_and(|known| known.day == day) {
                continue;
            }
            let Bucket { series: name, start, .. } = bucket(series, now);
            let window = Window { series: name, from: start, to: start.plus(DAY), width: DAY };
            let labels = counters.sum(scope, &window).await?.into_keys().collect();
            self.lock().insert(key, Known { day, labels });
        }
        Ok(())
    }

    /// Begins a batch.
    pub(crate) fn admitting<'l>(&'l self, pipeline: &'l str, now: Timestamp) -> Admitting<'l> {
        Admitting { known: self.lock(), pipeline, now, added: Vec::new() }
    }
}

impl Admitting<'_> {
    /// The label itself where it is kept apart, [`OTHER`] where it is not.
    pub(crate) fn kept<'a>(&mut self, series: Series, label: &'a str) -> &'a str {
        let Some(known) = self.known.get_mut(&(self.pipeline.to_owned(), series)) else {
            return OTHER;
        };
        if known.labels.contains(label) {
            return label;
        }
        if known.labels.len() >= most(series) {
            return OTHER;
        }
        known.labels.insert(label.to_owned());
        let (bucket, field) = (bucket(series, self.now), label.to_owned());
        self.added.push(Change::Add { bucket, field, by: 1 });
        label
    }
}
