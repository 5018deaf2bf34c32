//! Taking in how uploads ended: checked whole, then counted once.

use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::upload_outcome::{Path as WirePath, Result as WireResult};
use gate_core::{Field, Outcome, Path};
use service_kit::fault::{Fault, checked};
use service_kit::journaled::store_failed;
use store::{Added, Batch, BatchId, Change, Hash, StoreError};
use tonic::Code;
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::app::App;
use crate::convert::required_time;
use crate::counting::{FUTURE_MAX, PAST_MAX, REMEMBERED, Series, Sums};
use crate::error::DOMAIN;
use crate::evidence::{HEARD, NEWEST_OUTCOME, scope};
use crate::labels::Admitting;

const BATCH_MAX: usize = 1_000;
const LATENCY_MAX: Duration = Duration::from_secs(24 * 3_600);
const LABEL_LENGTH_MAX: usize = 32;

pub(crate) fn invalid(path: impl Into<String>, why: impl Into<String>) -> Fault {
    Fault::field(DOMAIN, path, why)
}

pub(crate) fn check_size(path: &str, size: usize) -> Result<(), Fault> {
    if (1..=BATCH_MAX).contains(&size) {
        return Ok(());
    }
    Err(invalid(path, format!("{size} in a batch: expected 1 to {BATCH_MAX}")))
}

/// Letters, digits and a few signs, at most 32: what labels of series are made of.
pub(crate) fn check_label(path: impl FnOnce() -> String, label: &str) -> Result<(), Fault> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if label.len() > LABEL_LENGTH_MAX || !label.chars().all(good) {
        let why = "expected at most 32 ASCII letters, digits, `_`, `-` or `.`";
        return Err(invalid(path(), why));
    }
    Ok(())
}

pub(crate) fn digest(request: &impl prost::Message) -> Hash {
    Hash::of(&request.encode_to_vec())
}

/// Whether the batch had been counted before.
pub(crate) fn counted(added: Result<Added, StoreError>, batch_id: &str) -> Result<bool, Fault> {
    match added.map_err(|error| store_failed(DOMAIN, &error))? {
        Added::Counted => Ok(false),
        Added::Duplicate => Ok(true),
        Added::Reused => Err(Fault::new(
            Code::AlreadyExists,
            DOMAIN,
            "BATCH_ID_REUSED",
            format!("batch id {batch_id} was used before with other contents: choose a new one"),
        )
        .with("batch_id", batch_id)),
    }
}

/// That somebody reports, since `now`.
pub(crate) fn heard(now: Timestamp) -> Change {
    let value = now.as_millis();
    Change::Set { gauge: HEARD.to_owned(), value, at: now }
}

impl App {
    /// Counts outcomes. `true`: the batch had been counted before.
    pub(crate) async fn count(&self, request: &pb::ReportOutcomesRequest) -> Result<bool, Fault> {
        let done = self.count_checked(request).await;
        self.meters.taken("outcomes", request.outcomes.len(), &done);
        done
    }

