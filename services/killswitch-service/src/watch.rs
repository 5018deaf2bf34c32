//! The stream to a worker: the whole state at once, on every change, and as a sign of life.

use std::sync::Arc;

use contracts::killswitch as pb;
use contracts::killswitch::watch_kill_switches_request::Message;
use service_kit::fault::Fault;
use service_kit::wire::signed;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::app::App;
use crate::convert::kill_state;
use crate::error::DOMAIN;

const BUFFER: usize = 4; // The newest state replaces what a slow worker has not read.

type Answers = mpsc::Sender<Result<pb::WatchKillSwitchesResponse, Status>>;

/// Starts the stream of one worker. Its first message must introduce it.
pub(crate) async fn watch(
    app: Arc<App>,
    mut requests: Streaming<pb::WatchKillSwitchesRequest>,
) -> Result<ReceiverStream<Result<pb::WatchKillSwitchesResponse, Status>>, Status> {
    let hello = match requests.next().await.transpose()?.and_then(|request| request.message) {
        Some(Message::Hello(hello)) => hello,
        Some(Message::Acknowledgement(_) | Message::Renewal(_) | Message::Breaker(_)) | None => {
            return Err(Fault::field(DOMAIN, "hello", "must come first").into());
        }
    };
    check(&hello)?;
    let connection =
        app.workers.connect(&hello.worker_id, &hello.pipeline).map_err(|_too_many| {
            Fault::new(Code::ResourceExhausted, DOMAIN, "TOO_MANY_WORKERS", "too many workers")
        })?;
    tracing::info!(worker = hello.worker_id, pipeline = hello.pipeline, "worker connected");
    let (tx, rx) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        tokio::select! {
            () = inform(&app, connection, &tx) => {}
            status = listen(&app, connection, requests) => {
                if let Err(status) = status {
                    tx.send(Err(status)).await.ok(); // Best effort because the worker may be gone.
                }
            }
        }
        app.workers.disconnect(connection);
        tracing::info!(worker = hello.worker_id, "worker gone");
    });
    Ok(ReceiverStream::new(rx))
}

fn check(hello: &pb::watch_kill_switches_request::Hello) -> Result<(), Fault> {
    let good =
        |text: &str| (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    let why = "expected 1 to 128 printable ASCII characters without spaces";
    if !good(&hello.worker_id) {
        return Err(Fault::field(DOMAIN, "hello.worker_id", why));
    }
    if !good(&hello.pipeline) {
        return Err(Fault::field(DOMAIN, "hello.pipeline", why));
    }
    Ok(())
}

/// Sends the state now, on every change, and with every heartbeat.
async fn inform(app: &App, connection: u64, answers: &Answers) {
    let mut changes = app.replica.changes();
    let mut shutdown = app.shutdown.clone();
    let mut heartbeat = false;
    loop {
        changes.mark_unchanged();
        let snapshot = app.state();
        let switches = &snapshot.state.switches;
        let message = pb::WatchKillSwitchesResponse {
            state: Some(kill_state(switches)),
            heartbeat,
            heartbeat_duration: app.heartbeat.try_into().ok(),
            ..pb::WatchKillSwitchesResponse::default()
        };
        app.workers.sent(connection, switches.epoch, app.clock.monotonic());
        if answers.send(Ok(message)).await.is_err() {
            return;
        }
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() { return; }
                heartbeat = false;
            }
            () = tokio::time::sleep(app.heartbeat) => heartbeat = true,
            () = shutdown.wait() => return,
        }
    }
}

/// Takes acknowledgements until the worker leaves.
async fn listen(
    app: &App,
    connection: u64,
    mut requests: Streaming<pb::WatchKillSwitchesRequest>,
) -> Result<(), Status> {
    while let Some(request) = requests.next().await.transpose()? {
        let Some(Message::Acknowledgement(acknowledgement)) = request.message else {
            return Err(Fault::field(DOMAIN, "acknowledgement", "expected after the first").into());
        };
        let current = app.state().state.switches.epoch;
        let epoch = u64::try_from(acknowledgement.epoch).ok().filter(|epoch| *epoch <= current);
        let Some(epoch) = epoch else {
            let why = format!(
                "{} is not an epoch so far: the newest is {}",
                acknowledgement.epoch,
                signed(current)
            );
            return Err(Fault::field(DOMAIN, "acknowledgement.epoch", why).into());
        };
        app.workers.acknowledged(connection, epoch, app.clock.monotonic());
    }
    Ok(())
}
