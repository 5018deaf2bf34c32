//! A place for a store, which outlives the store that is opened in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use store::{
    Append, AppendError, Appended, Draft, Hash, Head, Journal, Location, RequestKey, Store,
    StoreError, StreamName,
};
use tempfile::TempDir;
use test_kit::{Cluster, RedisServer, eventually, valkey};
use vocab::{Actor, Timestamp};

const BEGINNING_MS: i64 = 1_790_000_000_000;

/// A directory, a Redis server or a cluster, and a clock that stands still unless it is moved.
pub(crate) struct Site {
    kind: Kind,
    now_ms: Arc<AtomicI64>,
}

enum Kind {
    Embedded(TempDir),
    Redis(RedisServer),
    Cluster(Cluster),
}

impl Site {
    pub(crate) fn embedded() -> Self {
        Self::new(Kind::Embedded(tempfile::tempdir().unwrap()))
    }

    pub(crate) async fn redis() -> Self {
        Self::new(Kind::Redis(RedisServer::start().await))
    }

    /// On Valkey, where `tests/run` has put one.
    pub(crate) async fn valkey() -> Option<Self> {
        let server = RedisServer::start_program(&valkey()?, &[]).await;
        Some(Self::new(Kind::Redis(server)))
    }

    pub(crate) async fn cluster() -> Self {
        Self::new(Kind::Cluster(Cluster::start(3, 0, &[]).await))
    }

    /// Forgets everything in the cluster.
    pub(crate) async fn clear(&self) {
        let Kind::Cluster(cluster) = &self.kind else { panic!("only a cluster is shared") };
        for node in &cluster.primaries {
            node.command(&["FLUSHALL"]).await;
        }
    }

    fn new(kind: Kind) -> Self {
        Self { kind, now_ms: Arc::new(AtomicI64::new(BEGINNING_MS)) }
    }

    pub(crate) fn location(&self) -> Location {
        match &self.kind {
            Kind::Embedded(dir) => Location::Embedded(dir.path().to_owned()),
            Kind::Redis(server) => Location::parse(&server.url()).unwrap(),
            Kind::Cluster(cluster) => Location::parse(&cluster.url()).unwrap(),
        }
    }

