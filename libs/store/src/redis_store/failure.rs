//! What a failure of Redis means to a caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::StoreError;

use super::address::Host;

/// Says what a failure means: anything not known to be for good is worth another try.
pub(super) fn failed(error: RedisError) -> StoreError {
    let text = error.to_string();
    classed(&error, text)
}

/// Says what a failure to reach `host` means.
pub(super) fn failed_at(host: &Host, error: &RedisError) -> StoreError {
    classed(error, format!("{host}: {error}"))
}

fn classed(error: &RedisError, text: String) -> StoreError {
    let wrong_id = text.contains("equal or smaller"); // Records were deleted behind our back.
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _)
        | (ErrorKind::Server(ServerErrorKind::NoPerm | ServerErrorKind::CrossSlot), _)
        | (_, Some("NOAUTH" | "WRONGPASS")) => StoreError::Settings(text),
        (ErrorKind::UnexpectedReturnType | ErrorKind::Parse, _) | (_, Some("WRONGTYPE")) => {
            StoreError::Corrupt(text)
        }
        _ if wrong_id => StoreError::Corrupt(text),
        _ => StoreError::Unavailable(text),
    }
}
