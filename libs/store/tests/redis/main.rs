//! Redis in every shape it runs in, and what is to be seen of it when it fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod copies;
mod data_loss;
mod failover;
mod load;
mod moved;
mod outages;
mod shapes;

use std::convert::Infallible;
use std::sync::Arc;

use store::{
    Append, AppendError, Appended, Command, Draft, Durability, Executed, Hash, Head, Journal,
    Location, Options, Projection, Record, Replica, RequestKey, Store, StoreError, StreamName,
    TlsFiles, WriteError,
};
use test_kit::RedisServer;
use vocab::{Actor, Timestamp};

/// Opens the store at `url`, where acknowledged data must survive `durability`.
async fn try_open(url: &str, durability: Durability, tls: TlsFiles) -> Result<Store, StoreError> {
    let location = Location::parse(url).unwrap();
    let clock = Arc::new(|| Timestamp::EPOCH);
    let store = Store::open_with(&location, clock, &Options { durability, tls }).await?;
    store.promise.require(durability)?;
    Ok(store)
}

async fn open(url: &str, durability: Durability) -> Store {
    try_open(url, durability, TlsFiles::default()).await.unwrap()
}

fn stream() -> StreamName {
    named("rollout")
}

fn named(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

/// One event behind `expected`, of the command with this id.
fn event(expected: Head, id: &str) -> Append {
    Append {
        expected,
        time: Timestamp::EPOCH,
        actor: Actor::system("test"),
        reason: String::new(),
        traceparent: String::new(),
        request: Some(RequestKey { id: id.to_owned(), digest: Hash::of(id.as_bytes()) }),
        drafts: vec![Draft { kind: "Said".to_owned(), payload: id.as_bytes().to_vec() }],
    }
}

/// Appends one event to the end of `stream`, wherever that is.
async fn add(
    journal: &dyn Journal,
    stream: &StreamName,
    id: &str,
) -> Result<Appended, AppendError> {
    let head = journal.head(stream).await?;
    journal.append(stream, &event(head, id)).await
}

/// Appends `count` events to an empty stream and returns where it ends.
async fn fill(journal: &dyn Journal, count: usize) -> Head {
    for index in 0..count {
        add(journal, &stream(), &index.to_string()).await.unwrap();
    }
    journal.head(&stream()).await.unwrap()
}

/// What the events of `stream` say, oldest first.
async fn said(journal: &dyn Journal, stream: &StreamName) -> Vec<String> {
    let records = journal.read(stream, 0, 100_000).await.unwrap();
    records.into_iter().map(|record| String::from_utf8(record.payload).unwrap()).collect()
}

/// How often `server` has answered with `error`, e.g. `MOVED`.
async fn errors(server: &RedisServer, error: &str) -> u64 {
    count(server, "errorstats", &format!("errorstat_{error}:count=")).await
}

/// How often `server` was asked `command`.
async fn calls(server: &RedisServer, command: &str) -> u64 {
    count(server, "commandstats", &format!("cmdstat_{command}:calls=")).await
}

async fn count(server: &RedisServer, section: &str, label: &str) -> u64 {
    let info = server.command(&["INFO", section]).await;
    let Some((_, after)) = info.split_once(label) else { return 0 };
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Everything said, oldest first.
#[derive(Debug, Clone, Default)]
struct Log(Vec<String>);

impl Projection for Log {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        self.0.push(String::from_utf8(record.payload.clone()).map_err(|error| error.to_string())?);
        Ok(())
    }
}

/// A reader that remembers what it has seen.
async fn reader(store: &Store) -> Arc<Replica<Log>> {
    Replica::open(Arc::clone(&store.journal), stream()).await.unwrap()
}

async fn say(replica: &Replica<Log>, text: &str) -> Result<Executed<Log>, WriteError<Infallible>> {
    let command = Command {
        time: Timestamp::EPOCH,
        actor: Actor::system("test"),
        reason: String::new(),
        traceparent: String::new(),
        request: None,
    };
    let draft = Draft { kind: "Said".to_owned(), payload: text.as_bytes().to_vec() };
    replica.execute(&command, |_log, _version| Ok(vec![draft.clone()])).await
}
