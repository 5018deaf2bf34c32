//! The rpcs: decode, call the app, encode.

mod communications;

use std::sync::Arc;

use contracts::comms as pb;
use contracts::comms::comms_service_server::CommsService;
use contracts::comms::message;
use service_kit::clock::Clock;
use service_kit::fault::{Fault, check_text, last_part};
use service_kit::identity::actor;
use service_kit::paging::{cut, page};
use service_kit::uncancelled::uncancelled;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::channels::Channels;
use crate::convert::shown;
use crate::error::{DOMAIN, Refused};
use crate::state::{Position, State, Stored};

const BUFFER: usize = 64; // A slow reader holds this many messages at most; then it waits.

/// The service on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    app: Arc<App>,
    channels: Arc<Channels>,
}

impl Api {
    pub(crate) const fn new(app: Arc<App>, channels: Arc<Channels>) -> Self {
        Self { app, channels }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CommsService for Api {
    async fn get_message(&self, request: Request<pb::GetMessageRequest>) -> Answer<pb::Message> {
        let name = &request.get_ref().name;
        last_part(DOMAIN, "name", name, "messages")?;
        let snapshot = self.app.state();
        let stored = snapshot.state.message(name);
        let stored = stored.ok_or_else(|| Fault::from(Refused::NoMessage(name.clone())))?;
        Ok(Response::new(shown(stored, &self.app.clock)))
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Answer<pb::ListMessagesResponse> {
        let request = request.into_inner();
        let (rollout, state) = (&request.rollout, request.state);
        if !rollout.is_empty() {
            last_part(DOMAIN, "rollout", rollout, "rollouts")?;
        }
        let wanted = message::State::try_from(state).map_err(|_e| {
            let why = format!(
                "{state} is not a state: expected PENDING, SENT, DEAD, CANCELLED or UNKNOWN"
            );
            Fault::field(DOMAIN, "state", why)
        })?;
        let list = format!("messages {rollout} {state}");
        let page = page(DOMAIN, &list, request.page_size, &request.page_token)?;
        let snapshot = self.app.state();
        let fits = |message: &pb::Message| {
            (rollout.is_empty() || message.rollout == *rollout)
                && (wanted == message::State::Unspecified || message.state() == wanted)
        };
        let newest_first = snapshot.state.messages.iter().rev();
        let found = newest_first.filter(|(_, stored)| fits(&stored.message));
        let keyed = found.map(|(position, stored)| (age(*position), stored));
        let (messages, next_page_token) = cut(&list, &page, keyed);
        let messages = messages.into_iter().map(|stored| shown(stored, &self.app.clock)).collect();
        Ok(Response::new(pb::ListMessagesResponse { messages, next_page_token }))
    }

    async fn redrive_message(
        &self,
        request: Request<pb::RedriveMessageRequest>,
    ) -> Answer<pb::Message> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        last_part(DOMAIN, "name", &request.name, "messages")?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.redrive(&request.name, actor, reason).await?) })
            .await
            .map(Response::new)
    }

    type WatchMessagesStream = ReceiverStream<Result<pb::WatchMessagesResponse, Status>>;

    async fn watch_messages(
        &self,
        request: Request<pb::WatchMessagesRequest>,
    ) -> Answer<Self::WatchMessagesStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        let changed = |state: &State, after| state.changed_after(after).cloned().collect();
        let shown = |stored: &Stored, clock: &Clock| {
            let message = Some(shown(stored, clock));
            pb::WatchMessagesResponse { message }
        };
        Ok(Response::new(watch(Arc::clone(&self.app), after, changed, shown)))
    }

    async fn redrive_messages(
        &self,
        request: Request<pb::RedriveMessagesRequest>,
    ) -> Answer<pb::RedriveMessagesResponse> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        if !request.rollout.is_empty() {
            last_part(DOMAIN, "rollout", &request.rollout, "rollouts")?;
        }
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.redrive_all(request, actor, reason).await?) })
            .await
            .map(Response::new)
    }

    async fn send_communication(
        &self,
        request: Request<pb::SendCommunicationRequest>,
    ) -> Answer<pb::Communication> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        last_part(DOMAIN, "rollout", &request.rollout, "rollouts")?;
        let reason = check_text(DOMAIN, "reason", &request.reason, true)?;
        let app = Arc::clone(&self.app);
        uncancelled(async move { Ok(app.send(request, actor, reason).await?) })
            .await
            .map(Response::new)
    }

    async fn acknowledge_reminder(
        &self,
        request: Request<pb::AcknowledgeReminderRequest>,
    ) -> Answer<pb::AcknowledgeReminderResponse> {
        let actor = actor(&request)?;
        let request = request.into_inner();
        last_part(DOMAIN, "rollout", &request.rollout, "rollouts")?;
        let reason = check_text(DOMAIN, "reason", &request.reason, false)?;
        let app = Arc::clone(&self.app);
        let acknowledged =
            uncancelled(async move { Ok(app.acknowledge(&request.rollout, actor, reason).await?) });
        let number = acknowledged.await?;
        Ok(Response::new(pb::AcknowledgeReminderResponse { number }))
    }

    async fn preview_message(
        &self,
        request: Request<pb::PreviewMessageRequest>,
    ) -> Answer<pb::PreviewMessageResponse> {
        let request = request.get_ref();
        if request.plan_source.is_empty() {
            last_part(DOMAIN, "rollout", &request.rollout, "rollouts")?;
        }
        Ok(Response::new(self.app.preview(request)?))
    }

    async fn test_channel(
        &self,
        request: Request<pb::TestChannelRequest>,
    ) -> Answer<pb::TestChannelResponse> {
        let actor = actor(&request)?;
        let request = request.get_ref();
        last_part(DOMAIN, "rollout", &request.rollout, "rollouts")?;
        let tested = self.app.test_channel(&self.channels, request, &actor).await?;
        Ok(Response::new(tested))
    }

    async fn list_communications(
        &self,
        request: Request<pb::ListCommunicationsRequest>,
    ) -> Answer<pb::ListCommunicationsResponse> {
        communications::list(&self.app, request.get_ref()).map(Response::new)
    }

    type WatchCommunicationsStream =
        ReceiverStream<Result<pb::WatchCommunicationsResponse, Status>>;

    async fn watch_communications(
        &self,
        request: Request<pb::WatchCommunicationsRequest>,
    ) -> Answer<Self::WatchCommunicationsStream> {
        let after = u64::try_from(request.get_ref().after_revision)
            .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
        Ok(Response::new(communications::watch(Arc::clone(&self.app), after)))
    }
}

/// A key that puts the newest first.
fn age(Position(version, index): Position) -> String {
    format!("{:016x}{:016x}", u64::MAX - version, usize::MAX - index)
}

/// Streams what `changed` after a revision, as it is `shown` now, on every change after `after`.
fn watch<S: Send + Sync + 'static, T: Send + 'static>(
    app: Arc<App>,
    after: u64,
    changed: fn(&State, u64) -> Vec<Arc<S>>,
    shown: fn(&S, &Clock) -> T,
) -> ReceiverStream<Result<T, Status>> {
    let (tx, rx) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        let mut after = after;
        let mut changes = app.replica.changes();
        let mut shutdown = app.shutdown.clone();
        loop {
            changes.mark_unchanged();
            let snapshot = app.state();
            let found = changed(&snapshot.state, after);
            after = after.max(snapshot.version);
            drop(snapshot);
            for one in found {
                if tx.send(Ok(shown(&one, &app.clock))).await.is_err() {
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
