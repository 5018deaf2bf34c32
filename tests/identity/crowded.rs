//! Too many calls: of one caller, and of all together.

use service_kit::access::{Access, Noun};
use softlaunch_tests::{Guarded, Guards, entry};
use test_kit::eventually;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::call::{bearer, call, channel};

const LIST: &str = "/softlaunch.killswitch.v1.KillSwitchService/ListKillSwitches";
const ENGAGE: &str = "/softlaunch.killswitch.v1.KillSwitchService/EngageKillSwitch";
const WATCH: &str = "/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitches";
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const CROWD: usize = 100;

async fn crowd(line: &Channel, path: &'static str, token: &str) -> Vec<Status> {
    let mut calls = JoinSet::new();
    for _one in 0..CROWD {
        let (line, token) = (line.clone(), bearer(token));
        calls.spawn(async move { call(&line, path, Some(&token)).await });
    }
    calls.join_all().await.into_iter().filter_map(|answer| answer.status).collect()
}

fn refused_for(all: &[Status], reason: &str) -> usize {
    let limited = all.iter().filter(|status| status.code() == Code::ResourceExhausted);
    limited
        .filter(|status| {
            let details = status.get_error_details();
            let waits = details.retry_info().is_some_and(|retry| retry.retry_delay.is_some());
            waits && details.error_info().is_some_and(|info| info.reason == reason)
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_calls_too_often_is_slowed_down_and_nobody_else_is_and_no_stop_is() {
    let house = Guarded::start(Guards { calls_per_second: 5, ..Guards::default() }).await;
    let ada = house.add(entry("ada", &[Access::Operator], &[]));
    let ada_again = house.add(entry("ada", &[Access::Operator], &[]));
    let bob = house.add(entry("bob", &[Access::Viewer], &[]));
    let line = channel(&house, Noun::Killswitch, &house.credentials(None, None));
    eventually("bob is known", async || {
        call(&line, LIST, Some(&bearer(&bob))).await.code() == Code::Ok
    })
    .await;

    // When ada lists a hundred times, then most of that is refused, and other tokens do not help her
    let refused = refused_for(&crowd(&line, LIST, &ada).await, "RATE_LIMITED");
    assert!(refused > CROWD / 2, "{refused}");
    let refused = refused_for(&crowd(&line, LIST, &ada_again).await, "RATE_LIMITED");
    assert!(refused > CROWD / 2, "{refused}");

    // And bob is let in, and so is every stop of ada's
    eventually("bob is let in", async || {
        call(&line, LIST, Some(&bearer(&bob))).await.code() == Code::Ok
    })
    .await;
    let stops = crowd(&line, ENGAGE, &ada).await;
    assert_eq!(refused_for(&stops, "RATE_LIMITED"), 0);
    assert!(stops.iter().any(|status| status.code() == Code::InvalidArgument), "{stops:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_room_for_nothing_else_work_is_still_stopped() {
    // Given a service that is full to the brim
    let house = Guarded::start(Guards { calls_max: 0, ..Guards::default() }).await;
    let ada = house.add(entry("ada", &[Access::Operator, Access::Worker], &[]));
    let line = channel(&house, Noun::Killswitch, &house.credentials(None, None));
    let code = async |path: &str| call(&line, path, Some(&bearer(&ada))).await.code();
    eventually("ada is known", async || code(LIST).await == Code::ResourceExhausted).await;

    // Then a stop gets through to where its empty request is read, and so does who hears of it
    assert_eq!(code(ENGAGE).await, Code::InvalidArgument);
    assert_eq!(code(WATCH).await, Code::InvalidArgument);
    assert_eq!(code(HEALTH).await, Code::Ok);

    // And whoever shows nothing is told so, full or not
    assert_eq!(call(&line, LIST, None).await.code(), Code::Unauthenticated);
}
