//! `EventStream`: a provider may begin, and must forget what has changed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use flag_wire::struct_of;
use prost_types::Struct;
use serde_json::{Map, json};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::live;
use crate::app::App;

/// How often a provider hears that the stream is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A stream of events.
pub(super) type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Streams events to one provider; `event` makes a message of type and data.
pub(super) fn stream<T: Send + 'static>(
    app: &Arc<App>,
    event: fn(&str, Option<Struct>) -> T,
) -> Events<T> {
    let ready = tokio_stream::once(event("provider_ready", None));
    let Some(keys) = app.changes.keys() else { return Box::pin(tokio_stream::empty()) };
    let app = Arc::clone(app);
    let changes = BroadcastStream::new(keys).map(move |keys| {
        let keys: Vec<String> = match keys {
            Ok(keys) => keys.to_vec(),
            // It fell behind: anything may have changed.
            Err(_lagged) => live(&app).iter().map(|stored| stored.flag.key.to_string()).collect(),
        };
        Some(keys)
    });
    // A keep-alive ends with the changes: a service that ends must not be kept up by its listeners.
    let changes = changes.timeout_repeating(tokio::time::interval_at(
        tokio::time::Instant::now() + KEEP_ALIVE,
        KEEP_ALIVE,
    ));
    let changes = changes.map(move |change| match change {
        Ok(Some(keys)) => event("configuration_change", Some(changed(keys))),
        Ok(None) | Err(_) => event("keep_alive", None),
    });
    Box::pin(ready.chain(changes).map(Ok))
}

fn changed(keys: Vec<String>) -> Struct {
    let flags: Map<_, _> = keys.into_iter().map(|key| (key, json!({ "type": "update" }))).collect();
    struct_of(&Map::from_iter([("flags".to_owned(), flags.into())]))
}
