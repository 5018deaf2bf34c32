//! Clients that no library would be: what they do is bounded, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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

/// Calls that one connection may see refused in a second of trouble.
const REFUSED: u32 = 600;
// Kinds and flags of frames (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are short").to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, stream.to_be_bytes().as_slice(), payload].concat()
}

/// Headers of a question for a method that there is not, without a table (RFC 7541, 6.2.2).
fn headers_of_nothing() -> Vec<u8> {
    let said = |name: &[u8], value: &str| {
        let length = u8::try_from(value.len()).expect("values are short");
        [name, &[length], value.as_bytes()].concat()
    };
    [
        vec![0x83, 0x86], // By their places in the static table: POST, and http.
        said(&[0x04], "/nobody.made/It"),
        said(&[0x01], "localhost"),
        said(&[0x0f, 0x10], "application/grpc"), // Content-Type.
    ]
    .concat()
}

/// Reads frames until `wanted` says yes to the kind and flags of one; its kind.
async fn read_until(socket: &mut TcpStream, mut wanted: impl FnMut(u8, u8) -> bool) -> u8 {
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.expect("the connection is open");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).expect("it fits")];
        socket.read_exact(&mut payload).await.expect("frames are whole");
        if wanted(head[3], head[4]) {
            return head[3];
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_questions_that_were_refused_before_they_had_come() {
    // Given hundreds of questions on one connection that are refused while their bodies are on the way
    let hosted = Hosted::start().await;
    let mut socket = TcpStream::connect(hosted.address).await.expect("the server listens");
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("it is taken");
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).await.expect("it is taken");
    let streams: Vec<u32> = (0..REFUSED).map(|number| 2 * number + 1).collect();
    let headers = headers_of_nothing();
    let asked: Vec<_> =
        streams.iter().flat_map(|stream| frame(HEADERS, END_HEADERS, *stream, &headers)).collect();
    socket.write_all(&asked).await.expect("they are taken");
    let mut answers = 0;
    let all = read_until(&mut socket, |kind, flags| {
        answers += u32::from(kind == HEADERS && flags & END_STREAM != 0);
        answers == REFUSED
    });
    tokio::time::timeout(PATIENCE, all).await.expect("each is answered at once");

    // When the bodies come
    let bodies: Vec<_> =
        streams.iter().flat_map(|stream| frame(DATA, END_STREAM, *stream, &[0; 5])).collect();
    socket.write_all(&bodies).await.expect("they are taken");
    socket.write_all(&frame(PING, 0, 0, &[7; 8])).await.expect("it is taken");

    // Then the connection goes on
    let told =
        read_until(&mut socket, |kind, flags| kind == GOAWAY || kind == PING && flags & ACK != 0);
    let told = tokio::time::timeout(PATIENCE, told).await.expect("something is said");
    assert_eq!(told, PING, "the server has ended the connection");
}
