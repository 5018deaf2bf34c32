//! Reporting: batches with an id, sent until acknowledged, counted once.

use std::sync::Arc;
use std::time::Duration;

use contracts::gate as pb;
use contracts::gate::signal::Kind;
use contracts::gate::signal_service_client::SignalServiceClient;
use credentials::Line;
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Code, Request, Status};
use vocab::{PipelineId, Timestamp, UploadId, WorkspaceId};

use crate::clock::Now;
use crate::wire_time;

const ACTOR_KEY: &str = "softlaunch-actor"; // As the services read it: the claimed name.
const QUEUE_MAX: usize = 10_000; // Reporting waits where the gate service is this far behind.
const BATCH_MAX: usize = 500;
const LINGER: Duration = Duration::from_millis(100); // How long a batch waits for company.
const DELAY_FIRST: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);

pub use contracts::gate::upload_outcome::{Path, Result as Ending};

/// How one upload ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The upload.
    pub upload: UploadId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// How it ended.
    pub ending: Ending,
    /// Which pipeline processed it.
    pub path: Path,
    /// Admission to end.
    pub latency: Duration,
    /// The platform of the export, e.g. `meta`.
    pub platform: String,
}

/// What could not be reported: the gate service refused it for good, or the reporter has ended.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not reported: {why}")]
pub struct Unsent {
    why: String,
    counted_otherwise: bool,
}

impl Unsent {
    /// Whether a batch of the same id, with other contents, has been counted: by an earlier life
    /// of a worker whose ids follow from its uploads, which then measured them anew.
    #[must_use]
    pub const fn is_counted_otherwise(&self) -> bool {
        self.counted_otherwise
    }
}

impl From<Status> for Unsent {
    fn from(status: Status) -> Self {
        let counted_otherwise = status.code() == Code::AlreadyExists;
        Self { why: status.message().to_owned(), counted_otherwise }
    }
}

enum Item {
    Outcome(Box<pb::UploadOutcome>),
    Signal(Box<pb::Signal>),
    Batch(Box<pb::ReportOutcomesRequest>, oneshot::Sender<Result<(), Unsent>>),
    Flush(oneshot::Sender<Result<(), Unsent>>),
}

/// Sends reports in the background. Cheap to clone.
#[derive(Clone)]
pub struct Reporter {
    queue: mpsc::Sender<Item>,
    pipeline: PipelineId,
    now: Now,
}

impl std::fmt::Debug for Reporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reporter").field("room", &self.queue.capacity()).finish_non_exhaustive()
    }
}

impl Reporter {
    pub(crate) fn start(gate: Line, name: &str, pipeline: PipelineId, now: Now) -> Self {
        let (queue, items) = mpsc::channel(QUEUE_MAX);
        let name = MetadataValue::try_from(name).ok(); // Unnamed where it cannot travel.
        let sender = Sender { gate, name, pipeline: pipeline.clone(), failed: None };
        tokio::spawn(sender.run(items));
        Self { queue, pipeline, now: Arc::clone(&now) }
    }

    /// Reports how an upload ended, now. Waits while the queue is full.
    ///
    /// # Errors
    /// Fails where the reporter has ended.
    pub async fn outcome(&self, outcome: Outcome) -> Result<(), Unsent> {
        self.put(Item::Outcome(Box::new(wire_outcome(outcome, (self.now)())))).await
    }

    /// Reports outcomes as a batch with an id of the caller's: reporting it again, even after a
    /// restart, counts nothing twice. Returns when the batch is counted. 1 to 1,000 outcomes.
    ///
    /// # Errors
    /// Says why the gate service refused it for good.
    pub async fn batch(&self, batch_id: &str, outcomes: Vec<Outcome>) -> Result<(), Unsent> {
        let now = (self.now)();
        let request = pb::ReportOutcomesRequest {
            pipeline: self.pipeline.to_string(),
            batch_id: batch_id.to_owned(),
            outcomes: outcomes.into_iter().map(|outcome| wire_outcome(outcome, now)).collect(),
        };
        let (tx, rx) = oneshot::channel();
        self.put(Item::Batch(Box::new(request), tx)).await?;
        rx.await.map_err(|_e| ended())?
    }

    /// Reports a gauge, e.g. `staging_backlog`, as measured now.
    ///
    /// # Errors
    /// Fails where the reporter has ended.
    pub async fn gauge(&self, metric: &str, label: &str, amount: u64) -> Result<(), Unsent> {
        let gauge = pb::Gauge {
            metric: metric.to_owned(),
            label: label.to_owned(),
            amount: i64::try_from(amount).unwrap_or(i64::MAX),
        };
        self.signal(Kind::Gauge(gauge), (self.now)()).await
    }

    /// Reports that an upload changed state (D6.6).
    ///
    /// # Errors
    /// Fails where the reporter has ended.
    pub async fn transition(&self, from: &str, to: &str, at: Timestamp) -> Result<(), Unsent> {
        let transition = pb::StateTransition { from: from.to_owned(), to: to.to_owned() };
        self.signal(Kind::StateTransition(transition), at).await
    }

    /// Reports that a circuit breaker changed state: `CLOSED`, `OPEN` or `HALF_OPEN`.
    ///
    /// # Errors
    /// Refuses other states; fails where the reporter has ended.
    pub async fn breaker(&self, id: &str, state: &str, at: Timestamp) -> Result<(), Unsent> {
        let state = pb::breaker_transition::State::from_str_name(&format!("STATE_{state}"))
            .ok_or_else(|| unsent(format!("`{state}` is not CLOSED, OPEN or HALF_OPEN")))?;
        let transition = pb::BreakerTransition { breaker_id: id.to_owned(), state: state.into() };
        self.signal(Kind::BreakerTransition(transition), at).await
    }

