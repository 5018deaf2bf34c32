//! What health says of the store: served, cut off, and emptied behind the service's back.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use service_kit::clock::real_now;
use service_kit::server::{hardened, serve, with_health_and_reflection};
use service_kit::shutdown::{self, Trigger};
use service_kit::status::{
    DURABILITY_KEY, ERROR_KEY, FACT_KEY, JOURNAL_KEY, STORE, StoreStatus, VERSION_KEY,
};
use store::{Command, Draft, Location, Projection, Record, Replica, Store, StreamName};
use test_kit::{RedisServer, eventually};
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use vocab::Actor;

/// How many records there are.
#[derive(Debug, Clone, Default)]
struct Count(u64);

impl Projection for Count {
    fn apply(&mut self, _record: &Record) -> Result<(), String> {
        self.0 += 1;
        Ok(())
    }
}

struct Telling {
    health: HealthClient<Channel>,
    replica: Arc<Replica<Count>>,
    trigger: Trigger,
}

impl Telling {
    async fn start(location: &str) -> Self {
        let location = Location::parse(location).expect("a location");
        let store = Store::open(&location, Arc::new(real_now)).await.expect("the store opens");
        let stream = StreamName::new("flag").expect("a stream name");
        let replica: Arc<Replica<Count>> =
            Replica::open(Arc::clone(&store.journal), stream).await.expect("it opens");
        let (trigger, shutdown) = shutdown::channel();
        let status = StoreStatus::new(&store, shutdown.clone()).with(&replica);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let router = with_health_and_reflection(hardened(), contracts::DESCRIPTORS, &[], status);
        tokio::spawn(serve(router.await.expect("the descriptors decode"), listener, shutdown));
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        Self {
            health: HealthClient::new(endpoint.expect("an address").connect_lazy()),
            replica,
            trigger,
        }
    }

    async fn ask(&self, service: &str) -> (ServingStatus, MetadataMap) {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = self.health.clone().check(request).await.expect("health answers");
        let (metadata, answer, _) = answer.into_parts();
        (answer.status(), metadata)
    }

    async fn write(&self) {
        let command = Command {
            time: real_now(),
            actor: Actor::system("test"),
            reason: String::new(),
            traceparent: String::new(),
            request: None,
        };
        let draft = Draft { kind: "Said".to_owned(), payload: b"x".to_vec() };
        let decide = |_: &Count, _| Ok::<_, ()>(vec![draft.clone()]);
        self.replica.execute(&command, decide).await.expect("it is written");
    }
}

fn command(redis: &RedisServer, words: &str) {
    let address = redis.url().replace("redis://", "");
    let mut connection = TcpStream::connect(address).expect("Redis listens");
    write!(connection, "{words}\r\nQUIT\r\n").expect("Redis reads");
    std::io::read_to_string(connection).expect("Redis answers");
}

fn values(metadata: &MetadataMap, key: &str) -> Vec<String> {
    let values =
        metadata.get_all(key).iter().map(|value| value.to_str().expect("it is ASCII").to_owned());
    values.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_the_store_promises_and_by_what_that_was_judged() {
    let dir = tempfile::tempdir().unwrap();
    let telling = Telling::start(&format!("embedded:{}", dir.path().display())).await;
    let (status, metadata) = telling.ask(STORE).await;
    assert_eq!(status, ServingStatus::Serving);
    assert_eq!(values(&metadata, DURABILITY_KEY), ["power-loss"]);
    assert_eq!(values(&metadata, JOURNAL_KEY), ["flag following"]);
    assert_eq!(values(&metadata, VERSION_KEY), [env!("CARGO_PKG_VERSION")]);
    assert!(values(&metadata, FACT_KEY).iter().any(|fact| fact.contains("fsync")), "{metadata:?}");
    // Only this entry tells: the others are what every gRPC server says.
    assert!(telling.ask("").await.1.get(DURABILITY_KEY).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_not_serving_while_it_is_down_and_the_server_still_is() {
    // Given a service on Redis whose health somebody watches
    let mut redis = RedisServer::start().await;
    let telling = Telling::start(&redis.url()).await;
    let request = HealthCheckRequest { service: STORE.to_owned() };
    let mut watched = telling.health.clone().watch(request).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);

    // When Redis dies, then both ways of asking say so, with the reason
    redis.kill();
    let next = watched.message().await.unwrap().unwrap();
    assert_eq!(next.status(), ServingStatus::NotServing);
    let (status, metadata) = telling.ask(STORE).await;
    assert_eq!(status, ServingStatus::NotServing);
    let told = values(&metadata, JOURNAL_KEY);
    assert!(told[0].starts_with("flag stale: store unavailable"), "{told:?}");
    let why = values(&metadata, ERROR_KEY).concat();
    assert!(why.starts_with("store unavailable"), "{why}");
    assert_eq!(values(&metadata, DURABILITY_KEY), ["power-loss"]);
    assert_eq!(telling.ask("").await.0, ServingStatus::Serving);

    // When it is back, then it serves again; and who watches is let go at the end
    redis.restart().await;
    let back = watched.message().await.unwrap().unwrap();
    assert_eq!(back.status(), ServingStatus::Serving);
    telling.trigger.shut_down();
    assert!(!matches!(watched.message().await, Ok(Some(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_changed_under_the_service_is_told() {
    let redis = RedisServer::start().await;
    let telling = Telling::start(&redis.url()).await;
    assert_eq!(values(&telling.ask(STORE).await.1, DURABILITY_KEY), ["power-loss"]);
    command(&redis, "CONFIG SET appendonly no");
    let (status, metadata) = telling.ask(STORE).await;
    assert_eq!(values(&metadata, DURABILITY_KEY), ["memory"]);
    assert!(values(&metadata, FACT_KEY).contains(&"appendonly no".to_owned()), "{metadata:?}");
    assert_eq!(status, ServingStatus::Serving); // It answers: what it is worth is said beside.
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_data_is_told_and_stays_told() {
    let redis = RedisServer::start().await;
    let telling = Telling::start(&redis.url()).await;
    telling.write().await;
    telling.write().await;

    command(&redis, "FLUSHALL");

    eventually("health says that data was lost", async || {
        let (status, metadata) = telling.ask(STORE).await;
        let told = values(&metadata, JOURNAL_KEY);
        status == ServingStatus::NotServing && told[0].starts_with("flag data-lost: ")
    })
    .await;
}
