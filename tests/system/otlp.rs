//! An OTLP receiver: takes in spans over gRPC and keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// What has been received: for each trace, `service: span name`.
pub(crate) type Traces = BTreeMap<Vec<u8>, BTreeSet<String>>;

#[derive(Debug, Clone, Default)]
pub(crate) struct Receiver(Arc<Mutex<Traces>>);

impl Receiver {
    /// Starts a receiver; returns it and its address.
    #[expect(clippy::disallowed_methods, reason = "a collector, not a server of ours")]
    pub(crate) async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let service = TraceServiceServer::new(receiver.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (receiver, address)
    }

    pub(crate) fn traces(&self) -> Traces {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take_in(&self, spans: ResourceSpans) {
        let attributes = spans.resource.map(|resource| resource.attributes).unwrap_or_default();
        let service = attributes.into_iter().find(|one| one.key == "service.name");
        let value = service.and_then(|one| one.value?.value);
        let service = match value {
            Some(Value::StringValue(name)) => name,
            _ => "unknown".to_owned(),
        };
        let mut traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for span in spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            traces.entry(span.trace_id).or_default().insert(format!("{service}: {}", span.name));
        }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        request.into_inner().resource_spans.into_iter().for_each(|spans| self.take_in(spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
