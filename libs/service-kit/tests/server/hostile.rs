//! Clients that no library would be: what they do is bounded, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::hosted::{Hosted, ask};

const PATIENCE: Duration = Duration::from_secs(20);
const PATH: &str = "/softlaunch.flag.v1.EvaluationService/EvaluateFlag";

/// A connection, and how it ended.
type Connection = (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>);

async fn connect(address: SocketAddr) -> Connection {
    let socket = TcpStream::connect(address).await.expect("the server listens");
    let (sender, connection) = h2::client::handshake(socket).await.expect("HTTP/2 is spoken");
    (sender, tokio::spawn(connection))
}

fn question(address: SocketAddr) -> http::request::Builder {
    Request::post(format!("http://{address}{PATH}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

/// An empty message, asked with `request`; the HTTP status of the answer.
async fn answered(sender: &SendRequest<Bytes>, request: Request<()>) -> Result<u16, h2::Error> {
    let mut sender = sender.clone().ready().await?;
    let (response, mut stream) = sender.send_request(request, false)?;
    // Where the headers alone are refused the answer comes all the same.
    stream.send_data(Bytes::from_static(&[0; 5]), true).ok();
    Ok(response.await?.status().as_u16())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_what_it_asks_at_once_is_cut_off_and_others_are_answered() {
    // Given
    let hosted = Hosted::start().await;
    let (mut sender, connection) = connect(hosted.address).await;

    // When questions are asked and taken back, thousands in a row (CVE-2023-44487)
    let storm = async {
        for _question in 0..100_000 {
            sender = sender.ready().await?;
            let request = question(hosted.address).body(()).expect("the headers are well-formed");
            let (_response, mut stream) = sender.send_request(request, false)?;
            stream.send_reset(Reason::CANCEL);
        }
        Ok::<_, h2::Error>(())
    };
    let ended = tokio::time::timeout(PATIENCE, storm).await.expect("it does not go on for ever");

    // Then the server ends it; why it says so may be lost on a client that only writes
    let refused = ended.expect_err("a hundred thousand resets are not put up with");
    let closed = connection.await.expect("it does not panic").err();
    let reason = refused.reason().or_else(|| closed.and_then(|error| error.reason()));
    assert!(reason.is_none_or(|why| why == Reason::ENHANCE_YOUR_CALM), "{refused:?}");
    hosted.client().evaluate_flag(ask("ws-1")).await.expect("others are answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_beyond_the_limit_are_refused_and_the_connection_goes_on() {
    let hosted = Hosted::start().await;
    let (sender, _connection) = connect(hosted.address).await;
    let large = question(hosted.address).header("x-large", "x".repeat(20 * 1_024));
    let large = large.body(()).expect("the headers are well-formed");
    let refused = answered(&sender, large).await;
    assert!(
        matches!(refused, Ok(431)) || refused.as_ref().is_err_and(|error| error.is_remote()),
        "{refused:?}"
    );
    let small = question(hosted.address).body(()).expect("the headers are well-formed");
    assert_eq!(answered(&sender, small).await.expect("it goes on"), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_the_streams_that_the_server_says_and_no_more() {
    let hosted = Hosted::start().await;
    let (sender, _connection) = connect(hosted.address).await;
    let one = question(hosted.address).body(()).expect("the headers are well-formed");
    answered(&sender, one).await.expect("an answer comes");
    assert_eq!(sender.current_max_send_streams(), 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_begin_and_say_no_more_hold_up_nobody() {
    // Given hundreds that stopped in the middle of the first word, and in the middle of a question
    let hosted = Hosted::start().await;
    let mut idle = Vec::new();
    for _client in 0..300 {
        let mut socket = TcpStream::connect(hosted.address).await.expect("the server listens");
        socket.write_all(b"PRI * HTTP/2.0").await.expect("it takes the first bytes");
        idle.push(socket);
    }
    let mut asking = Vec::new();
    for _client in 0..50 {
        let (sender, connection) = connect(hosted.address).await;
        let mut ready = sender.ready().await.expect("a stream may be opened");
        let request = question(hosted.address).body(()).expect("the headers are well-formed");
        let (response, mut stream) = ready.send_request(request, false).expect("it is sent");
        stream.send_data(Bytes::from_static(&[0, 0]), false).expect("two of five bytes are sent");
        asking.push((response, stream, connection));
    }
    // When somebody asks, then there is an answer
    let mut client = hosted.client();
    let answer = tokio::time::timeout(PATIENCE, client.evaluate_flag(ask("ws-1"))).await;
    answer.expect("nobody is waited for").expect("others are answered");
    drop((idle, asking));
}
