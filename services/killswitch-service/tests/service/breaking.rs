//! The fleet's circuit breaker.

use contracts::killswitch::kill_switch::State;
use contracts::killswitch::watch_kill_switches_request::Message;
use contracts::killswitch::worker::Breaker;
use test_kit::{RedisServer, eventually};

use crate::site::{Service, defaults};

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_of_open_breakers_stops_the_pipeline_and_only_people_release_it() {
    // Given four workers, two of them with open breakers
    let redis = RedisServer::start().await;
    let mut settings = defaults();
    settings.breaker.open_for = "300ms".to_owned();
    let service = Service::with(&redis.url(), settings).await;
    let mut workers = Vec::new();
    for number in 0..4 {
        workers.push(service.worker(&format!("worker-{number}")).await);
    }
    workers[0].say(Message::Breaker(Breaker::Open.into())).await;
    workers[1].say(Message::Breaker(Breaker::Open.into())).await;

    // Then the pipeline is stopped, with the evidence in the reason
    let heard = workers[3].hears_of_kill().await;
    assert_eq!(heard.engaged[0].actor, "system:breaker");
    let why = &heard.engaged[0].reason;
    assert!(why.contains("2 of 4 connected workers (worker-0, worker-1)"), "{why}");

    // When the breakers close, then it stays stopped until somebody releases it
    for worker in &workers {
        worker.say(Message::Breaker(Breaker::Closed.into())).await;
    }
    let told = |list: &contracts::killswitch::ListKillSwitchesResponse| {
        list.workers.iter().all(|worker| worker.breaker() == Breaker::Closed)
    };
    eventually("the breakers to be known as closed", async || {
        let request = contracts::killswitch::ListKillSwitchesRequest::default();
        told(service.client.clone().list_kill_switches(request).await.unwrap().get_ref())
    })
    .await;
    let switch = service.switch().await;
    assert_eq!(switch.state(), State::Engaged);
    assert_eq!(service.release("bob", switch.epoch).await.unwrap().state(), State::Released);
}
