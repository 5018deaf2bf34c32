//! Draining: what has begun is finished, nothing new begins, and the server ends.

use contracts::flag as pb;
use test_kit::eventually;

use crate::hosted::{Hosted, SLOW, STUBBORN, ask};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_flight_is_finished_and_new_ones_are_refused() {
    let mut hosted = Hosted::start().await;
    let (mut client, mut idle) = (hosted.client(), hosted.client());
    idle.evaluate_flag(ask("ws-1")).await.unwrap();
    let call = tokio::spawn(async move { client.evaluate_flag(ask(SLOW)).await });
    eventually("the call is being handled", async || hosted.stub.begun() == 2).await;
    hosted.trigger.shut_down();
    eventually("new calls are refused", async || {
        hosted.client().evaluate_flag(ask("ws-1")).await.is_err()
    })
    .await;
    eventually("an open connection takes none either", async || {
        idle.evaluate_flag(ask("ws-1")).await.is_err()
    })
    .await;
    assert!(!hosted.serving.is_finished(), "it waits for the call in flight");
    hosted.stub.go_on();
    call.await.unwrap().unwrap();
    (&mut hosted.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_is_told_and_ends() {
    let mut hosted = Hosted::start().await;
    let mut stream = hosted
        .client()
        .watch_ruleset(pb::WatchRulesetRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    hosted.trigger.shut_down();
    assert_eq!(stream.message().await.unwrap(), None);
    (&mut hosted.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_end_holds_the_server_for_the_grace_and_no_longer() {
    let mut hosted = Hosted::start().await;
    let request = pb::WatchRulesetRequest { after_revision: STUBBORN };
    let mut stream = hosted.client().watch_ruleset(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    hosted.trigger.shut_down();
    eventually("the server ends", async || hosted.serving.is_finished()).await;
    (&mut hosted.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_trigger_is_a_request_to_end() {
    let (trigger, mut shutdown) = service_kit::shutdown::channel();
    let copy = shutdown.clone();
    drop(trigger);
    shutdown.wait().await;
    copy.wait_owned().await;
}
