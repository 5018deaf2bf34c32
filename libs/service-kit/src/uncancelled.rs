//! Mutations that a cancelled call cannot cut in half.
//!
//! A client's deadline or disconnect drops the handler's future at any `.await`; a mutation
//! therefore runs in a task of its own, and the handler only waits for it.

use tonic::Status;
use tracing::Instrument as _;

/// Runs `mutation` to its end, whatever becomes of the caller.
///
/// # Errors
/// As the mutation; `INTERNAL` where it panicked.
pub async fn uncancelled<T: Send + 'static>(
    mutation: impl Future<Output = Result<T, Status>> + Send + 'static,
) -> Result<T, Status> {
    match tokio::spawn(mutation.in_current_span()).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "a mutation did not end well");
            Err(Status::internal("internal error: see the service's log"))
        }
    }
}
