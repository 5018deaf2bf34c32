//! How a refusal looks to its caller: gRPC, or OFREP's JSON.

use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::fault::Fault;

const OFREP: &str = "/ofrep/";

/// The answer to a call of `path` that is refused.
pub(crate) fn refusal(path: &str, fault: Fault) -> Response<Body> {
    let status = Status::from(fault);
    if !path.starts_with(OFREP) {
        return status.into_http();
    }
    let body = serde_json::json!({ "errorCode": "GENERAL", "errorDetails": status.message() });
    let mut response = Response::new(Body::new(body.to_string()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status.code() == Code::Unauthenticated {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    } else if status.code() == Code::ResourceExhausted {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    }
    response
}
