//! `flagd.sync.v1`: definitions for providers that evaluate in-process.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use contracts::flagd::sync::v1;
use contracts::flagd::sync::v1::flag_sync_service_server::FlagSyncService;
use flag_core::flagd::{document, export};
use service_kit::fault::Fault;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use vocab::excerpt;

use super::{about_all, live};
use crate::app::App;
use crate::error::DOMAIN;

/// The header that selects.
const SELECTOR_KEY: &str = "flagd-selector";

/// The document of all flags, as it was made last.
#[derive(Debug, Default)]
pub(crate) struct Document {
    made: Mutex<Option<(u64, Arc<str>)>>,
}

/// Hands out definitions.
#[derive(Debug, Clone)]
pub(crate) struct Sync {
    app: Arc<App>,
}

/// Which flags somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    All,
    Flag(String),
    Pipeline(String),
}

impl Sync {
    pub(crate) const fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

impl App {
    /// The definitions, under what kill switches do to them now.
    fn configuration(&self, selector: &Selector) -> Arc<str> {
        let chosen = live(self).into_iter().filter(|stored| match selector {
            Selector::All => true,
            Selector::Flag(key) => stored.flag.key.as_str() == key,
            Selector::Pipeline(pipeline) => stored.flag.pipeline.as_str() == pipeline,
        });
        let written = chosen.map(|stored| {
            (stored.flag.key.to_string(), export(&stored.flag, &self.effect(&stored.flag)))
        });
        document(written, &about_all(self)).to_string().into()
    }

    /// The same for everything, made once for every change that is counted.
    fn whole_configuration(&self, change: u64) -> Arc<str> {
        let mut made = self.document.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, document)) = made.as_ref()
            && *at == change
        {
            return Arc::clone(document);
        }
        let document = self.configuration(&Selector::All);
        *made = Some((change, Arc::clone(&document)));
        document
    }
}

#[tonic::async_trait]
impl FlagSyncService for Sync {
    type SyncFlagsStream =
        Pin<Box<dyn Stream<Item = Result<v1::SyncFlagsResponse, Status>> + Send>>;

    /// A provider that is slow gets the newest definitions when it is ready for them, and none of
    /// those in between: nothing piles up.
    async fn sync_flags(
        &self,
        request: Request<v1::SyncFlagsRequest>,
    ) -> Result<Response<Self::SyncFlagsStream>, Status> {
        let selector = selector(request.metadata(), &request.get_ref().selector)?;
        tracing::info!(provider = excerpt(&request.get_ref().provider_id), "provider syncs");
        let Some(count) = self.app.changes.count() else {
            return Err(Status::unavailable("the service ends"));
        };
        let app = Arc::clone(&self.app);
        let stream = WatchStream::new(count).map(move |change| {
            let configuration = match &selector {
                Selector::All => app.whole_configuration(change),
                Selector::Flag(_) | Selector::Pipeline(_) => app.configuration(&selector),
            };
            let flag_configuration = configuration.to_string();
            Ok(v1::SyncFlagsResponse { flag_configuration, sync_context: None })
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn fetch_all_flags(
        &self,
        request: Request<v1::FetchAllFlagsRequest>,
    ) -> Result<Response<v1::FetchAllFlagsResponse>, Status> {
        let selector = selector(request.metadata(), &request.get_ref().selector)?;
        let flag_configuration = self.app.configuration(&selector).to_string();
        Ok(Response::new(v1::FetchAllFlagsResponse { flag_configuration }))
    }

    async fn get_metadata(
        &self,
        _: Request<v1::GetMetadataRequest>,
    ) -> Result<Response<v1::GetMetadataResponse>, Status> {
        let metadata = flag_wire::wire_metadata(&about_all(&self.app)).unwrap_or_default();
        Ok(Response::new(v1::GetMetadataResponse { metadata: Some(metadata) }))
    }
}

/// What is selected: by the header, or else by the field that it replaces.
fn selector(metadata: &MetadataMap, field: &str) -> Result<Selector, Fault> {
    let header = metadata.get(SELECTOR_KEY).map(tonic::metadata::MetadataValue::to_str);
    let text = match header {
        None => field,
        Some(Ok(text)) => text,
        Some(Err(_)) => return Err(Fault::field(DOMAIN, SELECTOR_KEY, "is not printable ASCII")),
    };
    match text.split_once('=') {
        None if text.is_empty() => Ok(Selector::All),
        Some(("flag", key)) => Ok(Selector::Flag(key.to_owned())),
        Some(("pipeline" | "flagSetId", name)) => Ok(Selector::Pipeline(name.to_owned())),
        Some(_) | None => {
            let why = format!(
                "`{}` selects nothing: expected flag=KEY or pipeline=NAME, or nothing for all",
                excerpt(text)
            );
            Err(Fault::field(DOMAIN, SELECTOR_KEY, why))
        }
    }
}
