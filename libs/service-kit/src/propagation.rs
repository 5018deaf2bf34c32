//! W3C trace context, carried through gRPC metadata both ways and through journals.

use std::collections::HashMap;

use credentials::Bearer;
use opentelemetry::propagation::{Extractor, Injector};
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use vocab::Role;

/// Adds trace context to outgoing calls, and who calls: a token where there is one, and what is
/// claimed besides, for services that are open.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    subject: String,
    roles: Vec<Role>,
    bearer: Bearer,
}

impl Outgoing {
    /// Calls as `subject` in `roles`.
    #[must_use]
    pub fn acting_as(subject: &str, roles: Vec<Role>) -> Self {
        Self { subject: subject.to_owned(), roles, bearer: Bearer::default() }
    }

    /// Shows a token, too.
    #[must_use]
    pub fn showing(self, bearer: Bearer) -> Self {
        Self { bearer, ..self }
    }
}

impl Interceptor for Outgoing {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let context = Span::current().context();
        opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut Metadata(request.metadata_mut()));
        });
        crate::identity::claim(request.metadata_mut(), &self.subject, &self.roles)?;
        self.bearer.call(request)
    }
}

/// The current span as a `traceparent`, to be stored with an event; empty where there is none.
#[must_use]
pub fn current_traceparent() -> String {
    let mut carrier = HashMap::new();
    let context = Span::current().context();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut carrier);
    });
    carrier.remove("traceparent").unwrap_or_default()
}

/// Makes `span` a child of a stored `traceparent`. Nothing happens where that is empty or broken.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    set_parent(span, &carrier);
}

pub(crate) fn continue_headers(span: &Span, headers: &http::HeaderMap) {
    set_parent(span, &Headers(headers));
}

fn set_parent(span: &Span, carrier: &dyn Extractor) {
    let context =
        opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(carrier));
    // Fails only where no OpenTelemetry layer listens: then there is no trace to continue.
    span.set_parent(context).ok();
}

struct Metadata<'a>(&'a mut MetadataMap);

impl Injector for Metadata<'_> {
    fn set(&mut self, key: &str, value: String) {
        let key = MetadataKey::<Ascii>::from_bytes(key.as_bytes());
        if let (Ok(key), Ok(value)) = (key, MetadataValue::try_from(&value)) {
            self.0.insert(key, value);
        }
    }
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
