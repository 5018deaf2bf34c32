//! A worker stops when it is told to, and when nobody tells it anything.

use std::time::Duration;

use client::{Admission, Client, Policy};
use contracts::killswitch::scope::Kind;
use contracts::killswitch::{KillState, Reopening, Scope, WatchKillSwitchesResponse};
use test_kit::eventually;

use crate::kill_fake::{engaged, scope};
use crate::platform::{Platform, deferred, upload, workspace};

const SHORT: Duration = Duration::from_millis(300);
const CLOSED: Policy = Policy { stale_after: SHORT, fail_closed: true };
const STATIC: Policy = Policy { stale_after: SHORT, fail_closed: false };

async fn admit(worker: &Client, id: &str) -> Admission {
    worker.admit(&workspace(id), &upload("u-1"), 1_024).await
}

#[tokio::test(flavor = "multi_thread")]
async fn until_the_first_word_everything_is_deferred_and_nobody_is_asked() {
    let platform = Platform::start().await;
    let worker = platform.worker();
    eventually("the worker listens", async || platform.kills.hellos().len() == 1).await;
    assert!(deferred(&worker, "ws-1").await);
    assert_eq!(platform.flags.asked(), []);
    platform.kills.say(0, Vec::new());
    worker.kills().first_word().await;
    assert_eq!(admit(&worker, "ws-1").await, Admission::Admit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_introduces_itself() {
    let platform = Platform::start().await;
    let _worker = platform.worker();
    eventually("the worker listens", async || platform.kills.hellos().len() == 1).await;
    let hello = platform.kills.hellos().remove(0);
    assert_eq!((hello.worker_id.as_str(), hello.epoch), ("worker-1", 0));
    assert_eq!(hello.pipeline, "ingestion_v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_obeyed_acknowledged_and_lifted_by_its_release_only() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    assert_eq!(admit(&worker, "ws-1").await, Admission::Admit);
    platform.kills.say(1, vec![engaged(1, Some(scope(Kind::Pipeline)))]);
    platform.acknowledged(1).await;
    let asked = platform.flags.asked().len();
    assert!(deferred(&worker, "ws-1").await);
    assert_eq!(platform.flags.asked().len(), asked, "a killed worker does not ask");
    platform.kills.say(2, Vec::new());
    platform.acknowledged(2).await;
    assert_eq!(admit(&worker, "ws-1").await, Admission::Admit);
    assert_eq!(platform.kills.acknowledged(), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_stops_what_its_scope_covers() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    let some = Scope { workspace_pattern: "eu-*".to_owned(), ..scope(Kind::Workspace) };
    let other = Scope { pipeline: "billing".to_owned(), ..scope(Kind::Pipeline) };
    platform.kills.say(2, vec![engaged(1, Some(some)), engaged(2, Some(other))]);
    platform.acknowledged(2).await;
    assert!(deferred(&worker, "eu-1").await);
    assert_eq!(admit(&worker, "us-1").await, Admission::Admit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_a_cohort_is_left_to_the_service_which_knows_the_phase() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    let cohort = Scope { phase_id: "P1".to_owned(), ..scope(Kind::Cohort) };
    platform.kills.say(1, vec![engaged(1, Some(cohort))]);
    platform.acknowledged(1).await;
    assert_eq!(admit(&worker, "ws-1").await, Admission::Admit);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_scope_goes_on_bit_by_bit_and_nobody_goes_back() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    let hour = prost_types::Duration { seconds: 3_600, nanos: 0 };
    let say = async |epoch, elapsed_s| {
        let one = Reopening {
            scope: Some(scope(Kind::Pipeline)),
            epoch: 2,
            elapsed_duration: Some(prost_types::Duration { seconds: elapsed_s, nanos: 0 }),
            ramp_duration: Some(hour),
        };
        platform.kills.say_state(KillState { epoch, engaged: Vec::new(), reopening: vec![one] });
        platform.acknowledged(epoch).await;
        let mut open = Vec::new();
        for number in 0..40 {
            let id = format!("ws-{number}");
            if !deferred(&worker, &id).await {
                open.push(id);
            }
        }
        open
    };
    assert_eq!(say(2, 0).await, Vec::<String>::new(), "nobody has waited long enough");
    let half = say(3, 1_800).await;
    assert!((8..=32).contains(&half.len()), "{half:?}");
    let later = say(4, 2_700).await;
    assert!(half.iter().all(|id| later.contains(id)) && later.len() > half.len());
    assert_eq!(say(5, 3_600).await.len(), 40, "everybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_does_not_read_is_the_widest() {
    let unreadable = [
        None,
        Some(Scope::default()),
        Some(Scope { kind: 77, ..scope(Kind::Pipeline) }),
        Some(Scope { pipeline: "a b".to_owned(), ..scope(Kind::Pipeline) }),
        Some(Scope { workspace_pattern: "a*b*c".to_owned(), ..scope(Kind::Workspace) }),
    ];
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    for (index, scope) in (1_i64..).zip(unreadable) {
        platform.kills.say(2 * index, vec![engaged(2 * index, scope)]);
        platform.acknowledged(2 * index).await;
        assert!(deferred(&worker, "ws-1").await);
        platform.kills.say(2 * index + 1, Vec::new());
        platform.acknowledged(2 * index + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_epoch_is_never_applied() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    platform.kills.say(5, vec![engaged(5, Some(scope(Kind::Global)))]);
    platform.acknowledged(5).await;
    platform.kills.say(4, Vec::new());
    platform.acknowledged(4).await; // It says what it was sent, not that it forgot the newer.
    assert!(deferred(&worker, "ws-1").await);
    assert_eq!(worker.kills().epoch(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_same_epoch_a_kill_is_not_forgotten() {
    let platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    platform.kills.say(5, vec![engaged(5, Some(scope(Kind::Global)))]);
    platform.acknowledged(5).await;
    platform.kills.say(5, Vec::new());
    let twice = async || platform.kills.acknowledged().iter().filter(|one| **one == 5).count() == 2;
    eventually("the second is acknowledged", twice).await;
    assert!(deferred(&worker, "ws-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_state_does_not_say_that_nothing_is_killed() {
    let platform = Platform::start().await;
    platform.kills.respond(WatchKillSwitchesResponse { heartbeat: true, ..Default::default() });
    let worker = platform.worker();
    eventually("the worker listens", async || !platform.kills.hellos().is_empty()).await;
    platform.kills.hang_up(); // The stream ends behind the message: it has been read then.
    eventually("the worker comes back", async || platform.kills.hellos().len() > 1).await;
    assert!(worker.kills().is_stale());
    assert!(deferred(&worker, "ws-1").await);
    assert_eq!(platform.kills.acknowledged(), Vec::<i64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_closes_a_worker_that_fails_closed_and_a_word_opens_it() {
    let platform = Platform::start().await;
    platform.kills.say(0, Vec::new());
    let worker = platform.worker_with(CLOSED);
    eventually("it admits", async || !deferred(&worker, "ws-1").await).await;
    platform.kills.fall_silent();
    eventually("it defers", async || deferred(&worker, "ws-1").await).await;
    assert!(worker.kills().is_stale());
    platform.kills.say(0, Vec::new());
    eventually("it admits again", async || !deferred(&worker, "ws-1").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_leaves_a_worker_that_fails_static_as_it_was() {
    let platform = Platform::start().await;
    let some = Scope { workspace_pattern: "eu-*".to_owned(), ..scope(Kind::Workspace) };
    platform.kills.say(1, vec![engaged(1, Some(some))]);
    let worker = platform.worker_with(STATIC);
    worker.kills().first_word().await;
    platform.kills.fall_silent();
    eventually("silence is noticed", async || worker.kills().is_stale()).await;
    assert_eq!(admit(&worker, "us-1").await, Admission::Admit);
    assert!(deferred(&worker, "eu-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_fails_static_has_to_hear_something_first() {
    let platform = Platform::start().await;
    let worker = platform.worker_with(STATIC);
    eventually("it tries again", async || platform.kills.hellos().len() > 1).await;
    assert!(deferred(&worker, "ws-1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_comes_back_with_the_epoch_it_holds() {
    let mut platform = Platform::start().await;
    let worker = platform.informed_worker().await;
    platform.kills.say(7, vec![engaged(7, Some(scope(Kind::Global)))]);
    platform.acknowledged(7).await;
    platform.kills.fall_silent();
    platform.kills.hang_up();
    eventually("it is back", async || platform.kills.hellos().len() == 2).await;
    assert_eq!(platform.kills.hellos()[1].epoch, 7);
    assert!(deferred(&worker, "ws-1").await, "lost contact lifts no kill");
    platform.stop().await;
    assert!(deferred(&worker, "ws-1").await);
    platform.start_again().await;
    platform.kills.say(8, Vec::new());
    eventually("it admits", async || !deferred(&worker, "ws-1").await).await;
    assert_eq!(worker.kills().epoch(), 8);
}
