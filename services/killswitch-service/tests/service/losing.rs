//! A store that has lost data: what a worker holds wins where it is the more restrictive.

use contracts::killswitch as pb;
use contracts::killswitch::Durability;
use contracts::killswitch::kill_switch::State;
use test_kit::{RedisServer, eventually};

use crate::site::{Service, Worker, pipeline};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_holds_is_kept_engaged_by_a_service_whose_store_is_empty() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = Worker::connect(&service, "worker-1", 7, vec![pipeline()]).await;
    // Its first word already: the worker would refuse anything older than what it holds.
    let heard = worker.hear().await.state.unwrap();
    assert_eq!((heard.epoch, heard.engaged.len()), (8, 1));
    assert!(heard.engaged[0].reason.contains("worker worker-1 at epoch 7"), "{heard:?}");
    assert_eq!(heard.engaged[0].actor, "system:killswitch");
    let switch = service.switch().await;
    assert_eq!((switch.state(), switch.durability()), (State::Engaged, Durability::Stored));
    // Another one with the same story changes nothing, and one that holds no kill raises epochs.
    let mut second = Worker::connect(&service, "worker-2", 7, vec![pipeline()]).await;
    assert_eq!(second.hear().await.state.unwrap().epoch, 8);
    let mut third = Worker::connect(&service, "worker-3", 20, Vec::new()).await;
    let heard = third.hear().await.state.unwrap();
    assert_eq!((heard.epoch, heard.engaged.len()), (21, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_a_worker_has_missed_is_not_undone_by_it() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let engaged = service.engage("bob").await;
    service.release("bob", engaged.epoch).await.unwrap();
    let mut worker = Worker::connect(&service, "worker-1", engaged.epoch, vec![pipeline()]).await;
    let heard = worker.hear().await.state.unwrap();
    assert_eq!((heard.epoch, heard.engaged.len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_in_force_though_the_store_has_lost_what_the_service_saw() {
    // Given a service that has seen more than its Redis holds now
    let mut redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let first = service.engage("bob").await;
    service.release("bob", first.epoch).await.unwrap();
    redis.kill();
    redis.erase();
    redis.restart().await;

    // When somebody engages, then it is in force and nothing is written over the loss
    let engaged = service.engage("bob").await;
    assert_eq!((engaged.state(), engaged.durability()), (State::Engaged, Durability::NotYet));
    assert!(engaged.epoch > first.epoch);
    let mut worker = service.worker("worker-1").await;
    assert_eq!(worker.hears_of_kill().await.epoch, engaged.epoch);

    // When the service is started anew over what is left, then the worker brings the kill back
    drop(service);
    let again = Service::over(&redis.url()).await;
    assert_eq!(again.switch().await.state(), State::Released);
    let mut worker = Worker::connect(&again, "worker-1", engaged.epoch, vec![pipeline()]).await;
    let heard = worker.hears_of_kill().await;
    assert!(heard.epoch > engaged.epoch, "{heard:?}");
    assert_eq!(again.switch().await.durability(), Durability::Stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_ahead_is_heard_while_the_store_is_down_too() {
    let mut redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    redis.kill();
    let mut worker = Worker::connect(&service, "worker-1", 7, vec![pipeline()]).await;
    let heard = worker.hear().await.state.unwrap();
    assert!(heard.epoch > 7, "{heard:?}");
    assert_eq!(heard.engaged[0].durability(), Durability::NotYet);
    let mut second = Worker::connect(&service, "worker-2", 30, Vec::new()).await;
    assert!(second.hear().await.state.unwrap().epoch >= 30);
    redis.restart().await;
    let stored = |switch: &pb::KillSwitch| switch.durability() == Durability::Stored;
    eventually("it to be stored", async || stored(&service.switch().await)).await;
    let heard = second.hears(|heard| heard.state.as_ref().is_some_and(|s| s.epoch > 30)).await;
    assert_eq!(heard.state.unwrap().engaged.len(), 1);
}
