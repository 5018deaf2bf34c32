//! Looking without changing anything: streams, timelines, advice.

use std::sync::Arc;
use std::time::Duration;

use contracts::rollout as pb;
use rollout_core::{Situation, advise};
use service_kit::fault::Fault;
use service_kit::journaled::store_failed;
use service_kit::paging::{cut, page};
use service_kit::wire::{signed, wire_time};
use store::Record;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::giving::rollout_name;
use crate::app::App;
use crate::convert;
use crate::error::DOMAIN;
use crate::state::decode;

const RECORDS: usize = 100;
const RECORDS_MAX: usize = 500;
const PAGE_SIZE_MAX: usize = 2 * 1024 * 1024; // Of a page of records: half of what a client takes.

/// What happened to a rollout.
pub(super) async fn timeline(
    app: &App,
    request: pb::ListTimelineRequest,
) -> Result<pb::ListTimelineResponse, Status> {
    rollout_name(&request.name)?;
    app.find(&request.name)?;
    let page = page(DOMAIN, "timeline", request.page_size, &request.page_token)?;
    let entries = app.entries(&request.name).await?;
    // Padded, so that the order of the names is that of the entries.
    let named = entries.into_iter().map(|entry| (format!("{:020}", entry.revision), entry));
    let (entries, next_page_token) = cut("timeline", &page, named);
    Ok(pb::ListTimelineResponse { entries, next_page_token })
}

/// The journal as it is stored. A page ends early where it grows too large for a message.
pub(super) async fn records(
    app: &App,
    request: &pb::ListRecordsRequest,
) -> Result<pb::ListRecordsResponse, Fault> {
    let after = u64::try_from(request.after_revision)
        .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
    let size = match usize::try_from(request.page_size) {
        Ok(0) => RECORDS,
        Ok(size) => size.min(RECORDS_MAX),
        Err(_) => return Err(Fault::field(DOMAIN, "page_size", "is negative")),
    };
    let page = app.replica.records(after, size).await;
    let page = page.map_err(|error| store_failed(DOMAIN, &error))?;
    let mut records = Vec::new();
    let mut total = 0;
    for record in page.iter().map(Record::encode) {
        total += record.len();
        if total > PAGE_SIZE_MAX && !records.is_empty() {
            break;
        }
        records.push(record);
    }
    Ok(pb::ListRecordsResponse { records })
}

/// What the decision matrix says.
pub(super) fn advised(app: &App, request: &pb::AdviseRequest) -> Result<pb::AdviseResponse, Fault> {
    let plan = app.plan_of(&request.name)?;
    let rows = &plan.plan.decision_matrix;
    for (index, condition) in request.conditions.iter().enumerate() {
        if !rows.iter().any(|row| row.id.as_str() == condition) {
            let known: Vec<_> = rows.iter().map(|row| row.id.to_string()).collect();
            let shown = vocab::excerpt(condition);
            let why = format!("`{shown}` is no row of the matrix: it has {}", known.join(", "));
            return Err(Fault::field(DOMAIN, format!("conditions[{index}]"), why));
        }
    }
    let expected = request.expected_duration.map(Duration::try_from).transpose();
    let expected = expected
        .map_err(|_e| Fault::field(DOMAIN, "expected_duration", "is negative or malformed"))?;
    let situation = Situation { conditions: &request.conditions, expected, incident: None };
    let advice = advise(&plan.plan, situation).ok_or_else(|| {
        let why = "no row of the matrix applies: name the conditions that hold, or how long it is \
                   expected to take";
        Fault::field(DOMAIN, "conditions", why)
    })?;
    let applying = advice.applying.iter().map(|row| convert::matrix_row(row)).collect();
    Ok(pb::AdviseResponse { row: Some(convert::matrix_row(advice.row)), applying })
}

/// Streams one rollout: what it is now, then what it becomes. Changes in between are coalesced.
pub(super) fn watch_one(
    app: Arc<App>,
    name: String,
) -> ReceiverStream<Result<pb::WatchRolloutResponse, Status>> {
    let (tx, rx) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut changes = app.replica.changes();
        let mut shutdown = app.shutdown.clone();
        let mut sent = None;
        loop {
            changes.mark_unchanged();
            let Ok(rollout) = app.find(&name) else { return };
            let state = Some((rollout.revision, rollout.applied_generation));
            if state > sent {
                sent = state;
                let rollout = Some(convert::rollout(&rollout, app.clock.now()));
                if tx.send(Ok(pb::WatchRolloutResponse { rollout })).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = shutdown.wait() => return,
                () = tx.closed() => return,
            }
        }
    });
    ReceiverStream::new(rx)
}

pub(super) fn happened(record: &Record) -> Result<pb::WatchRolloutEventsResponse, Status> {
    Ok(pb::WatchRolloutEventsResponse {
        revision: signed(record.version),
        occur_time: Some(wire_time(record.time)),
        actor: record.actor.subject.clone(),
        reason: record.reason.clone(),
        traceparent: record.traceparent.clone(),
        event: Some(decode(record).map_err(Status::data_loss)?),
    })
}