    /// The Redis server.
    pub(crate) fn server(&mut self) -> &mut RedisServer {
        match &mut self.kind {
            Kind::Redis(server) => server,
            Kind::Embedded(_) | Kind::Cluster(_) => panic!("there is not one server"),
        }
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StoreError> {
        Store::open(&self.location(), self.clock()).await
    }

    /// The clock that only an embedded store goes by.
    pub(crate) fn clock(&self) -> store::Clock {
        let now_ms = Arc::clone(&self.now_ms);
        Arc::new(move || Timestamp::from_millis(now_ms.load(Ordering::Relaxed)))
    }

    /// Opens the store, once whoever had it before has let go.
    pub(crate) async fn open(&self) -> Store {
        eventually("the store opens", async || match self.try_open().await {
            Ok(store) => Some(store),
            Err(StoreError::InUse(_) | StoreError::Unavailable(_)) => None,
            Err(other) => panic!("{other}"),
        })
        .await
    }

    /// Moves the embedded store's clock. Redis has one of its own, which nobody moves.
    pub(crate) fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap();
        self.now_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Moves the embedded store's clock to where that of Redis is.
    pub(crate) fn go_to_today(&self) {
        let today = std::time::UNIX_EPOCH.elapsed().unwrap();
        self.now_ms.store(i64::try_from(today.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Flips one byte of the payload of record `version`, behind the back of a store not open.
    pub(crate) async fn tamper(&self, stream: &StreamName, version: u64) {
        match &self.kind {
            Kind::Embedded(dir) => tamper_with_file(dir, stream, version),
            Kind::Redis(server) => tamper_with_redis(server, stream, version).await,
            Kind::Cluster(cluster) => {
                let key = format!("{{softlaunch:{stream}}}:journal");
                let mut found = 0;
                for node in &cluster.primaries {
                    if node.ask(&["EXISTS", &key]).await.starts_with(":1") {
                        tamper_with_redis(node, stream, version).await;
                        found += 1;
                    }
                }
                assert_eq!(found, 1, "one node has the stream");
            }
        }
    }
}

fn tamper_with_file(dir: &TempDir, stream: &StreamName, version: u64) {
    const RECORDS: redb::TableDefinition<(&str, u64), &[u8]> =
        redb::TableDefinition::new("records");
    let database = redb::Database::open(dir.path().join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut records = transaction.open_table(RECORDS).unwrap();
        let mut record = records.get_mut((stream.as_str(), version)).unwrap().unwrap();
        let changed = flipped(record.value());
        record.insert(changed.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
}

async fn tamper_with_redis(server: &RedisServer, stream: &StreamName, version: u64) {
    type Fields = Vec<(String, Vec<u8>)>;
    let mut redis = connect(server).await;
    let key = format!("{{softlaunch:{stream}}}:journal");
    let entries: Vec<(String, Fields)> =
        redis::cmd("XRANGE").arg(&key).arg("-").arg("+").query_async(&mut redis).await.unwrap();
    let () = redis::cmd("DEL").arg(&key).query_async(&mut redis).await.unwrap();
    for (id, mut fields) in entries {
        if id == format!("{version}-0") {
            fields[0].1 = flipped(&fields[0].1);
        }
        let mut adding = redis::cmd("XADD");
        adding.arg(&key).arg(&id).arg(fields);
        let _id: String = adding.query_async(&mut redis).await.unwrap();
    }
}

/// The record with another letter in its payload, `event`.
fn flipped(record: &[u8]) -> Vec<u8> {
    let mut record = record.to_vec();
    let at = record.windows(5).position(|window| window == b"event").unwrap();
    record[at] = b'E';
    record
}

/// Says which rule is being tested, where it turns out that it does not hold.
#[expect(clippy::print_stdout, reason = "shown where the test fails")]
pub(crate) fn said(rule: &str) {
    println!("rule: {rule}");
}

/// A connection that no store knows of.
pub(crate) async fn connect(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

pub(crate) fn stream() -> StreamName {
    StreamName::new("rollout").unwrap()
}

/// Where the stream ended when its newest record was `version`; a wrong hash where it never did.
pub(crate) async fn head_at(journal: &dyn Journal, stream: &StreamName, version: u64) -> Head {
    let before = version.saturating_sub(1);
    let found = journal.read(stream, before, 1).await.unwrap_or_default();
    let hash = found.first().filter(|_| version > 0).map(|record| record.hash);
    Head { version, hash: hash.unwrap_or_default() }
}

/// Appends `count` events behind version `expected`.
pub(crate) async fn append_at(
    journal: &dyn Journal,
    stream: &StreamName,
    expected: u64,
    count: usize,
) -> Result<Appended, AppendError> {
    let head = head_at(journal, stream, expected).await;
    journal.append(stream, &append(head, count)).await
}

/// An append of `count` events behind `expected`.
pub(crate) fn append(expected: Head, count: usize) -> Append {
    let draft = |index| Draft {
        kind: "SomethingHappened".to_owned(),
        payload: format!("event {index} behind {}", expected.version).into_bytes(),
    };
    Append {
        expected,
        time: Timestamp::from_millis(BEGINNING_MS),
        actor: Actor::system("test"),
        reason: "because".to_owned(),
        traceparent: String::new(),
        request: None,
        drafts: (0..count).map(draft).collect(),
    }
}

pub(crate) fn request(id: &str, contents: &str) -> RequestKey {
    RequestKey { id: id.to_owned(), digest: Hash::of(contents.as_bytes()) }
}

/// Appends `count` events, one by one, to an empty stream.
pub(crate) async fn fill(journal: &dyn Journal, count: u64) {
    for version in 0..count {
        append_at(journal, &stream(), version, 1).await.unwrap();
    }
}
