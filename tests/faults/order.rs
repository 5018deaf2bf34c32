//! On disk before acknowledged: shown by the order of system calls, since a kill cannot show it
//! (what was written and not synced survives the process, and not the power).

use std::sync::Arc;

use contracts::flag::flag_service_client::FlagServiceClient;
use service_kit::clock::real_now;
use softlaunch_tests::ask;
use store::{Append, Draft, Durability, Head, Location, Options, Store, StreamName};
use test_kit::RedisServer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use vocab::Actor;

use crate::clients::{ADA, change, create_flag};
use crate::installation::Installation;
use crate::trace::{Event, Trace};
use test_kit::rounds;

/// Whether what holds `tag` was written to a file and that file synced, one after the other, before
/// `reply` was begun.
fn in_time(events: &[Event], tag: &str, reply: &Event) -> Result<(), String> {
    let before = |event: &&Event| event.begun < reply.begun;
    let holds = |event: &&Event| event.is_written() && event.text.contains(tag);
    let mut writes = events.iter().filter(holds).filter(before).peekable();
    if writes.peek().is_none() {
        return Err(format!("ORDER: {tag} was answered before it was written"));
    }
    let is_synced = |written: &Event| {
        events.iter().any(|event| {
            let same = event.is_sync() && event.file() == written.file();
            same && event.begun > written.ended && event.ended < reply.begun
        })
    };
    if writes.any(is_synced) {
        return Ok(());
    }
    Err(format!("ORDER: {tag} was answered before it was synced"))
}

/// The process id of a Redis server, as it says.
async fn process_of(redis: &RedisServer) -> u32 {
    let address = redis.url().replace("redis://", "");
    let mut connection = TcpStream::connect(address).await.expect("Redis listens");
    connection.write_all(b"INFO server\r\nQUIT\r\n").await.expect("Redis reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("Redis answers");
    let line = answer.lines().find_map(|line| line.strip_prefix("process_id:"));
    line.and_then(|id| id.trim().parse().ok()).expect("Redis knows its process id")
}

/// Appends to a journal on Redis under strace: for each append, whether it was on disk in time.
async fn appends(redis: &RedisServer, durability: Durability) -> Vec<Result<(), String>> {
    let location = Location::parse(&redis.url()).expect("a location");
    let options = Options { durability, ..Options::default() };
    let store = Store::open_with(&location, Arc::new(real_now), &options).await;
    let store = store.expect("Redis answers");
    let stream = StreamName::new("order").expect("a stream name");
    let trace = Trace::attach(process_of(redis).await);
    let mut head = Head::default();
    let tags: Vec<_> = (0..rounds(12)).map(|turn| format!("order-{turn:05}-x")).collect();
    for tag in &tags {
        let append = Append {
            expected: head,
            time: real_now(),
            actor: Actor::system("test"),
            reason: String::new(),
            traceparent: String::new(),
            request: None,
            drafts: vec![Draft { kind: "Said".to_owned(), payload: tag.clone().into_bytes() }],
        };
        let appended = store.journal.append(&stream, &append).await.expect("it is appended");
        let last = appended.records.last().expect("a record was written");
        head = Head { version: last.version, hash: last.hash };
    }
    let events = trace.end();
    let replies: Vec<_> =
        events.iter().filter(|event| event.is_sent() && event.text.contains("appended")).collect();
    assert_eq!(replies.len(), tags.len(), "an answer for each append");
    let pairs = tags.iter().zip(replies);
    pairs.map(|(tag, reply)| in_time(&events, tag, reply)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_with_fsync_always_answers_an_append_after_its_fdatasync() {
    let redis = RedisServer::start().await;
    let appends = appends(&redis, Durability::PowerLoss).await;
    assert!(appends.len() >= 12, "{} appends: this run shows nothing", appends.len());
    appends.into_iter().for_each(|append| append.unwrap_or_else(|why| panic!("{why}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_with_fsync_everysec_answers_before_and_so_the_test_can_tell() {
    let redis = RedisServer::start_with(&["--appendfsync", "everysec"]).await;
    // Asked for less, so that no server is made to confirm what it answers too soon.
    let appends = appends(&redis, Durability::ProcessCrash).await;
    let late = appends.iter().filter(|append| append.is_err()).count();
    assert!(appends.len() >= 12 && late * 2 > appends.len(), "{appends:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_the_embedded_store_answers_after_the_fdatasync() {
    // Given the product under strace
    let installation = Installation::all_in_one().await;
    create_flag(&installation.addresses).await;
    let trace = Trace::attach(installation.id());

    // When commands are given one after the other
    let tags: Vec<_> = (0..rounds(12)).map(|turn| format!("order-{turn:05}-x")).collect();
    let mut flags = FlagServiceClient::new(installation.addresses.channel("flag"));
    for tag in &tags {
        let changed = flags.update_flag(ask(ADA, change(tag, "", ""))).await;
        changed.expect("a flag may be changed");
    }
    let events = trace.end();

    // Then each was written, synced, and only then answered over the socket
    for tag in &tags {
        let is_reply = |event: &&Event| event.is_sent() && event.text.contains(tag.as_str());
        let reply = events.iter().find(is_reply).expect("an answer for each command");
        in_time(&events, tag, reply).unwrap_or_else(|why| panic!("{why}"));
    }
}
