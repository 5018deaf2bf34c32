//! Which platforms and workspaces are kept apart: so many a day, the first to be seen. The busy
//! ones are seen early; the rest is counted together, as `other`.
//!
//! Every replica keeps the list of the day and finds the others' in the store when it begins: as
//! many labels are kept at most as the bound times the number of replicas.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use gate_core::Day;
use store::{Bucket, Change, Counters, Scope, StoreError, Window};
use vocab::Timestamp;

use crate::counting::Series;

/// What is beyond the bound is counted under this.
pub(crate) const OTHER: &str = "other";

const DAY: Duration = Duration::from_secs(24 * 3_600);
const PLATFORMS_MAX: usize = 16;
const WORKSPACES_MAX: usize = 200;

/// The lists of the day, by pipeline.
#[derive(Debug, Default)]
pub(crate) struct Labels(Mutex<HashMap<String, Arc<Mutex<Known>>>>);

/// The lists of one pipeline.
#[derive(Debug)]
pub(crate) struct Known {
    day: i64,
    platforms: HashSet<String, RandomState>,
    workspaces: HashSet<String, RandomState>,
}

/// The lists while one batch is counted, and what it adds to them.
#[derive(Debug)]
pub(crate) struct Admitting<'l> {
    known: MutexGuard<'l, Known>,
    now: Timestamp,
    pub(crate) added: Vec<Change>,
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Today's lists of a pipeline, read where this process has not yet.
    pub(crate) async fn of(
        &self,
        counters: &dyn Counters,
        scope: &Scope,
        now: Timestamp,
    ) -> Result<Arc<Mutex<Known>>, StoreError> {
        let day = Day::number_of(now);
        let known = locked(&self.0).get(scope.as_str()).cloned();
        if let Some(known) = known.filter(|known| locked(known).day == day) {
            return Ok(known);
        }
        let platforms = list(counters, scope, Series::Platform, now).await?;
        let workspaces = list(counters, scope, Series::Workspace, now).await?;
        let known = Arc::new(Mutex::new(Known { day, platforms, workspaces }));
        locked(&self.0).insert(scope.as_str().to_owned(), Arc::clone(&known));
        Ok(known)
    }
}

async fn list(
    counters: &dyn Counters,
    scope: &Scope,
    series: Series,
    now: Timestamp,
) -> Result<HashSet<String, RandomState>, StoreError> {
    let Bucket { series, start, .. } = bucket(series, now);
    let window = Window { series, from: start, to: start.plus(DAY), width: DAY };
    Ok(counters.sum(scope, &window).await?.into_keys().collect())
}

impl<'l> Admitting<'l> {
    /// Begins a batch.
    pub(crate) fn begin(known: &'l Mutex<Known>, now: Timestamp) -> Self {
        Self { known: locked(known), now, added: Vec::new() }
    }

    /// The label itself where it is kept apart, [`OTHER`] where it is not.
    pub(crate) fn kept<'a>(&mut self, series: Series, label: &'a str) -> &'a str {
        let labels = match series {
            Series::Workspace => &mut self.known.workspaces,
            Series::Platform | Series::Happened | Series::Admitted => &mut self.known.platforms,
        };
        if labels.contains(label) {
            return label;
        }
        if labels.len() >= most(series) {
            return OTHER;
        }
        labels.insert(label.to_owned());
        self.added.push(Change::add(bucket(series, self.now), label, 1));
        label
    }
}
