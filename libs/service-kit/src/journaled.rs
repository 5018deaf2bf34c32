//! Commands on a journal: who gave them, what came of them, and streams of what happened.

use std::sync::Arc;

use store::{Command, Hash, Projection, Record, Replica, RequestKey, StoreError, WriteError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use vocab::Actor;

use crate::clock::Clock;
use crate::fault::Fault;
use crate::propagation::current_traceparent;
use crate::shutdown::Shutdown;

const PAGE: usize = 100;
const BUFFER: usize = 64; // A slow reader holds this many messages at most; then it waits.

/// The facts every record of a command carries.
#[must_use]
pub fn command(
    clock: &Clock,
    actor: Actor,
    reason: impl Into<String>,
    request: Option<RequestKey>,
) -> Command {
    Command {
        time: clock.now(),
        actor,
        reason: reason.into(),
        traceparent: current_traceparent(),
        request,
    }
}

/// Reads a request id; `None` where the caller gave none. `contents` is the whole request: the
/// same id with other contents is refused by the store.
///
/// # Errors
/// Refuses ids that are not UUIDs.
pub fn request_key(
    domain: &'static str,
    method: &str,
    id: &str,
    contents: &impl prost::Message,
) -> Result<Option<RequestKey>, Fault> {
    if id.is_empty() {
        return Ok(None);
    }
    let uuid = uuid::Uuid::try_parse(id).map_err(|_e| {
        let why = format!("`{}` is not a UUID", vocab::excerpt(id));
        Fault::field(domain, "request_id", why)
    })?;
    let mut bytes = method.as_bytes().to_vec();
    bytes.extend(contents.encode_to_vec());
    Ok(Some(RequestKey { id: uuid.to_string(), digest: Hash::of(&bytes) }))
}

/// What a failed command is to its caller.
#[must_use]
pub fn refused<E: Into<Fault>>(domain: &'static str, error: WriteError<E>) -> Fault {
    match error {
        WriteError::Refused(refusal) => refusal.into(),
        WriteError::RequestReused(id) => Fault::new(
            Code::AlreadyExists,
            domain,
            "REQUEST_ID_REUSED",
            format!("request id {id} was used before with other contents: choose a new one"),
        )
        .with("request_id", id),
        WriteError::Contended => Fault::new(
            Code::Aborted,
            domain,
            "CONTENDED",
            "too many changes at once: read again and decide again",
        ),
        WriteError::Store(error) => store_failed(domain, &error),
    }
}

/// What a failure of the store is to a caller: data lost is told apart from a store that is away,
/// since repeating the call does not bring it back.
#[must_use]
pub fn store_failed(domain: &'static str, error: &StoreError) -> Fault {
    if error.is_data_loss() {
        return Fault::new(
            Code::DataLoss,
            domain,
            "STORE_LOST_DATA",
            format!("{error}: nothing is changed until an operator has looked at the store"),
        );
    }
    Fault::unavailable(domain, error)
}

/// Streams records after `after`, oldest first, for as long as both ends live. `convert` leaves
/// out what the reader has no use for.
pub fn stream_records<S: Projection, T: Send + 'static>(
    replica: Arc<Replica<S>>,
    after: u64,
    shutdown: Shutdown,
    convert: impl Fn(&Record) -> Option<Result<T, Status>> + Send + 'static,
) -> ReceiverStream<Result<T, Status>> {
    let (tx, rx) = mpsc::channel(BUFFER);
    let mut changes = replica.changes();
    tokio::spawn(async move {
        let mut after = after;
        let mut shutdown = shutdown;
        loop {
            changes.mark_unchanged();
            match replica.records(after, PAGE).await {
                Ok(records) if records.is_empty() => {
                    tokio::select! {
                        changed = changes.changed() => if changed.is_err() { return },
                        () = shutdown.wait() => return,
                        () = tx.closed() => return,
                    }
                }
                Ok(records) => {
                    for record in &records {
                        after = record.version;
                        if let Some(message) = convert(record)
                            && tx.send(message).await.is_err()
                        {
                            return;
                        }
                    }
                }
                Err(error) => {
                    let status = Status::unavailable(error.to_string());
                    tx.send(Err(status)).await.ok(); // The reader comes back with its cursor.
                    return;
                }
            }
        }
    });
    ReceiverStream::new(rx)
}