    /// Waits until everything reported so far is acknowledged.
    ///
    /// # Errors
    /// Says what the gate service refused for good since the last flush.
    pub async fn flush(&self) -> Result<(), Unsent> {
        let (tx, rx) = oneshot::channel();
        self.put(Item::Flush(tx)).await?;
        rx.await.map_err(|_e| ended())?
    }

    async fn signal(&self, kind: Kind, at: Timestamp) -> Result<(), Unsent> {
        let wire = pb::Signal { occur_time: Some(wire_time(at)), kind: Some(kind) };
        self.put(Item::Signal(Box::new(wire))).await
    }

    async fn put(&self, item: Item) -> Result<(), Unsent> {
        self.queue.send(item).await.map_err(|_e| ended())
    }
}

fn wire_outcome(outcome: Outcome, now: Timestamp) -> pb::UploadOutcome {
    pb::UploadOutcome {
        upload_id: outcome.upload.to_string(),
        workspace_id: outcome.workspace.to_string(),
        result: outcome.ending.into(),
        path: outcome.path.into(),
        occur_time: Some(wire_time(now)),
        latency_duration: outcome.latency.try_into().ok(),
        platform: outcome.platform,
    }
}

fn ended() -> Unsent {
    unsent("the reporter has ended".to_owned())
}

fn unsent(why: String) -> Unsent {
    Unsent { why, counted_otherwise: false }
}

struct Sender {
    gate: Line,
    name: Option<MetadataValue<Ascii>>,
    pipeline: PipelineId,
    failed: Option<Unsent>,
}

impl Sender {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        while let Some(first) = items.recv().await {
            let (mut outcomes, mut signals, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
            let mut next = Some(first);
            let linger = tokio::time::sleep(LINGER);
            tokio::pin!(linger);
            while let Some(item) = next.take() {
                match item {
                    Item::Outcome(outcome) => outcomes.push(*outcome),
                    Item::Signal(signal) => signals.push(*signal),
                    Item::Batch(request, reply) => {
                        let sent = self.send(*request).await;
                        let sent = sent.map_err(Unsent::from);
                        drop(reply.send(sent)); // Whoever asked is gone.
                    }
                    Item::Flush(reply) => {
                        flushes.push(reply);
                        break;
                    }
                }
                if outcomes.len() >= BATCH_MAX || signals.len() >= BATCH_MAX {
                    break;
                }
                next = tokio::select! {
                    item = items.recv() => item,
                    () = &mut linger => None,
                };
            }
            self.send_signals(signals).await;
            self.send_outcomes(outcomes).await;
            for reply in flushes {
                let outcome = self.failed.take().map_or(Ok(()), Err);
                drop(reply.send(outcome)); // Whoever asked is gone.
            }
        }
    }

    async fn send_outcomes(&mut self, outcomes: Vec<pb::UploadOutcome>) {
        if outcomes.is_empty() {
            return;
        }
        let (pipeline, batch_id) = (self.pipeline.to_string(), new_batch());
        let sent = self.send(pb::ReportOutcomesRequest { pipeline, batch_id, outcomes }).await;
        self.note(sent);
    }

    async fn send(&self, request: pb::ReportOutcomesRequest) -> Result<(), Status> {
        let gate = self.gate.clone();
        let sent = until_acknowledged(|| {
            let (mut client, request) = (SignalServiceClient::new(gate.clone()), request.clone());
            async move { client.report_outcomes(request).await.map(drop) }
        });
        sent.await
    }

    async fn send_signals(&mut self, signals: Vec<pb::Signal>) {
        if signals.is_empty() {
            return;
        }
        let (pipeline, batch_id) = (self.pipeline.to_string(), new_batch());
        let request = pb::ReportSignalsRequest { pipeline, batch_id, signals };
        let (gate, name) = (self.gate.clone(), self.name.clone());
        let sent = until_acknowledged(|| {
            let mut client = SignalServiceClient::new(gate.clone());
            let mut request = Request::new(request.clone());
            if let Some(name) = &name {
                request.metadata_mut().insert(ACTOR_KEY, name.clone());
            }
            async move { client.report_signals(request).await.map(drop) }
        });
        let sent = sent.await;
        self.note(sent);
    }

    fn note(&mut self, sent: Result<(), Status>) {
        if let Err(status) = sent {
            tracing::error!(code = %status.code(), why = status.message(), "a report was refused");
            self.failed = Some(status.into());
        }
    }
}

fn new_batch() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Sends the same batch again until it is counted, or refused for good.
async fn until_acknowledged<F>(mut send: impl FnMut() -> F) -> Result<(), Status>
where
    F: Future<Output = Result<(), Status>>,
{
    let mut delay = DELAY_FIRST;
    loop {
        let Err(status) = send().await else { return Ok(()) };
        match status.code() {
            // The same batch gets the same answer for ever: it must not hold up those behind it.
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented => return Err(status),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::NotFound // Until a rollout is created for the pipeline.
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => {
                tracing::debug!(code = %status.code(), why = status.message(), "sending again");
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(DELAY_MAX);
            }
        }
    }
}
