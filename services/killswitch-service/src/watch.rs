//! The stream to a worker: the whole state at once, on every change, as a sign of life, and as the
//! answer to a renewal.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::watch_kill_switches_request::{Hello, Message};
use killswitch_core::{Held, OnStale};
use service_kit::fault::Fault;
use service_kit::wire::signed;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::app::App;
use crate::convert;
use crate::error::DOMAIN;
use crate::in_force::Told;

const BUFFER: usize = 4; // The newest state replaces what a slow worker has not read.
const HELD_MAX: usize = 1_000; // Scopes a worker may say it holds.

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
    // Before it is told anything: it would refuse a state older than its own.
    app.take_in(held(&hello)?).await?;
    let connected = app.workers.connect(&hello.worker_id, &hello.pipeline, app.clock.monotonic());
    let connection = connected.map_err(|_too_many| {
        Fault::new(Code::ResourceExhausted, DOMAIN, "TOO_MANY_WORKERS", "too many workers")
    })?;
    tracing::info!(worker = hello.worker_id, pipeline = hello.pipeline, "worker connected");
    let (tx, rx) = mpsc::channel(BUFFER);
    let (renewing, renewals) = watch::channel(0);
    tokio::spawn(async move {
        tokio::select! {
            () = inform(&app, connection, &hello.pipeline, renewals, &tx) => {}
            status = listen(&app, connection, renewing, requests) => {
                if let Err(status) = status {
                    tx.send(Err(status)).await.ok(); // Best effort because the worker may be gone.
                }
            }
        }
        app.workers.disconnect(connection, app.clock.monotonic());
        tracing::info!(worker = hello.worker_id, "worker gone");
    });
    Ok(ReceiverStream::new(rx))
}

fn check(hello: &Hello) -> Result<(), Fault> {
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

/// What a worker says it holds.
fn held(hello: &Hello) -> Result<Held, Fault> {
    if hello.engaged.len() > HELD_MAX {
        let why = format!("{} are too many: expected at most {HELD_MAX}", hello.engaged.len());
        return Err(Fault::field(DOMAIN, "hello.engaged", why));
    }
    let epoch = u64::try_from(hello.epoch)
        .map_err(|_e| Fault::field(DOMAIN, "hello.epoch", "is negative"))?;
    let engaged = hello.engaged.iter().map(|scope| convert::scope(Some(scope)));
    let engaged = engaged.collect::<Result<_, _>>()?;
    Ok(Held { worker: hello.worker_id.clone(), epoch, engaged })
}

/// Sends the state now, on every change, with every heartbeat and after every renewal.
async fn inform(
    app: &App,
    connection: u64,
    pipeline: &str,
    mut renewals: watch::Receiver<i64>,
    answers: &Answers,
) {
    let mut changes = app.in_force.changes();
    let mut shutdown = app.shutdown.clone();
    let mut heartbeat = false;
    loop {
        // Before the state is looked at: it must not be older than the renewal it answers.
        let renewed_sequence = *renewals.borrow_and_update();
        let told = Arc::clone(&changes.borrow_and_update());
        let (policy, silence_max) = policy(app, &told, pipeline);
        let message = pb::WatchKillSwitchesResponse {
            state: Some(told.kill_state(app.clock.now(), |duration| app.real(duration))),
            heartbeat,
            heartbeat_duration: app.timing.heartbeat.try_into().ok(),
            renewed_sequence,
            policy: Some(policy),
        };
        app.workers.sent(connection, told.epoch, silence_max, app.clock.monotonic());
        drop(told);
        if answers.send(Ok(message)).await.is_err() {
            return;
        }
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() { return; }
                heartbeat = false;
            }
            Ok(()) = renewals.changed() => heartbeat = true,
            () = tokio::time::sleep(app.timing.heartbeat) => heartbeat = true,
            () = shutdown.wait() => return,
        }
    }
}

/// What the workers of a pipeline do with what they hear, and how long they may go on in silence
/// at most.
fn policy(app: &App, told: &Told, pipeline: &str) -> (pb::Policy, Duration) {
    let rules = told.stored.state.switches.rules(pipeline);
    let (lease, on_stale) = rules
        .map_or((app.timing.lease, OnStale::FailClosed), |rules| (rules.lease, rules.on_stale));
    let silence_max = app.timing.silence_max(lease, on_stale);
    let on_stale = match on_stale {
        OnStale::FailStatic(bound) => OnStale::FailStatic(app.timing.static_max(bound)),
        OnStale::FailClosed => OnStale::FailClosed,
    };
    (convert::wire_policy(lease, on_stale), silence_max)
}

/// Takes acknowledgements, renewals and the state of the breaker until the worker leaves.
async fn listen(
    app: &App,
    connection: u64,
    renewing: watch::Sender<i64>,
    mut requests: Streaming<pb::WatchKillSwitchesRequest>,
) -> Result<(), Status> {
    while let Some(request) = requests.next().await.transpose()? {
        let now = app.clock.monotonic();
        match request.message {
            Some(Message::Acknowledgement(acknowledgement)) => {
                let epoch = acknowledged(app, acknowledgement.epoch)?;
                if let Some(applied) = app.workers.acknowledged(connection, epoch, now) {
                    app.metrics.applied(applied);
                }
            }
            Some(Message::Renewal(renewal)) => {
                app.workers.heard(connection, now);
                renewing.send_replace(renewal.sequence);
            }
            Some(Message::Breaker(state)) => {
                let state = pb::worker::Breaker::try_from(state).map_err(|_e| {
                    Fault::field(DOMAIN, "breaker", format!("{state} is no state"))
                })?;
                app.workers.breaker(connection, state, now);
            }
            Some(Message::Hello(_)) | None => {
                let why = "expected after the first";
                return Err(Fault::field(DOMAIN, "acknowledgement", why).into());
            }
        }
    }
    Ok(())
}

fn acknowledged(app: &App, epoch: i64) -> Result<u64, Fault> {
    let current = app.in_force.told().epoch;
    u64::try_from(epoch).ok().filter(|epoch| *epoch <= current).ok_or_else(|| {
        let why = format!("{epoch} is not an epoch so far: the newest is {}", signed(current));
        Fault::field(DOMAIN, "acknowledgement.epoch", why)
    })
}
