//! A store that is away, stuck or full: a kill is in force all the same, and stored later.

use contracts::killswitch as pb;
use contracts::killswitch::Durability;
use contracts::killswitch::kill_switch::State;
use killswitch_service::offline::engage_offline;
use store::StreamName;
use test_kit::{RedisServer, eventually};
use tonic::Code;

use crate::site::{REASON, Service, by, pipeline};

/// Once the store is back, the kill is stored as it was given, under a higher epoch, once.
async fn is_stored_as_given(service: &Service, given: &pb::KillSwitch) -> pb::KillSwitch {
    let stored = eventually("the kill to be stored", async || {
        let switch = service.switch().await;
        (switch.durability() == Durability::Stored).then_some(switch)
    })
    .await;
    assert_eq!(stored.state(), State::Engaged);
    assert_eq!((&stored.actor, &stored.reason), (&given.actor, &given.reason));
    assert_eq!(stored.change_time, given.change_time);
    assert_eq!(stored.survives, "power-loss");
    let stream = StreamName::new("killswitch").unwrap();
    let records = service.store.journal.read(&stream, 0, 100).await.unwrap();
    let kills: Vec<_> = records.iter().filter(|record| record.kind == "Engaged").collect();
    assert_eq!((kills.len(), &*kills[0].actor.subject, &*kills[0].reason), (1, "bob", REASON));
    stored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_redis_is_down_reaches_the_workers_and_is_stored_when_it_is_back() {
    // Given a worker, and a Redis that dies
    let mut redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    worker.hear().await;
    redis.kill();

    // When somebody engages, then it is in force, and the answer says what it is not
    let engaged = service.engage("bob").await;
    assert_eq!((engaged.state(), engaged.durability()), (State::Engaged, Durability::NotYet));
    assert_eq!((engaged.epoch, &*engaged.survives), (1, ""));
    let heard = worker.hears_of_kill().await;
    assert_eq!((heard.epoch, &heard.engaged[0].scope), (1, &Some(pipeline())));
    worker.acknowledge(1).await;
    eventually("the acknowledgement to count", async || service.spread().await.proven).await;
    // Repeating it is harmless, and nothing lets go on what is not even stored.
    assert_eq!(service.engage("eve").await, engaged);
    let refused = service.release("bob", engaged.epoch).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert_eq!(service.switch().await, engaged);

    // When Redis is back, then the kill is stored as given, and can be released as stored
    redis.restart().await;
    let stored = is_stored_as_given(&service, &engaged).await;
    assert!(stored.epoch > engaged.epoch, "{stored:?}");
    assert_eq!(service.release("bob", 1).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(service.release("bob", stored.epoch).await.unwrap().state(), State::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_does_not_wait_for_a_redis_that_has_stopped_answering() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    worker.hear().await;
    redis.pause();
    let engaged = service.engage("bob").await;
    assert_eq!(engaged.durability(), Durability::NotYet);
    assert_eq!(worker.hears_of_kill().await.epoch, engaged.epoch);
    redis.resume();
    is_stored_as_given(&service, &engaged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_in_force_while_a_replica_that_redis_asks_for_is_missing() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    worker.hear().await;
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let engaged = service.engage("bob").await;
    assert_eq!(engaged.durability(), Durability::NotYet);
    assert_eq!(worker.hears_of_kill().await.epoch, engaged.epoch);
    redis.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    is_stored_as_given(&service, &engaged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_stored_by_a_redis_that_is_out_of_memory() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    worker.hear().await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(redis.ask(&["SET", "k", "v"]).await.contains("OOM"), "Redis must be full");
    let engaged = service.engage("bob").await;
    assert_eq!(engaged.durability(), Durability::Stored);
    assert_eq!(worker.hears_of_kill().await.epoch, engaged.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_straight_on_the_store_reaches_the_workers_of_services_that_follow_it() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    worker.hear().await;
    let location = store::Location::parse(&redis.url()).unwrap();
    let now = std::sync::Arc::new(service_kit::clock::real_now);
    let store = store::Store::open(&location, now).await.unwrap();
    let actor = service_kit::identity::claimed(by("bob", ()).metadata()).unwrap();
    let clock = service_kit::clock::Clock::system();
    let scope = pipeline();
    let engaged = engage_offline(&store, &clock, Some(&scope), actor, REASON);
    let engaged = engaged.await.unwrap();
    assert_eq!((&*engaged.actor, engaged.durability()), ("offline:bob", Durability::Stored));
    assert_eq!(worker.hears_of_kill().await.engaged, std::slice::from_ref(&engaged));
    assert_eq!(service.switch().await, engaged);
}
