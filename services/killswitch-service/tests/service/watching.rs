//! What workers are told, and what is known of them.

use std::time::Duration;

use contracts::killswitch as pb;
use contracts::killswitch::policy::OnStale;
use test_kit::{RedisServer, eventually};

use crate::site::{DRILL_VALID_S, PIPELINE, Service, by, defaults, pipeline};

fn seconds(duration: Option<prost_types::Duration>) -> f64 {
    duration.map_or(-1.0, |one| Duration::try_from(one).unwrap().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_answered_with_its_number_and_the_policy_of_the_plan() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    let first = worker.hear().await;
    assert_eq!((first.renewed_sequence, seconds(first.policy.unwrap().lease_duration)), (0, 10.0));
    worker.renew(41).await;
    worker.renew(42).await;
    worker.hears(|heard| heard.renewed_sequence == 42).await;
    service.take_rules(60).await;
    let ruled = |heard: &pb::WatchKillSwitchesResponse| {
        seconds(heard.policy.as_ref().and_then(|policy| policy.lease_duration)) > 59.0
    };
    let heard = worker.hears(ruled).await;
    assert_eq!(heard.policy.unwrap().on_stale(), OnStale::FailClosed);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_applied_a_kill_is_named_until_its_lease_is_over() {
    // Given three workers, of which one is silent and one has gone
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    service.take_rules(5).await;
    let mut good = service.worker("good").await;
    let silent = service.worker("silent").await;
    let mut gone = service.worker("gone").await;
    gone.hear().await;
    drop(gone);

    // When a kill is applied by one of them
    let engaged = service.engage("bob").await;
    good.hears_of_kill().await;
    good.acknowledge(engaged.epoch).await;

    // Then it is said who has not, and when nobody can work on any more
    let spread = eventually("the acknowledgement", async || {
        let spread = service.spread().await;
        (spread.applied_count == 1).then_some(spread)
    })
    .await;
    assert_eq!((spread.epoch, spread.worker_count), (engaged.epoch, 3));
    let named = |spread: &pb::Propagation| {
        spread.pending.iter().map(|one| one.worker_id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(named(&spread), ["silent", "gone"]);
    assert!(spread.pending[0].connected && !spread.pending[1].connected, "{spread:?}");
    assert!(seconds(spread.apply_duration_max) >= seconds(spread.apply_duration_p50));
    let millis =
        |time: prost_types::Timestamp| time.seconds * 1_000 + i64::from(time.nanos / 1_000_000);
    let proof = millis(spread.proven_time.unwrap()) - millis(engaged.change_time.unwrap());
    assert!(proof >= 5_900, "{proof} ms: five of lease and one to be sure");
    eventually("the proof", async || service.spread().await.proven).await;
    let after = service.spread().await;
    assert_eq!((after.worker_count, named(&after)), (2, vec!["silent".to_owned()]));
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_scope_is_told_as_re_opening_until_everybody_goes_on() {
    let redis = RedisServer::start().await;
    let service = Service::over(&redis.url()).await;
    let mut worker = service.worker("worker-1").await;
    let engaged = service.engage("bob").await;
    worker.hears_of_kill().await;
    let released = service.release("bob", engaged.epoch).await.unwrap();
    let reopening = |heard: &pb::WatchKillSwitchesResponse| {
        heard.state.as_ref().is_some_and(|state| !state.reopening.is_empty())
    };
    let heard = worker.hears(reopening).await.state.unwrap();
    assert_eq!((heard.epoch, heard.engaged.len()), (released.epoch, 0));
    let one = &heard.reopening[0];
    assert_eq!((&one.scope, one.epoch), (&Some(pipeline()), released.epoch));
    assert!((59.9..60.1).contains(&seconds(one.ramp_duration)));
    assert!((0.0..60.0).contains(&seconds(one.elapsed_duration)));
    // A kill in between ends it.
    service.engage("eve").await;
    assert!(worker.hears_of_kill().await.reopening.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn drills_run_on_a_schedule_where_a_plan_has_spoken_and_workers_are_there() {
    let redis = RedisServer::start().await;
    let mut settings = defaults();
    settings.drill.every = "200ms".to_owned();
    let service = Service::with(&redis.url(), settings).await;
    service.take_rules(10).await;
    let request = pb::WatchKillSwitchEventsRequest { after_revision: 0 };
    let events = service.client.clone().watch_kill_switch_events(by("ada", request)).await;
    let mut events = events.unwrap().into_inner();
    let mut worker = service.worker("worker-1").await;
    tokio::spawn(async move {
        loop {
            let epoch = worker.hear().await.state.unwrap().epoch;
            worker.acknowledge(epoch).await;
        }
    });
    let drilled = loop {
        let event = events.message().await.unwrap().unwrap();
        if let Some(pb::watch_kill_switch_events_response::Event::Drill(drill)) = event.event {
            assert_eq!(event.actor, "system:drill");
            break drill;
        }
    };
    assert!(drilled.passed, "{drilled:?}");
    let (ended, expires) = (drilled.complete_time.unwrap(), drilled.expire_time.unwrap());
    assert_eq!(expires.seconds - ended.seconds, DRILL_VALID_S);
    assert_eq!((&*drilled.pipeline, drilled.applied_count), (PIPELINE, 1));
}
