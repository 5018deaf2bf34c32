//! Delivery: one worker for each channel, so that a broken one delays no other.
//!
//! It is recorded that a message is about to be sent; it is sent; it is recorded how that went. After
//! a crash between the first and the last nobody knows: it is sent again and labelled so, or waits for
//! a person, as the policy of its channel says.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use comms_core::{AttemptOutcome, Text, digest};
use contracts::comms as pb;
use plan::OnUnknown;
use service_kit::clock::real_now;
use service_kit::journaled::store_failed;
use service_kit::propagation::continue_trace;
use service_kit::uncancelled::uncancelled;
use store::{Lease, Leases, StoreError};
use tokio::task::JoinSet;
use tonic::Status;
use tracing::Instrument as _;
use uuid::Uuid;
use vocab::Timestamp;

use crate::app::{App, policy};
use crate::channels::{Answer, Channels, Outbound};
use crate::state::{State, Stored};

const BATCH: usize = 4; // Messages on their way at once, per channel.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15); // Of all steps, for mail the only bound.
const LEASE_TTL: Duration = Duration::from_secs(15);
const LEASE_RENEWAL: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_secs(1); // After the store failed, or a lease was taken.
const RESTART_DELAY: Duration = Duration::from_secs(5); // After a worker panicked.

/// Of an attempt of which nobody recorded how it went.
const MAYBE: &str = "may have been sent before";

/// A message that is to be sent, or several that are told as one, with what that takes.
#[derive(Debug)]
struct Ready {
    stored: Vec<Arc<Stored>>,
    first_receipt: Option<String>,
    on_unknown: OnUnknown,
}

/// Delivers what the journal says is to be delivered.
#[derive(Debug)]
pub(crate) struct Deliveries {
    pub(crate) app: Arc<App>,
    pub(crate) channels: Arc<Channels>,
    pub(crate) leases: Arc<dyn Leases>,
    pub(crate) holder: String,
}

/// What a worker does next.
enum Plan {
    Deliver,
    SleepUntil(Timestamp),
    AwaitChange,
}

