//! A bare tonic server that takes bytes and answers with bytes.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use redis::aio::MultiplexedConnection;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::Error;
use crate::bare::without_delay;

/// What the store runs to take a unit of quota: the baseline does the same work.
const TAKE: &str = include_str!("../../../../libs/store/src/redis_store/take.lua");
/// As long as what is asked of ours: a path is sent with every call.
pub(crate) const PATH: &str = "/softlaunch.bench.v1.EchoService/EchoSameBytes";
const KEPT_MS: u64 = 3 * 86_400_000;

/// What is asked, and with how much to answer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Asked {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) payload: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(crate) answer_size: u32,
    /// The quota of which a unit is taken, and for what; none where empty.
    #[prost(string, tag = "3")]
    pub(crate) quota: String,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Answered {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) payload: Vec<u8>,
}

/// Serves echoes; and units of quota, where there is a Redis.
#[expect(clippy::disallowed_methods, reason = "the baseline is a bare server")]
pub(crate) async fn serve(redis: Option<&str>) -> Result<(), Error> {
    let quotas = match redis {
        None => None,
        Some(url) => {
            let mut connection =
                redis::Client::open(url)?.get_multiplexed_async_connection().await?;
            let mut loading = redis::cmd("SCRIPT");
            let digest: String = loading.arg("LOAD").arg(TAKE).query_async(&mut connection).await?;
            Some(Arc::new((connection, digest)))
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let router = Server::builder().add_service(Echo { quotas });
    Ok(router.serve_with_incoming(without_delay(listener)).await?)
}

#[derive(Clone)]
struct Echo {
    quotas: Option<Arc<(MultiplexedConnection, String)>>,
}

impl NamedService for Echo {
    const NAME: &'static str = "softlaunch.bench.v1.EchoService";
}

impl UnaryService<Asked> for Echo {
    type Response = Answered;
    type Future = BoxFuture<Response<Answered>, Status>;

    fn call(&mut self, request: Request<Asked>) -> Self::Future {
        let quotas = self.quotas.clone();
        Box::pin(async move {
            let asked = request.into_inner();
            if let (Some(quotas), false) = (quotas, asked.quota.is_empty()) {
                take(&quotas.0, &quotas.1, &asked).await?;
            }
            let size = usize::try_from(asked.answer_size).unwrap_or(0);
            Ok(Response::new(Answered { payload: vec![0; size] }))
        })
    }
}

async fn take(
    connection: &MultiplexedConnection,
    digest: &str,
    asked: &Asked,
) -> Result<(), Status> {
    let mut taking = redis::cmd("EVALSHA");
    taking.arg(digest).arg(1).arg(&asked.quota);
    taking.arg(&asked.payload).arg(u32::MAX).arg(KEPT_MS);
    let taken: Result<(bool, u32), _> = taking.query_async(&mut connection.clone()).await;
    taken.map(drop).map_err(|error| Status::unavailable(error.to_string()))
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<Answered, Asked>::default();
            Ok(Grpc::new(codec).unary(echo, request).await)
        })
    }
}
