//! Calls below tonic's client: bytes and headers it would not send, answers it would not show.

use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use http::Request;
use tokio::net::TcpStream;
use tonic::Code;

/// What a server answered.
#[derive(Debug)]
pub struct RawAnswer {
    /// `grpc-status`.
    pub code: Code,
    /// `grpc-message`, percent-encoded as it travels.
    pub message: String,
}

/// Wraps `payload` as one uncompressed gRPC message.
///
/// # Panics
/// Where it is longer than a frame can say.
#[must_use]
pub fn frame(payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).expect("a test's payload is short");
    let mut framed = BytesMut::with_capacity(payload.len() + 5);
    framed.extend_from_slice(&[0]);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(payload);
    framed.freeze()
}

/// Calls `path` with exactly these headers and bytes.
///
/// # Panics
/// Where the server breaks HTTP/2 or gRPC.
pub async fn raw_call(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> RawAnswer {
    let socket = TcpStream::connect(address).await.expect("the server listens");
    let (sender, connection) = h2::client::handshake(socket).await.expect("HTTP/2 is spoken");
    tokio::spawn(connection);
    let mut sender = sender.ready().await.expect("a stream may be opened");
    let mut request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).expect("the headers are well-formed");
    let (response, mut stream) = sender.send_request(request, false).expect("a request is sent");
    stream.send_data(body, true).expect("a body is sent");
    let response = response.await.expect("an answer comes");
    let mut answered = response.headers().clone();
    let mut body = response.into_body();
    while let Some(chunk) = body.data().await {
        drop(chunk.expect("the body arrives whole"));
    }
    answered.extend(body.trailers().await.expect("the end arrives").unwrap_or_default());
    let text = |name: &str| {
        answered.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let code = text("grpc-status").expect("a gRPC answer has a status");
    RawAnswer {
        code: Code::from_bytes(code.as_bytes()),
        message: text("grpc-message").unwrap_or_default(),
    }
}
