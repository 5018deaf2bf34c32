//! A stream whose messages are encoded already: the generated server would encode each of them once
//! more for every watcher.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes};
use contracts::flag as pb;
use prost::Message as _;
use service_kit::fault::Fault;
use service_kit::server::MESSAGE_SIZE_MAX;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::error::DOMAIN;
use crate::watch::Watcher;

const PATH: &str = "/softlaunch.flag.v1.EvaluationService/WatchRuleset";

/// The evaluation service, of which one method sends what is encoded already.
#[derive(Debug, Clone)]
pub(crate) struct WithSharedWatch<S> {
    pub(crate) inner: S,
    pub(crate) app: Arc<App>,
}

impl<S: NamedService> NamedService for WithSharedWatch<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for WithSharedWatch<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(self.inner.call(request));
        }
        let watch = Watch(Arc::clone(&self.app));
        Box::pin(async move {
            let mut grpc =
                Grpc::new(Encoded).apply_max_message_size_config(Some(MESSAGE_SIZE_MAX), None);
            Ok(grpc.server_streaming(watch, request).await)
        })
    }
}

struct Watch(Arc<App>);

impl ServerStreamingService<pb::WatchRulesetRequest> for Watch {
    type Response = Bytes;
    type ResponseStream = Watcher;
    type Future = BoxFuture<Response<Watcher>, Status>;

    fn call(&mut self, request: Request<pb::WatchRulesetRequest>) -> Self::Future {
        let app = Arc::clone(&self.0);
        Box::pin(async move {
            let after = u64::try_from(request.get_ref().after_revision)
                .map_err(|_e| Fault::field(DOMAIN, "after_revision", "is negative"))?;
            app.learn_history().await;
            Ok(Response::new(Watcher::new(app, after)))
        })
    }
}

/// Takes requests as protobuf, and answers as bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = pb::WatchRulesetRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = pb::WatchRulesetRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // As tonic says of what does not decode, so that it is corrected in one place.
        pb::WatchRulesetRequest::decode(buffer)
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }
}
