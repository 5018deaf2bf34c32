//! The stream to the kill-switch service: listens, acknowledges, renews, notices silence.

use std::sync::Arc;
use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::watch_kill_switches_request::{Acknowledgement, Message, Renewal};
use contracts::killswitch::worker::Breaker as WireBreaker;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::convert::signed;
use super::held::Held;
use super::lease::Renewals;
use super::{KillWatch, WatchOptions};
use crate::Way;
use crate::backoff::{Backoff, draw};
use crate::clock::elapsed;

const OUTGOING_MAX: usize = 16; // A service that reads nothing any more is found out here, too.
const OPENING_MAX: Duration = Duration::from_secs(5); // Until a stream is open.
const HEARTBEATS_MISSED: u32 = 3; // As the contract says.

/// Watches for as long as the runtime lives.
pub(super) struct Listener {
    pub(super) watch: Arc<KillWatch>,
    pub(super) way: Way,
    pub(super) options: WatchOptions,
    pub(super) held: Held,
}

/// What belongs to one stream.
struct Open {
    tx: mpsc::Sender<pb::WatchKillSwitchesRequest>,
    renewals: Renewals,
    heartbeat: Option<Duration>,
    silent_at: Instant,
    unacknowledged: Option<u64>,
}

impl Open {
    /// Sends without waiting: a service that takes nothing any more is as good as gone.
    fn send(&self, message: Message) -> Result<(), Status> {
        let message = pb::WatchKillSwitchesRequest { message: Some(message) };
        self.tx.try_send(message).map_err(|_e| Status::unavailable("nothing is taken any more"))
    }
}

impl Listener {
    pub(super) async fn run(mut self) {
        self.held.keep();
        let mut backoff = Backoff::new();
        loop {
            if let Err(status) = self.listen(&mut backoff).await
                && backoff.is_fresh()
            {
                let (code, why) = (status.code(), status.message());
                tracing::warn!(%code, why, "lost touch with the kill switch");
            }
            tokio::time::sleep(backoff.next(draw())).await;
        }
    }

    /// Listens until contact is lost. Every stream has a connection of its own: one that is half
    /// open would swallow the next stream as well.
    async fn listen(&mut self, backoff: &mut Backoff) -> Result<(), Status> {
        let (tx, rx) = mpsc::channel(OUTGOING_MAX);
        let mut open = Open {
            tx,
            renewals: Renewals::default(),
            heartbeat: None,
            silent_at: Instant::now() + self.silence(None),
            unacknowledged: None,
        };
        open.send(Message::Hello(self.held.hello(&self.options)))?;
        let mut client = KillSwitchServiceClient::new(self.way.connect());
        let opening = client.watch_kill_switches(ReceiverStream::new(rx));
        let opened = tokio::time::timeout(OPENING_MAX, opening).await;
        let opened = opened.map_err(|_e| Status::deadline_exceeded("no stream was opened"))?;
        let mut states = opened?.into_inner();
        let mut breaker = self.watch.breaker.subscribe();
        breaker.mark_changed(); // The new stream has been told nothing.
        loop {
            let due = self.until_renewal(&open);
            tokio::select! {
                next = tokio::time::timeout_at(open.silent_at, states.message()) => {
                    let next = next.map_err(|_e| Status::deadline_exceeded("no sign of life"))?;
                    let Some(response) = next? else { return Ok(()) };
                    self.take(&response, &mut open)?;
                    if response.state.is_some() {
                        backoff.reset();
                    }
                }
                () = tokio::time::sleep(due.unwrap_or_default()), if due.is_some() => {
                    let sequence = open.renewals.send(elapsed());
                    let sequence = sequence.ok_or_else(|| {
                        Status::deadline_exceeded("a renewal was not answered")
                    })?;
                    open.send(Message::Renewal(Renewal { sequence }))?;
                }
                () = self.held.progress() => self.acknowledge(&mut open)?,
                Ok(()) = breaker.changed(), if open.renewals.are_expected() => {
                    let state = *breaker.borrow_and_update();
                    if state != WireBreaker::Unspecified {
                        open.send(Message::Breaker(state.into()))?;
                    }
                }
            }
        }
    }

    /// How long nothing may be heard.
    fn silence(&self, heartbeat: Option<Duration>) -> Duration {
        heartbeat.map_or(self.options.policy.stale_after, |time| time * HEARTBEATS_MISSED)
    }

    fn until_renewal(&self, open: &Open) -> Option<Duration> {
        let interval = self.held.trust().interval();
        let due = open.renewals.due(interval, open.heartbeat.unwrap_or_default())?;
        Some(due.saturating_sub(elapsed()))
    }

    fn take(
        &mut self,
        response: &pb::WatchKillSwitchesResponse,
        open: &mut Open,
    ) -> Result<(), Status> {
        let heartbeat = response.heartbeat_duration.and_then(|wire| Duration::try_from(wire).ok());
        open.heartbeat = heartbeat.filter(|time| !time.is_zero()).or(open.heartbeat);
        open.silent_at = Instant::now() + self.silence(open.heartbeat);
        // A message without a state says nothing: it is not "nothing is engaged".
        let Some(state) = &response.state else { return Ok(()) };
        let now = elapsed();
        let contact = open.renewals.heard(response, now);
        let epoch = self.held.take(state, response.policy.as_ref(), contact, now);
        self.watch.reading.publish(self.held.known());
        if contact.is_some() {
            self.watch.heard.send_replace(true);
        }
        open.unacknowledged = Some(epoch);
        self.acknowledge(open)
    }

    /// Acknowledges what was taken in last, once a restart would not forget it.
    fn acknowledge(&self, open: &mut Open) -> Result<(), Status> {
        if !self.held.is_kept() {
            return Ok(());
        }
        let Some(epoch) = open.unacknowledged.take() else { return Ok(()) };
        open.send(Message::Acknowledgement(Acknowledgement { epoch: signed(epoch) }))
    }
}
