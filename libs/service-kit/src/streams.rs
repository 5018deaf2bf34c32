//! How streams end: their beginning is a call like any other, and hours may lie between the two.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::access::Method;
use crate::calls::word;

/// The methods that are answered with a stream.
pub const STREAMS: [&str; 15] = [
    "/softlaunch.flag.v1.EvaluationService/WatchRuleset",
    "/softlaunch.gate.v1.GateService/WatchTriggers",
    "/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitches",
    "/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitchEvents",
    "/softlaunch.comms.v1.CommsService/WatchMessages",
    "/softlaunch.comms.v1.CommsService/WatchCommunications",
    "/softlaunch.comms.v1.BannerService/WatchBanners",
    "/softlaunch.rollout.v1.RolloutService/WatchRollout",
    "/softlaunch.rollout.v1.RolloutService/WatchRolloutEvents",
    "/flagd.evaluation.v1.Service/EventStream",
    "/flagd.evaluation.v2.Service/EventStream",
    "/flagd.sync.v1.FlagSyncService/SyncFlags",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Counts how the stream of a method ends; `CANCELLED` where whoever listened went away.
pub(crate) fn counted(
    method: &'static Method,
    ended: &Counter<u64>,
    response: Response<Body>,
) -> Response<Body> {
    let (ended, code) = (ended.clone(), Code::Cancelled);
    response.map(|inner| Body::new(Counted { inner, method, ended, code }))
}

struct Counted {
    inner: Body,
    method: &'static Method,
    ended: Counter<u64>,
    code: Code,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let labels = [
            KeyValue::new("rpc_service", self.method.service),
            KeyValue::new("rpc_method", self.method.name),
            KeyValue::new("code", word(self.code)),
        ];
        self.ended.add(1, &labels);
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                let trailers = frame.trailers_ref();
                if let Some(code) = trailers.and_then(|trailers| trailers.get("grpc-status")) {
                    self.code = Code::from_bytes(code.as_bytes());
                }
            }
            Some(Err(status)) => self.code = status.code(),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
