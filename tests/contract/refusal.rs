//! What it means to be refused.

use std::fmt::Debug;

use softlaunch_tests::House;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// Expects `call` to be refused with `code` and `reason`, to say all of `says`, and to leave every
/// journal as it was.
pub(crate) async fn refused<T: Debug>(
    house: &House,
    call: impl Future<Output = Result<Response<T>, Status>>,
    (code, reason): (Code, &str),
    says: &[&str],
) -> Status {
    let before = house.journals().await;
    let status = match call.await {
        Ok(response) => panic!("expected {reason}, but it was done: {response:?}"),
        Err(status) => status,
    };
    let info = status.get_error_details().error_info().cloned();
    let info =
        info.unwrap_or_else(|| panic!("expected {reason}, got no reason at all: {status:?}"));
    assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{}", status.message());
    assert!(info.domain.ends_with(".softlaunch.dev"), "{}", info.domain);
    for part in says {
        assert!(status.message().contains(part), "no `{part}` in: {}", status.message());
    }
    assert_eq!(house.journals().await, before, "{reason}: something was written nevertheless");
    status
}

/// A field that is missing or malformed; the first of `says` is its path.
pub(crate) async fn refused_field<T: Debug>(
    house: &House,
    call: impl Future<Output = Result<Response<T>, Status>>,
    says: &[&str],
) {
    let status = refused(house, call, (Code::InvalidArgument, "FIELD_INVALID"), says).await;
    let details = status.get_error_details();
    let violations =
        &details.bad_request().expect("a malformed field is a violation").field_violations;
    let path = says.first().expect("the path is always said");
    assert!(violations.iter().any(|one| one.field == *path), "{path} is not in {violations:?}");
}
