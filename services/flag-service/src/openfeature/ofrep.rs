//! OFREP: OpenFeature's own protocol over HTTP. One flag, or all of them with an `ETag`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use flag_core::Problem;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use prost_types::Struct;
use serde_json::{Value as Json, json};
use service_kit::fault::Fault;
use store::Hash;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::ServiceExt as _;

use super::evaluation::{as_json, as_struct};
use super::{Resolved, context_problem, live};
use crate::app::App;

/// Bytes of a request: a context has fewer.
const BODY_BYTES_MAX: usize = 256 * 1024;

const ALL: &str = "/ofrep/v1/evaluate/flags";
const ONE: &str = "/ofrep/v1/evaluate/flags/{key}";

/// Serves everything below `/ofrep`, beside the gRPC services.
#[derive(Debug, Clone)]
pub(crate) struct Ofrep {
    router: Router,
}

impl Ofrep {
    pub(crate) fn new(app: Arc<App>) -> Self {
        let router = Router::new()
            .route(ONE, post(one))
            .route(ALL, post(all))
            .fallback(nowhere)
            .with_state(app);
        Self { router }
    }
}

impl NamedService for Ofrep {
    const NAME: &'static str = "ofrep";
}

impl Service<http::Request<Body>> for Ofrep {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let router = self.router.clone();
        Box::pin(async move {
            let response = router.oneshot(request).await?;
            Ok(response.map(Body::new))
        })
    }
}

/// A refusal, in OFREP's words.
struct Refused {
    status: StatusCode,
    code: &'static str,
    details: String,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, details: impl Into<String>) -> Self {
        Self { status, code, details: details.into() }
    }

    fn bad(code: &'static str, details: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, details)
    }

    fn body(&self, key: Option<&str>) -> Json {
        let mut body = json!({ "errorCode": self.code, "errorDetails": self.details });
        if let Some(key) = key {
            body["key"] = json!(key);
        }
        body
    }

    fn respond(&self, key: Option<&str>) -> Response {
        (self.status, axum::Json(self.body(key))).into_response()
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let status = Status::from(fault);
        let details = status.message();
        let code = status.code();
        if code == Code::NotFound {
            return Self::new(StatusCode::NOT_FOUND, "FLAG_NOT_FOUND", details);
        }
        if code == Code::InvalidArgument {
            return Self::bad("INVALID_CONTEXT", details);
        }
        if code == Code::DataLoss {
            return Self::bad("GENERAL", details);
        }
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "GENERAL", details)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::bad("INVALID_CONTEXT", context_problem(&problem))
    }
}

async fn one(State(app): State<Arc<App>>, request: Request) -> Response {
    // Not by an extractor: the router around this one has parameters of its own.
    let key = request.uri().path().strip_prefix(ALL).unwrap_or_default().trim_start_matches('/');
    let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned();
    let answer = async {
        let context = context_of(request).await?;
        let resolved = app.resolve(&key, Some(&context))?;
        if resolved.needs_key {
            return Err(key_missing());
        }
        Ok(answered(&key, resolved))
    };
    match answer.await {
        Ok(body) => axum::Json(body).into_response(),
        Err(refused) => refused.respond(Some(&key)),
    }
}

/// All flags; one that has no answer says so in its place.
async fn all(State(app): State<Arc<App>>, headers: HeaderMap, request: Request) -> Response {
    let context = match context_of(request).await {
        Ok(context) => context,
        Err(refused) => return refused.respond(None),
    };
    let key = match flag_wire::context(Some(&context)) {
        Ok(key) => key,
        Err(problem) => return Refused::from(problem).respond(None),
    };
    let flags = live(&app).into_iter().map(|stored| {
        let name = stored.flag.key.as_str();
        let resolved = app.resolved(&stored, key, Some(&context)).map_err(Refused::from);
        match resolved {
            Ok(resolved) if resolved.needs_key => key_missing().body(Some(name)),
            Ok(resolved) => answered(name, resolved),
            Err(refused) => refused.body(Some(name)),
        }
    });
    let body = json!({ "flags": flags.collect::<Vec<_>>() }).to_string();
    let tag = format!("\"{}\"", &Hash::of(body.as_bytes()).to_string()[..32]);
    let Ok(tag) = HeaderValue::from_str(&tag) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response(); // Hexadecimal always is one.
    };
    if seen(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    let json = HeaderValue::from_static("application/json");
    ([(header::ETAG, tag), (header::CONTENT_TYPE, json)], body).into_response()
}

async fn nowhere() -> Response {
    let details = "expected POST /ofrep/v1/evaluate/flags or /ofrep/v1/evaluate/flags/{key}";
    Refused::new(StatusCode::NOT_FOUND, "GENERAL", details).respond(None)
}

fn key_missing() -> Refused {
    let details = "context.targetingKey: is required: the flag decides by it";
    Refused::bad("TARGETING_KEY_MISSING", details)
}

/// Whether the caller holds this answer already.
fn seen(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let held = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|held| held.to_str().ok());
    let mut held = held.flat_map(|held| held.split(',')).map(str::trim);
    held.any(|held| held == "*" || held.trim_start_matches("W/").as_bytes() == tag.as_bytes())
}

async fn context_of(request: Request) -> Result<Struct, Refused> {
    let body = to_bytes(request.into_body(), BODY_BYTES_MAX).await.map_err(|_error| {
        let details = format!("the request is larger than {BODY_BYTES_MAX} bytes, or was cut off");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_CONTEXT", details)
    })?;
    let json: Json = serde_json::from_slice(&body).map_err(|error| {
        Refused::bad("PARSE_ERROR", format!("the request is not JSON: {error}"))
    })?;
    match json.get("context") {
        None | Some(Json::Null) if json.is_object() => Ok(Struct::default()),
        Some(context) => as_struct(context)
            .ok_or_else(|| Refused::bad("INVALID_CONTEXT", "context: expected an object")),
        None => Err(Refused::bad("PARSE_ERROR", "expected an object with `context`")),
    }
}

/// An answer. Without a value the caller's own holds.
fn answered(key: &str, resolved: Resolved) -> Json {
    let mut body = json!({
        "key": key, "reason": resolved.reason, "metadata": as_json(&resolved.metadata),
    });
    if let Some(value) = resolved.value {
        body["variant"] = json!(resolved.variant);
        body["value"] = value.as_json();
    }
    body
}