impl Deliveries {
    /// Keeps a worker for every channel that has ever had something to deliver. Ends when asked to,
    /// after what is on its way has been recorded.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.app.replica.changes();
        let mut shutdown = self.app.shutdown.clone();
        let mut known = BTreeSet::new();
        let mut workers = JoinSet::new();
        loop {
            changes.mark_unchanged();
            let snapshot = self.app.state();
            for channel in snapshot.state.busy_channels() {
                if known.insert(channel.to_owned()) {
                    workers.spawn(Arc::clone(&self).keep_working(channel.to_owned()));
                }
            }
            drop(snapshot);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { break },
                () = shutdown.wait() => break,
            }
        }
        while workers.join_next().await.is_some() {}
    }

    async fn keep_working(self: Arc<Self>, channel: String) {
        loop {
            let mut worker = JoinSet::new(); // Ends with us.
            worker.spawn(Arc::clone(&self).work(channel.clone()));
            let Some(Err(error)) = worker.join_next().await else { return };
            tracing::error!(channel, %error, "a delivery worker panicked: starting another");
            tokio::time::sleep(RESTART_DELAY).await;
        }
    }

    /// Delivers to one channel until asked to end.
    async fn work(self: Arc<Self>, channel: String) {
        let mut changes = self.app.replica.changes();
        let mut shutdown = self.app.shutdown.clone();
        let mut rest_until = Timestamp::EPOCH; // The channel asked for quiet.
        loop {
            changes.mark_unchanged();
            let now = real_now();
            let plan = plan(&self.app.state().state, &channel, rest_until, now);
            let delay = match plan {
                Plan::AwaitChange => None,
                Plan::SleepUntil(at) => Some(at.since(now)),
                Plan::Deliver => match self.round(&channel).await {
                    Ok(Some(rest)) => {
                        rest_until = rest;
                        Some(Duration::ZERO)
                    }
                    Ok(None) => Some(RETRY_DELAY), // Another replica delivers here.
                    Err(status) => {
                        tracing::warn!(channel, why = status.message(), "cannot deliver now");
                        Some(RETRY_DELAY)
                    }
                },
            };
            tokio::select! {
                biased; // Asked to end, it begins nothing more.
                () = shutdown.wait() => return,
                () = async {
                    match delay {
                        Some(delay) => tokio::time::sleep(delay).await,
                        None => std::future::pending().await,
                    }
                } => {}
                // News may be due sooner, but not sooner than the store or the lease comes back.
                changed = changes.changed(), if !matches!(plan, Plan::Deliver) => {
                    if changed.is_err() { return; }
                }
            }
        }
    }

    /// Delivers some of what is due, under the lease of the channel. Returns until when the channel
    /// wants quiet; `None` where somebody else holds the lease.
    async fn round(self: &Arc<Self>, channel: &str) -> Result<Option<Timestamp>, Status> {
        let name = format!("comms-delivery-{channel}");
        let unavailable = |error: StoreError| store_failed(crate::error::DOMAIN, &error);
        let acquired = self.leases.acquire(&name, &self.holder, LEASE_TTL).await;
        let Some(lease) = acquired.map_err(unavailable)? else { return Ok(None) };
        // What the holder before has delivered is in the journal, if not yet in memory.
        let snapshot = self.app.newest_state().await?;
        let now = real_now();
        let deliverable = snapshot.state.deliverable(channel);
        let mut batch: Vec<Ready> = Vec::new();
        for one in deliverable.into_iter().filter(|one| one.due() <= Some(now)) {
            let known = batch.iter().any(|ready| ready.has(&one.message.name));
            if batch.len() < BATCH && !known {
                batch.push(ready(&snapshot.state, one, now));
            }
        }
        let pace = batch.first().and_then(|one| pace(&snapshot.state, one, batch.len()));
        drop(snapshot);
        let ours = self.begin(&batch).await?;
        let mut left = 0;
        for ready in batch.iter_mut().filter(|one| !one.parked()) {
            let all = ready.stored.len();
            ready.stored.retain(|one| ours.contains(&one.message.name));
            left += all - ready.stored.len();
        }
        batch.retain(|one| !one.stored.is_empty());
        if left > 0 {
            tracing::warn!(channel, left, "another replica delivers this: it is left to it");
        }
        let rest_until = tokio::select! {
            rest_until = self.deliver_all(batch) => rest_until,
            never = self.renew(&lease) => never,
        };
        let rest_until = pace.map_or(rest_until, |pace| rest_until.max(now.plus(pace)));
        self.leases.release(&lease).await.map_err(unavailable)?;
        Ok(Some(rest_until))
    }

    /// Records what is about to be sent, before any of it is; returns what may be.
    async fn begin(&self, batch: &[Ready]) -> Result<BTreeSet<String>, Status> {
        let sent = batch.iter().filter(|one| !one.parked()).flat_map(|one| one.stored.iter());
        let sent: Vec<_> = sent.map(Arc::clone).collect();
        if sent.is_empty() {
            return Ok(BTreeSet::new());
        }
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.begin(&sent).await?) }).await
    }

    async fn renew(&self, lease: &Lease) -> Timestamp {
        loop {
            tokio::time::sleep(LEASE_RENEWAL).await;
            // Lost or not, what is on its way ends, and is recorded only where nobody else did.
            match self.leases.acquire(&lease.name, &self.holder, LEASE_TTL).await {
                Ok(Some(_)) => {}
                Ok(None) => tracing::warn!(lease = lease.name, "lost a lease while delivering"),
                Err(error) => tracing::warn!(lease = lease.name, %error, "cannot renew a lease"),
            }
        }
    }

    /// Delivers a batch at once, and returns until when the channel wants quiet.
    async fn deliver_all(self: &Arc<Self>, batch: Vec<Ready>) -> Timestamp {
        let mut deliveries = JoinSet::new();
        for ready in batch {
            let Some(first) = ready.stored.first() else { continue };
            let (name, channel) = (&first.message.name, &first.message.channel);
            let messages = ready.stored.len();
            let span = tracing::info_span!("deliver", name, channel, messages);
            continue_trace(&span, &first.traceparent);
            deliveries.spawn(Arc::clone(self).deliver(ready).instrument(span));
        }
        deliveries.join_all().await.into_iter().max().unwrap_or(Timestamp::EPOCH)
    }

    async fn deliver(self: Arc<Self>, ready: Ready) -> Timestamp {
        let parked = ready.parked();
        let Ready { stored, first_receipt, .. } = ready;
        let Some(first) = stored.first().map(Arc::clone) else { return Timestamp::EPOCH };
        if parked {
            tracing::error!("it ended while this was being sent: on the dead-letter list");
            self.record(stored, Answer::unknown(MAYBE)).await;
            return Timestamp::EPOCH;
        }
        #[cfg(feature = "seeded-bugs")]
        if store::seeded::is_active(store::seeded::MARK_BEFORE_SEND) {
            self.record(stored.clone(), Answer::new(AttemptOutcome::Sent, "ok")).await;
        }
        let first_receipt = first_receipt.as_deref();
        let (message, kind, begun) = (as_one(&first.message, &stored), first.kind, first.begun);
        let outbound = Outbound { message: &message, kind, first_receipt, begun: begun > 0 };
        let sending = tokio::time::timeout(ATTEMPT_TIMEOUT, self.channels.send(outbound));
        let answer = sending.await.unwrap_or_else(|_e| Answer::unknown("no answer within 15 s"));
        let mut answer = labelled(answer, begun);
        if stored.len() > 1 {
            answer.detail = format!("in a digest of {}; {}", stored.len(), answer.detail);
        }
        let asked = match &answer.outcome {
            AttemptOutcome::Transient { retry_after } => retry_after.unwrap_or_default(),
            AttemptOutcome::Sent | AttemptOutcome::Permanent | AttemptOutcome::Unknown => {
                Duration::ZERO
            }
        };
        let (outcome, detail) = (&answer.outcome, &answer.detail);
        match outcome {
            AttemptOutcome::Sent => tracing::info!("told"),
            AttemptOutcome::Permanent => {
                tracing::error!(detail, "not told: on the dead-letter list");
            }
            AttemptOutcome::Transient { .. } | AttemptOutcome::Unknown => {
                tracing::warn!(?outcome, detail, "not told yet");
            }
        }
        let rest_until = real_now().plus(asked);
        self.record(stored, answer).await;
        rest_until
    }

    /// Records an attempt, and does not give up: a message not recorded as sent is sent again.
    async fn record(&self, stored: Vec<Arc<Stored>>, answer: Answer) {
        let mut shutdown = self.app.shutdown.clone();
        loop {
            let (app, stored, answer) = (Arc::clone(&self.app), stored.clone(), answer.clone());
            let recording = async move { Ok(app.attempted(&stored, &answer, jitter()).await?) };
            let Err(status) = uncancelled(recording).await else { return };
            tracing::warn!(why = status.message(), "cannot record an attempt: trying again");
            tokio::select! {
                () = tokio::time::sleep(RETRY_DELAY) => {}
                () = shutdown.wait() => return,
            }
        }
    }
}

