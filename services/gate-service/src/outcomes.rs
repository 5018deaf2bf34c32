//! Taking in how uploads ended: checked whole, then counted once.

use std::time::Duration;

use contracts::gate::upload_outcome::{Path as WirePath, Result as WireResult};
use gate_core::{Outcome as Ending, Path};
use service_kit::fault::{Fault, checked};
use service_kit::journaled::store_failed;
use store::{Added, Batch, BatchId, Change, Hash, StoreError};
use tonic::{Code, Status};
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::app::App;
use crate::convert::required_time;
use crate::counting::{FUTURE_MAX, PAST_MAX, REMEMBERED, Sums, Upload};
use crate::error::DOMAIN;
use crate::evidence::{HEARD, NEWEST_OUTCOME, scope};
use crate::labels::Admitting;
use crate::unread::{Outcome, Report, Unread};

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
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if label.len() > LABEL_LENGTH_MAX || !label.bytes().all(good) {
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
    pub(crate) async fn count(&self, report: &Unread) -> Result<bool, Status> {
        let contents = Hash::of(&report.0);
        let report = Report::read(&report.0)?;
        let done = self.count_checked(&report, contents).await;
        self.meters.taken("outcomes", report.size, &done);
        Ok(done?)
    }

    async fn count_checked(&self, report: &Report<'_>, contents: Hash) -> Result<bool, Fault> {
        let scope = scope(report.pipeline)?;
        let id = checked(DOMAIN, "batch_id", BatchId::new(report.batch_id))?;
        check_size("outcomes", report.size)?;
        let watched = self.of_pipeline(report.pipeline)?;
        let now = self.clock.now();
        let known = self.labels.of(self.counters.as_ref(), &scope, now).await;
        let known = known.map_err(|error| store_failed(DOMAIN, &error))?;
        let mut newest = Timestamp::from_millis(i64::MIN);
        let mut changes = {
            let mut sums = Sums::of(&watched);
            for (index, outcome) in report.outcomes.iter().enumerate() {
                let upload = read_outcome(index, outcome, now)?;
                newest = newest.max(upload.at);
                sums.upload(&upload);
            }
            // Nothing is refused from here on: the lists of labels may be added to.
            let mut labels = Admitting::begin(&known, now);
            sums.admit(&mut labels);
            let mut changes = sums.into_changes(now);
            changes.append(&mut labels.added);
            changes
        };
        changes.push(heard(now));
        let gauge = NEWEST_OUTCOME.to_owned();
        changes.push(Change::Set { gauge, value: newest.as_millis(), at: newest });
        let batch = Batch { id, contents };
        let added = self.counters.add(&scope, &batch, REMEMBERED, changes).await;
        counted(added, report.batch_id)
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

fn read_outcome<'a>(index: usize, wire: &Outcome<'a>, now: Timestamp) -> Result<Upload<'a>, Fault> {
    // A path is only needed where something is wrong.
    let field = |name: &str| format!("outcomes[{index}].{name}");
    let at = read_time(|| format!("outcomes[{index}]"), wire.occur_time.as_ref(), now)?;
    UploadId::check(wire.upload_id).map_err(|why| invalid(field("upload_id"), why.0))?;
    WorkspaceId::check(wire.workspace_id).map_err(|why| invalid(field("workspace_id"), why.0))?;
    let outcome = match WireResult::try_from(wire.result).unwrap_or_default() {
        WireResult::Succeeded => Some(Ending::Succeeded),
        WireResult::Failed => Some(Ending::Failed),
        WireResult::Invalid => Some(Ending::Invalid),
        WireResult::Started => None,
        WireResult::Unspecified => {
            let why = "expected SUCCEEDED, FAILED or INVALID, or STARTED";
            return Err(invalid(field("result"), why));
        }
    };
    let path = match WirePath::try_from(wire.path).unwrap_or_default() {
        WirePath::New => Path::New,
        WirePath::Legacy => Path::Legacy,
        WirePath::Unspecified => return Err(invalid(field("path"), "expected NEW or LEGACY")),
    };
    check_label(|| field("platform"), wire.platform)?;
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
    let (platform, workspace) = (wire.platform, wire.workspace_id);
    Ok(Upload { at, path, outcome, latency_ms, platform, workspace })
}
