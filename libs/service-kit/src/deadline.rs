//! Deadlines and status codes as callers expect them.
//!
//! tonic reports an expired deadline as `CANCELLED`, an oversized message as `OUT_OF_RANGE` and
//! undecodable protobuf as `INTERNAL`. This layer answers `DEADLINE_EXCEEDED`,
//! `RESOURCE_EXHAUSTED` and `INVALID_ARGUMENT`, opens the span of every call, and counts it. The
//! guard comes first: a call that it refuses goes no further.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument as _, Span};

use crate::access::{Method, method};
use crate::calls::{Begun, Calls};
use crate::fault::Fault;
use crate::guard::{Guard, Pass, refusal, while_valid};
use crate::lanes::{Lane, Lanes};
use crate::streams::counted;

// Looked for in every call: a name that is read already is found sooner.
static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Wraps every call in a span and a deadline, once it has passed the guard.
#[derive(Debug, Clone)]
pub struct CallLayer {
    /// The longest a unary call, or the beginning of a stream, may take.
    pub timeout: Duration,
    /// Lets calls in, or not.
    pub guard: Guard,
    /// How many at a time.
    pub lanes: Lanes,
}

/// See [`CallLayer`].
#[derive(Debug, Clone)]
pub struct Call<S> {
    inner: S,
    shared: Arc<Shared>, // One for all: a service is cloned for every call.
}

#[derive(Debug)]
struct Shared {
    layer: CallLayer,
    calls: Calls,
}

impl<S> Layer<S> for CallLayer {
    type Service = Call<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let shared = Shared { layer: self.clone(), calls: Calls::new() };
        Call { inner, shared: Arc::new(shared) }
    }
}

impl<S> Service<Request<Body>> for Call<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let span = call_span(&request);
        let method = method(request.uri().path());
        let Shared { layer: CallLayer { guard, lanes, timeout: longest }, calls } = &*self.shared;
        let begun = calls.begin(method);
        let admitted = span.in_scope(|| {
            let pass = guard.admit(&mut request)?;
            Ok::<_, Fault>((pass, lanes.enter(method.map_or(Lane::Rest, |method| method.lane))?))
        });
        let (pass, place) = match admitted {
            Ok(admitted) => admitted,
            Err(fault) => {
                let code = fault.code();
                span.record("rpc.grpc.status_code", i32::from(code));
                let response = refusal(request.uri().path(), fault);
                begun.end(code, response.status());
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        let timeout = deadline(request.headers()).map_or(*longest, |own| own.min(*longest));
        let stream = method.filter(|method| method.streams).map(|method| (method, calls.clone()));
        let answer = self.inner.call(request);
        let answering = Answering {
            answer,
            timer: None,
            deadline: begun.at + timeout,
            timeout,
            call: Some(Admitted { span: span.clone(), pass, place, begun, stream }),
        };
        if span.is_disabled() { Box::pin(answering) } else { Box::pin(answering.instrument(span)) }
    }
}

/// A call that was let in.
struct Admitted {
    span: Span,
    pass: Option<Pass>,
    place: OwnedSemaphorePermit,
    begun: Begun,
    stream: Option<(&'static Method, Calls)>,
}

impl Admitted {
    fn end(self, response: Response<Body>) -> Response<Body> {
        drop(self.place); // A stream goes on without one.
        let (response, code) = corrected(response);
        self.span.record("rpc.grpc.status_code", i32::from(code));
        self.begun.end(code, response.status());
        let response = match self.pass {
            Some(pass) => while_valid(pass, response),
            None => response,
        };
        match self.stream {
            Some((method, calls)) if code == Code::Ok => counted(method, calls.ended(), response),
            Some(_) | None => response,
        }
    }
}

pin_project! {
    /// Waits for an answer, and no longer than it may take. Written by hand: an async block keeps
    /// what it waits for twice, and this is moved for every call.
    struct Answering<F> {
        #[pin]
        answer: F,
        #[pin]
        timer: Option<Sleep>,
        deadline: Instant,
        timeout: Duration,
        call: Option<Admitted>,
    }
}

impl<F: Future<Output = Result<Response<Body>, Infallible>>> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let response = match this.answer.poll(context) {
            Poll::Ready(Ok(response)) => response,
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => {
                // A timer is set only where there is something to wait for: most is answered from
                // memory.
                if this.timer.is_none() {
                    this.timer.set(Some(sleep_until(*this.deadline)));
                }
                let elapsed = this.timer.as_pin_mut().map(|timer| timer.poll(context));
                if !matches!(elapsed, Some(Poll::Ready(()))) {
                    return Poll::Pending;
                }
                let why = format!("not done within {} ms", this.timeout.as_millis());
                Status::deadline_exceeded(why).into_http()
            }
        };
        match this.call.take() {
            Some(call) => Poll::Ready(Ok(call.end(response))),
            None => Poll::Pending, // It has been answered, and whoever asks again waits for nothing.
        }
    }
}

fn call_span(request: &Request<Body>) -> Span {
    if !tracing::span_enabled!(target: "softlaunch", tracing::Level::INFO) {
        return Span::none();
    }
    let path = request.uri().path().trim_start_matches('/');
    let (service, method) = path.split_once('/').unwrap_or((path, ""));
    let span = tracing::info_span!(
        target: "softlaunch",
        "rpc",
        otel.name = path,
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = method,
        rpc.grpc.status_code = tracing::field::Empty,
    );
    crate::propagation::continue_headers(&span, request.headers());
    span
}

/// The caller's own deadline, a little short of it so that our answer is the one that arrives.
fn deadline(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    let whole = match unit {
        "H" => Duration::from_secs(amount.checked_mul(3_600)?),
        "M" => Duration::from_secs(amount.checked_mul(60)?),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    };
    Some(whole.saturating_sub(Duration::from_millis(10).min(whole / 10)))
}

/// The answer under the code that it should have, and that code.
fn corrected(mut response: Response<Body>) -> (Response<Body>, Code) {
    let Some(status) = response.headers().get(&GRPC_STATUS) else { return (response, Code::Ok) };
    let found = Code::from_bytes(status.as_bytes());
    let message = response.headers().get("grpc-message").and_then(|value| value.to_str().ok());
    let undecodable = message.is_some_and(|text| text.contains("decode%20Protobuf"))
        || message.is_some_and(|text| text.contains("decode Protobuf"));
    let code = if found == Code::OutOfRange {
        Code::ResourceExhausted
    } else if found == Code::Internal && undecodable {
        Code::InvalidArgument
    } else {
        return (response, found);
    };
    response.headers_mut().insert(&GRPC_STATUS, HeaderValue::from(i32::from(code)));
    (response, code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_deadline_is_read_in_every_unit_and_nonsense_is_ignored() {
        let read = |text: &str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_str(text).unwrap());
            deadline(&headers)
        };
        assert_eq!(read("1S"), Some(Duration::from_millis(990)));
        assert_eq!(read("50m"), Some(Duration::from_millis(45)));
        assert_eq!(read("x"), None);
        assert_eq!(read(""), None);
        assert_eq!(read("99999999999999999999H"), None);
    }
}