impl Ready {
    /// Not sent: it may have been before, and its channel's policy is not to tell twice.
    fn parked(&self) -> bool {
        let begun = self.stored.first().is_some_and(|first| first.begun > 0);
        begun && self.on_unknown == OnUnknown::Park
    }

    fn has(&self, name: &str) -> bool {
        self.stored.iter().any(|one| one.message.name == name)
    }
}

fn ready(state: &State, stored: &Arc<Stored>, now: Timestamp) -> Ready {
    Ready {
        stored: state.together_with(stored, now),
        first_receipt: state.first_receipt(&stored.message).map(str::to_owned),
        on_unknown: policy(state, &stored.message).on_unknown,
    }
}

/// Several messages as one: the first, with the texts of all.
fn as_one<'m>(first: &'m pb::Message, stored: &[Arc<Stored>]) -> Cow<'m, pb::Message> {
    if stored.len() < 2 {
        return Cow::Borrowed(first);
    }
    let texts: Vec<_> = stored
        .iter()
        .map(|one| Text {
            subject: one.message.subject.clone(),
            body: one.message.body.clone(),
            html_body: one.message.html_body.clone(),
        })
        .collect();
    let Text { subject, body, html_body } = digest(&texts);
    Cow::Owned(pb::Message { subject, body, html_body, ..first.clone() })
}

/// How long a batch uses up of what a channel takes in a minute.
fn pace(state: &State, ready: &Ready, messages: usize) -> Option<Duration> {
    let rate = state.channel(&ready.stored.first()?.message)?.rate_per_minute?;
    let messages = u32::try_from(messages).unwrap_or(u32::MAX);
    Some(Duration::from_secs(60).saturating_mul(messages) / rate.max(1))
}

/// Says in the record how many times it may have arrived before this attempt.
fn labelled(mut answer: Answer, before: u32) -> Answer {
    answer.detail = match before {
        0 => return answer,
        1 => format!("{MAYBE}; {}", answer.detail),
        times => format!("{MAYBE}, {times} times; {}", answer.detail),
    };
    answer
}

fn plan(state: &State, channel: &str, rest_until: Timestamp, now: Timestamp) -> Plan {
    match state.deliverable(channel).into_iter().filter_map(|stored| stored.due()).min() {
        None => Plan::AwaitChange,
        Some(due) if due.max(rest_until) > now => Plan::SleepUntil(due.max(rest_until)),
        Some(_) => Plan::Deliver,
    }
}

/// `0..=1000`, by chance.
fn jitter() -> u32 {
    let [first, second, ..] = *Uuid::new_v4().as_bytes();
    u32::from(u16::from_be_bytes([first, second])) % 1_001
}
