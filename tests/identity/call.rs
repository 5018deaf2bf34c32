//! Calls of any method, by its path, with an empty message: who may call is decided before.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use credentials::Credentials;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use service_kit::access::Noun;
use softlaunch_tests::Guarded;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::ServiceExt as _;

const EMPTY_MESSAGE: &str = "\0\0\0\0\0"; // Not compressed, no bytes.
const STREAM_HEARD: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: StatusCode,
    /// `None` where a stream goes on.
    pub(crate) status: Option<Status>,
}

impl Answer {
    pub(crate) fn code(&self) -> Code {
        self.status.as_ref().map_or(Code::Ok, Status::code)
    }

    /// Whether the caller was refused for who it is.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.code(), Code::Unauthenticated | Code::PermissionDenied)
            || matches!(self.http, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }
}

/// A connection to a service, showing what the credentials are.
pub(crate) fn channel(house: &Guarded, noun: Noun, credentials: &Credentials) -> Channel {
    credentials.endpoint(&house.address(noun)).expect("an address").connect_lazy()
}

/// Calls `path`, showing `authorization` where it is given.
pub(crate) async fn call(channel: &Channel, path: &str, authorization: Option<&str>) -> Answer {
    let ofrep = path.starts_with("/ofrep/");
    let kind = if ofrep { "application/json" } else { "application/grpc" };
    let mut request = Request::post(path).header("content-type", kind).header("te", "trailers");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let body = if ofrep { "{}" } else { EMPTY_MESSAGE };
    let request = request.body(Body::new(body.to_owned())).expect("the headers are well-formed");
    let answering = tokio::time::timeout(PATIENCE, channel.clone().oneshot(request)).await;
    let response = answering.expect("an answer comes").expect("the service is reached");
    let (parts, mut body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers) {
        return Answer { http: parts.status, status: Some(status) };
    }
    let ended = tokio::time::timeout(STREAM_HEARD, trailers(&mut body)).await;
    let status = ended.ok().and_then(|trailers| Status::from_header_map(&trailers));
    Answer { http: parts.status, status }
}

async fn trailers(body: &mut Body) -> HeaderMap {
    while let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
        if let Ok(trailers) = frame.expect("the body arrives").into_trailers() {
            return trailers;
        }
    }
    HeaderMap::new()
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Which services serve a method.
pub(crate) fn serving(path: &str) -> Vec<Noun> {
    let of = |noun: Noun| path.starts_with(&format!("/softlaunch.{noun}.v1."));
    if let Some(noun) = Noun::ALL.into_iter().find(|noun| of(*noun)) {
        return vec![noun];
    }
    if path.starts_with("/grpc.") { Noun::ALL.to_vec() } else { vec![Noun::Flag] }
}
