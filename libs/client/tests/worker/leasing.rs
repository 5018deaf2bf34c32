//! A permission is good for a time, counted from when it was asked for; a kill for ever.

use std::time::Duration;

use client::Breaker;
use contracts::killswitch::policy::OnStale;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::worker::Breaker as Told;
use contracts::killswitch::{Policy, WatchKillSwitchesResponse};
use test_kit::eventually;

use crate::kill_fake::{engaged, scope};
use crate::platform::{Platform, deferred};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(120);

pub(crate) fn policy(on_stale: OnStale, lease: Duration) -> Policy {
    Policy {
        lease_duration: lease.try_into().ok(),
        on_stale: on_stale.into(),
        static_duration_max: LONG.try_into().ok(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_renews_its_lease_before_it_is_over() {
    let platform = Platform::start().await;
    platform.kills.lease(policy(OnStale::FailClosed, SHORT));
    let worker = platform.informed_worker().await;
    eventually("it renews", async || platform.kills.talk().renewals > 10).await;
    eventually("it admits", async || !deferred(&worker, "ws-1").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_asks_for_no_lease_where_the_service_has_none_to_give() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    worker.breaker(Breaker::Open);
    platform.kills.say(1, Vec::new());
    platform.acknowledged(1).await;
    assert!(!deferred(&worker, "ws-1").await);
    assert_eq!(platform.kills.talk().renewals, 0);
    assert_eq!(platform.kills.talk().breakers, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_answers_no_renewal_extends_no_lease() {
    let platform = Platform::start().await;
    platform.kills.lease(policy(OnStale::FailClosed, SHORT));
    let worker = platform.informed_worker().await;
    eventually("it renews", async || platform.kills.talk().renewals > 1).await;
    platform.kills.answer_no_renewals();
    // Signs of life go on: a service that hears nothing any more must not keep a worker going.
    platform.kills.beat(Duration::from_millis(20));
    eventually("its lease is over", async || deferred(&worker, "ws-1").await).await;
    assert!(worker.kills().is_stale());
    let acknowledged = platform.kills.acknowledged().len();
    eventually("it still listens", async || {
        platform.kills.acknowledged().len() > acknowledged + 10
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn until_its_first_renewal_is_answered_nothing_goes_on() {
    let platform = Platform::start().await;
    platform.kills.answer_no_renewals();
    platform.kills.lease(policy(OnStale::FailStatic, LONG));
    platform.kills.say(3, Vec::new());
    let worker = platform.worker();
    platform.acknowledged(3).await;
    assert!(worker.kills().is_stale());
    assert!(deferred(&worker, "ws-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_the_plan_replaces_that_of_the_worker() {
    let platform = Platform::start().await;
    platform.kills.lease(policy(OnStale::FailStatic, SHORT));
    let some = contracts::killswitch::Scope {
        workspace_pattern: "eu-*".to_owned(),
        ..scope(Kind::Workspace)
    };
    platform.kills.say(1, vec![engaged(1, Some(some))]);
    let worker = platform.worker(); // It would fail closed, after two minutes.
    worker.kills().first_word().await;
    platform.kills.fall_silent();
    eventually("its lease is over", async || worker.kills().is_stale()).await;
    assert!(!deferred(&worker, "us-1").await, "what was known is kept");
    assert!(deferred(&worker, "eu-1").await, "a kill has no lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_kept_static_is_bounded() {
    let platform = Platform::start().await;
    let bound = Duration::from_millis(600).try_into().ok();
    let bounded = Policy { static_duration_max: bound, ..policy(OnStale::FailStatic, SHORT) };
    platform.kills.lease(bounded);
    let worker = platform.informed_worker().await;
    eventually("it admits", async || !deferred(&worker, "ws-1").await).await;
    platform.kills.fall_silent();
    eventually("the bound is reached", async || deferred(&worker, "ws-1").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_is_told_when_it_changes_and_after_a_reconnect() {
    let platform = Platform::start().await;
    platform.kills.lease(policy(OnStale::FailClosed, LONG));
    let worker = platform.informed_worker().await;
    let told = async |wanted: &[Told]| {
        eventually("it is told", async || platform.kills.talk().breakers == wanted).await;
    };
    worker.breaker(Breaker::Open);
    worker.breaker(Breaker::Open);
    told(&[Told::Open]).await;
    worker.breaker(Breaker::HalfOpen);
    told(&[Told::Open, Told::HalfOpen]).await;
    platform.kills.hang_up();
    told(&[Told::Open, Told::HalfOpen, Told::HalfOpen]).await;
    worker.breaker(Breaker::Closed);
    told(&[Told::Open, Told::HalfOpen, Told::HalfOpen, Told::Closed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_without_a_state_grants_nothing() {
    let platform = Platform::start().await;
    platform.kills.lease(policy(OnStale::FailClosed, LONG));
    platform.kills.respond(WatchKillSwitchesResponse::default());
    let worker = platform.worker();
    eventually("the worker listens", async || !platform.kills.hellos().is_empty()).await;
    platform.kills.hang_up(); // The stream ends behind the message: it has been read then.
    eventually("the worker comes back", async || platform.kills.hellos().len() > 1).await;
    assert!(worker.kills().is_stale());
    assert!(deferred(&worker, "ws-1").await);
}
