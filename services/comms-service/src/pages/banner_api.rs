//! Banners over gRPC.

use std::sync::Arc;
use std::time::Duration;

use client::Context;
use contracts::comms as pb;
use contracts::comms::banner_service_server::BannerService;
use prost_types::Struct;
use service_kit::fault::{Fault, checked};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use vocab::WorkspaceId;

use super::Pages;
use crate::error::DOMAIN;

const BUFFER: usize = 4; // A slow reader gets the newest next.
const FLAGS_EVERY: Duration = Duration::from_millis(500); // Flags are looked at; they are in memory.

/// The service on the wire.
#[derive(Debug, Clone)]
pub(crate) struct BannerApi {
    pages: Arc<Pages>,
}

impl BannerApi {
    pub(crate) const fn new(pages: Arc<Pages>) -> Self {
        Self { pages }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl BannerService for BannerApi {
    async fn list_banners(
        &self,
        request: Request<pb::ListBannersRequest>,
    ) -> Answer<pb::ListBannersResponse> {
        let request = request.into_inner();
        let context = context(&request.workspace_id, request.attributes.as_ref())?;
        let shown = self.pages.shown_to(&context).await;
        let (banners, revision, out_of_touch) = (shown.banners, shown.revision, shown.out_of_touch);
        Ok(Response::new(pb::ListBannersResponse { banners, revision, out_of_touch }))
    }

    type WatchBannersStream = ReceiverStream<Result<pb::WatchBannersResponse, Status>>;

    async fn watch_banners(
        &self,
        request: Request<pb::WatchBannersRequest>,
    ) -> Answer<Self::WatchBannersStream> {
        let request = request.into_inner();
        let context = context(&request.workspace_id, request.attributes.as_ref())?;
        if request.after_revision < 0 {
            return Err(Fault::field(DOMAIN, "after_revision", "is negative").into());
        }
        Ok(Response::new(watch(Arc::clone(&self.pages), context, request.after_revision)))
    }
}

/// Reads whom is asked for.
fn context(workspace_id: &str, attributes: Option<&Struct>) -> Result<Context, Fault> {
    let workspace = checked(DOMAIN, "workspace_id", WorkspaceId::new(workspace_id))?;
    flag_wire::attributes("attributes", attributes)
        .map_err(|problem| Fault::field(DOMAIN, "attributes", problem.to_string()))?;
    let mut context = Context::new(workspace);
    for (name, value) in attributes.into_iter().flat_map(|wire| &wire.fields) {
        if let Some(value) = flag_wire::attribute(value) {
            context = checked(DOMAIN, "attributes", context.with(name, value))?;
        }
    }
    Ok(context)
}

/// Streams what a workspace is shown: at once, and on every change of banners or flags.
fn watch(
    pages: Arc<Pages>,
    context: Context,
    after: i64,
) -> ReceiverStream<Result<pb::WatchBannersResponse, Status>> {
    let (tx, rx) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        let mut changes = pages.app.replica.changes();
        let mut shutdown = pages.app.shutdown.clone();
        let mut flags = tokio::time::interval(FLAGS_EVERY);
        flags.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sent = None;
        loop {
            changes.mark_unchanged();
            let shown = pages.shown_to(&context).await;
            let told = (shown.banners, shown.out_of_touch);
            if shown.revision >= after && sent.as_ref() != Some(&told) {
                let (banners, out_of_touch) = told.clone();
                let revision = shown.revision;
                let response = pb::WatchBannersResponse { banners, revision, out_of_touch };
                if tx.send(Ok(response)).await.is_err() {
                    return;
                }
                sent = Some(told);
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = flags.tick() => {}
                () = shutdown.wait() => return,
                () = tx.closed() => return,
            }
        }
    });
    ReceiverStream::new(rx)
}