    async fn count_checked(&self, request: &pb::ReportOutcomesRequest) -> Result<bool, Fault> {
        let scope = scope(&request.pipeline)?;
        let id = checked(DOMAIN, "batch_id", BatchId::new(&request.batch_id))?;
        check_size("outcomes", request.outcomes.len())?;
        let watched = self.of_pipeline(&request.pipeline)?;
        let now = self.clock.now();
        let known = self.labels.of(self.counters.as_ref(), &scope, now).await;
        let known = known.map_err(|error| store_failed(DOMAIN, &error))?;
        let mut newest = Timestamp::from_millis(i64::MIN);
        let changes = {
            let mut read = Vec::with_capacity(request.outcomes.len());
            for (index, outcome) in request.outcomes.iter().enumerate() {
                read.push(read_outcome(index, outcome, now)?);
            }
            // Nothing is refused from here on: the lists of labels may be added to.
            let mut labels = Admitting::begin(&known, now);
            let mut sums = Sums::of(&watched);
            for (wire, upload) in request.outcomes.iter().zip(read) {
                newest = newest.max(upload.at);
                let begun = upload.at.minus(Duration::from_millis(upload.latency_ms));
                let Some(outcome) = upload.outcome else {
                    if upload.path == Path::New {
                        sums.admitted(begun, "begun");
                    }
                    continue;
                };
                for field in
                    Field::of(upload.path, outcome, upload.latency_ms, &watched.reading.limits_ms)
                {
                    sums.count(upload.at, field, 1);
                }
                if upload.path == Path::New {
                    sums.admitted(begun, admitted_name(outcome));
                    let platform = labels.kept(Series::Platform, &wire.platform);
                    let workspace = labels.kept(Series::Workspace, &wire.workspace_id);
                    sums.labelled(upload.at, (platform, workspace), outcome);
                }
            }
            let mut changes = sums.into_changes(now);
            changes.append(&mut labels.added);
            changes
        };
        let mut changes = changes;
        changes.push(heard(now));
        let gauge = NEWEST_OUTCOME.to_owned();
        changes.push(Change::Set { gauge, value: newest.as_millis(), at: newest });
        let batch = Batch { id, contents: digest(request) };
        let added = self.counters.add(&scope, &batch, REMEMBERED, &changes).await;
        counted(added, &request.batch_id)
    }
}

const fn admitted_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Invalid => "invalid",
    }
}

/// Reads when something happened: not from the future, nor from before any window.
pub(crate) fn read_time(
    path: impl Fn() -> String,
    wire: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Result<Timestamp, Fault> {
    let path = || format!("{}.occur_time", path());
    let at = required_time(path, wire)?;
    if at > now.plus(FUTURE_MAX) {
        let why = format!("{at} is in the future: it is {now}, and clocks may differ by 60 s");
        return Err(invalid(path(), why));
    }
    if at < now.minus(PAST_MAX) {
        let why = format!("{at} is too late: it is {now}, and no window reaches back over 7 days");
        return Err(invalid(path(), why));
    }
    Ok(at)
}

struct Upload {
    at: Timestamp,
    path: Path,
    /// `None` where it has only begun.
    outcome: Option<Outcome>,
    latency_ms: u64,
}

fn read_outcome(index: usize, wire: &pb::UploadOutcome, now: Timestamp) -> Result<Upload, Fault> {
    // A path is only needed where something is wrong.
    let field = |name: &str| format!("outcomes[{index}].{name}");
    let at = read_time(|| format!("outcomes[{index}]"), wire.occur_time.as_ref(), now)?;
    UploadId::new(&wire.upload_id).map_err(|why| invalid(field("upload_id"), why.0))?;
    WorkspaceId::new(&wire.workspace_id).map_err(|why| invalid(field("workspace_id"), why.0))?;
    let outcome = match wire.result() {
        WireResult::Succeeded => Some(Outcome::Succeeded),
        WireResult::Failed => Some(Outcome::Failed),
        WireResult::Invalid => Some(Outcome::Invalid),
        WireResult::Started => None,
        WireResult::Unspecified => {
            let why = "expected SUCCEEDED, FAILED or INVALID, or STARTED";
            return Err(invalid(field("result"), why));
        }
    };
    let path = match wire.path() {
        WirePath::New => Path::New,
        WirePath::Legacy => Path::Legacy,
        WirePath::Unspecified => return Err(invalid(field("path"), "expected NEW or LEGACY")),
    };
    check_label(|| field("platform"), &wire.platform)?;
    let latency_ms = match (wire.latency_duration, outcome) {
        (None, None) => 0,
        (latency, _) => {
            let latency = latency.and_then(|latency| Duration::try_from(latency).ok());
            let Some(latency) = latency.filter(|latency| *latency <= LATENCY_MAX) else {
                return Err(invalid(field("latency_duration"), "is required, 0 s to 24 h"));
            };
            u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)
        }
    };
    Ok(Upload { at, path, outcome, latency_ms })
}
