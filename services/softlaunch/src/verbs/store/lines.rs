//! The lines of an export of a whole store.

use serde::{Deserialize, Serialize};
use store::{Batch, BatchId, Hash, Item, Reading, RequestKey, Scope, StreamName};
use vocab::{Invalid, Timestamp, UploadId, WorkspaceId};

use crate::verbs::audit::RecordLine;

/// The format of these lines.
pub(super) const FORMAT: u32 = 1;

/// Times are milliseconds since 1970, digests and payloads hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "camelCase", deny_unknown_fields)]
pub(super) enum Line {
    /// The first.
    Store {
        format: u32,
    },
    Record(RecordLine),
    Answer {
        stream: String,
        request: String,
        digest: String,
        first: u64,
        count: u64,
        until: i64,
    },
    Batch {
        scope: String,
        id: String,
        contents: String,
        until: i64,
    },
    Count {
        scope: String,
        series: String,
        start: i64,
        field: String,
        count: u64,
        until: i64,
    },
    Gauge {
        scope: String,
        gauge: String,
        value: i64,
        at: i64,
    },
    Hold {
        pipeline: String,
        workspace: String,
        day: String,
        upload: String,
        until: i64,
    },
    Fence {
        lease: String,
        fence: u64,
    },
    /// Where a journal ends.
    Head {
        stream: String,
        version: u64,
        hash: String,
    },
    /// The last: how many items there were, and the SHA-256 of all lines before this one.
    End {
        items: u64,
        sha256: String,
    },
}

impl Line {
    pub(super) fn of(item: &Item) -> Self {
        match item {
            Item::Record { stream, record } => Self::Record(RecordLine::of(stream, record)),
            Item::Answer { stream, request, first, count, until } => Self::Answer {
                stream: stream.to_string(),
                request: request.id.clone(),
                digest: request.digest.to_string(),
                first: *first,
                count: *count,
                until: until.as_millis(),
            },
            Item::Batch { scope, batch, until } => Self::Batch {
                scope: scope.as_str().to_owned(),
                id: batch.id.as_str().to_owned(),
                contents: batch.contents.to_string(),
                until: until.as_millis(),
            },
            Item::Count { scope, series, start, field, count, until } => Self::Count {
                scope: scope.as_str().to_owned(),
                series: series.clone(),
                start: start.as_millis(),
                field: field.clone(),
                count: *count,
                until: until.as_millis(),
            },
            Item::Gauge { scope, gauge, reading } => Self::Gauge {
                scope: scope.as_str().to_owned(),
                gauge: gauge.clone(),
                value: reading.value,
                at: reading.at.as_millis(),
            },
            Item::Hold { pipeline, workspace, day, upload, until } => Self::Hold {
                pipeline: pipeline.clone(),
                workspace: workspace.to_string(),
                day: day.clone(),
                upload: upload.as_str().to_owned(),
                until: until.as_millis(),
            },
            Item::Fence { lease, fence } => Self::Fence { lease: lease.clone(), fence: *fence },
        }
    }

    /// The item of this line; none where it is about the file itself.
    pub(super) fn into_item(self) -> Result<Option<Item>, Invalid> {
        let at = Timestamp::from_millis;
        Ok(Some(match self {
            Self::Store { .. } | Self::Head { .. } | Self::End { .. } => return Ok(None),
            Self::Record(line) => {
                Item::Record { stream: StreamName::new(&line.stream)?, record: line.to_record()? }
            }
            Self::Answer { stream, request, digest, first, count, until } => Item::Answer {
                stream: StreamName::new(&stream)?,
                request: RequestKey { id: request, digest: hash(&digest)? },
                first,
                count,
                until: at(until),
            },
            Self::Batch { scope, id, contents, until } => Item::Batch {
                scope: Scope::new(&scope)?,
                batch: Batch { id: BatchId::new(&id)?, contents: hash(&contents)? },
                until: at(until),
            },
            Self::Count { scope, series, start, field, count, until } => Item::Count {
                scope: Scope::new(&scope)?,
                series,
                start: at(start),
                field,
                count,
                until: at(until),
            },
            Self::Gauge { scope, gauge, value, at: measured } => Item::Gauge {
                scope: Scope::new(&scope)?,
                gauge,
                reading: Reading { value, at: at(measured) },
            },
            Self::Hold { pipeline, workspace, day, upload, until } => Item::Hold {
                pipeline,
                workspace: WorkspaceId::new(&workspace)?,
                day,
                upload: UploadId::new(&upload)?,
                until: at(until),
            },
            Self::Fence { lease, fence } => Item::Fence { lease, fence },
        }))
    }
}

pub(super) fn hash(text: &str) -> Result<Hash, Invalid> {
    let wrong = || Invalid::new(format!("`{}` is not a SHA-256", vocab::excerpt(text)));
    Hash::parse(text).ok_or_else(wrong)
}
