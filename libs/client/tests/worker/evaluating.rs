//! A worker evaluates for itself, from what the service sent it last.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Attribute, Context, EvaluationError, FlagOptions, FlagWatch, KillWatch, Reason, Source,
    WatchOptions,
};
use contracts::flag as pb;
use contracts::flag::watch_ruleset_response::Update;
use contracts::killswitch::scope::Kind;
use test_kit::eventually;
use tonic::Status;

use crate::kill_fake::{engaged, scope};
use crate::platform::{FLAG, PATIENT, PIPELINE, Platform, workspace};

/// Longer than any test: three missed ones are not waited for.
pub(crate) const RARELY: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_millis(100);

pub(crate) async fn watch(
    platform: &Platform,
    heartbeat: Duration,
    file: Option<&Path>,
) -> Arc<FlagWatch> {
    let address = format!("http://{}", platform.address);
    let options = WatchOptions {
        worker_id: "worker-1".to_owned(),
        pipeline: PIPELINE.to_owned(),
        policy: PATIENT,
        trust_max: None,
        state_file: None,
        credentials: client::Credentials::default(),
    };
    let kills = KillWatch::start(&address, options).expect("it is an address");
    platform.kills.say(0, Vec::new());
    let state_file = file.map(Path::to_owned);
    // A call waits for a busy machine.
    let call_timeout = Duration::from_secs(20);
    let options = FlagOptions { heartbeat, state_file, call_timeout, ..FlagOptions::default() };
    let flags = FlagWatch::start(&address, Arc::clone(&kills), options).expect("it is an address");
    kills.first_word().await;
    flags
}

pub(crate) fn context(id: &str) -> Context {
    Context::new(workspace(id))
}

/// On for `listed`, and for nobody else.
pub(crate) fn flag(revision: i64, listed: &str) -> pb::Flag {
    pb::Flag {
        name: format!("flags/{FLAG}"),
        pipeline: PIPELINE.to_owned(),
        definition: Some(pb::FlagDefinition {
            enabled: true,
            allowlist: vec![listed.to_owned()],
            ..pb::FlagDefinition::default()
        }),
        phase_id: "P1".to_owned(),
        revision,
        ..pb::Flag::default()
    }
}

fn unreadable(revision: i64) -> pb::Flag {
    let mut flag = flag(revision, "ws-1");
    let definition = flag.definition.as_mut().expect("it has one");
    definition.percentage_basis_points = 20_000;
    flag
}

pub(crate) fn snapshot(history: &str, revision: i64, flags: Vec<pb::Flag>) -> Update {
    let history = history.to_owned();
    Update::Snapshot(pb::RulesetSnapshot { revision, flags, history, ..Default::default() })
}

fn beat(revision: i64) -> Update {
    Update::Heartbeat(pb::RulesetHeartbeat { revision, ..Default::default() })
}

fn on_by_rpc() -> pb::EvaluateFlagResponse {
    pb::EvaluateFlagResponse {
        enabled: true,
        reason: pb::Reason::Percentage.into(),
        revision: 9,
        variant: "on".to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn on(flags: &FlagWatch, id: &str) -> bool {
    let details = flags.boolean(FLAG, false, &context(id)).await;
    assert_eq!(details.error, None);
    details.value
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_evaluates_for_itself_and_asks_nobody() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(2, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    let found = flags.evaluate(FLAG, &context("ws-1")).await.unwrap();
    assert_eq!((found.enabled, found.reason), (true, Reason::Allowlisted));
    assert_eq!((found.variant.as_deref(), found.revision), (Some("on"), 2));
    assert_eq!((found.source, found.stale), (Source::InProcess, false));
    assert!(!on(&flags, "ws-2").await);
    assert_eq!(flags.revision(), Some(3));
    let missing = flags.evaluate("no-such", &context("ws-1")).await;
    assert_eq!(missing, Err(EvaluationError::FlagNotFound("no-such".to_owned())));
    assert_eq!(platform.flags.questions(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_its_phase_stops_a_flag_here_as_well() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(2, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    assert!(on(&flags, "ws-1").await);
    for (epoch, phase, killed) in [(1, "P2", false), (2, "P1", true)] {
        let cohort = pb_scope(phase);
        platform.kills.say(epoch, vec![engaged(epoch, Some(cohort))]);
        platform.acknowledged(epoch).await;
        let found = flags.evaluate(FLAG, &context("ws-1")).await.unwrap();
        assert_eq!((found.reason == Reason::Killed, found.enabled), (killed, !killed));
    }
}

fn pb_scope(phase: &str) -> contracts::killswitch::Scope {
    contracts::killswitch::Scope { phase_id: phase.to_owned(), ..scope(Kind::Cohort) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_revision_is_never_applied_and_leaves_the_flags_stale() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 7, vec![flag(7, "new")])]);
    let flags = watch(&platform, OFTEN, None).await;
    flags.first_word().await;
    let other = pb::Flag { name: "flags/other".to_owned(), ..flag(8, "ws-3") };
    eventually("what comes after it is applied", async || {
        platform.flags.say(&Update::Change(flag(6, "old")));
        platform.flags.say(&Update::Change(other.clone()));
        flags.revision() == Some(8)
    })
    .await;
    assert!(on(&flags, "new").await && !on(&flags, "old").await);
    // A replica that has not caught up, of a service that was restarted.
    platform.flags.greet(vec![snapshot("h", 5, vec![flag(5, "old")])]);
    let begun = platform.flags.watched();
    platform.flags.hang_up();
    eventually("it listens to that one", async || platform.flags.watched() > begun).await;
    eventually("nothing confirms the flags", async || {
        platform.flags.say(&beat(5));
        flags.is_stale()
    })
    .await;
    assert!(on(&flags, "new").await && !on(&flags, "old").await);
    assert_eq!(flags.revision(), Some(8));
    // It catches up: everything is asked for again.
    platform.flags.greet(vec![snapshot("h", 9, vec![flag(9, "newest")])]);
    eventually("the newest is applied", async || {
        platform.flags.say(&beat(9));
        flags.revision() == Some(9)
    })
    .await;
    assert!(on(&flags, "newest").await && !on(&flags, "new").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_history_replaces_what_is_held() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 7, vec![flag(7, "before")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    platform.flags.greet(vec![snapshot("another", 2, vec![flag(2, "after")])]);
    platform.flags.hang_up();
    eventually("it is replaced", async || flags.revision() == Some(2)).await;
    assert!(on(&flags, "after").await && !on(&flags, "before").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_falls_silent_leaves_answers_stale_and_is_called_again() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 7, vec![flag(7, "ws-1")])]);
    let flags = watch(&platform, OFTEN, None).await;
    flags.first_word().await;
    platform.flags.greet(Vec::new()); // It takes calls, and says nothing any more.
    let begun = platform.flags.watched();
    eventually("three heartbeats are missed", async || flags.is_stale()).await;
    assert!(flags.staleness().is_some_and(|silence| silence > OFTEN * 3));
    let found = flags.evaluate(FLAG, &context("ws-1")).await.unwrap();
    assert!(found.stale && found.enabled && found.source == Source::InProcess);
    eventually("it calls again", async || platform.flags.watched() > begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_flags_the_service_is_asked() {
    let platform = Platform::start().await;
    platform.flags.evaluate(Ok(on_by_rpc()));
    let flags = watch(&platform, RARELY, None).await;
    let asked = context("ws-1").with("tier", Attribute::Text("gold".to_owned())).unwrap();
    let found = flags.evaluate(FLAG, &asked).await.unwrap();
    assert_eq!((found.enabled, found.reason), (true, Reason::Percentage));
    assert_eq!((found.revision, found.source), (9, Source::Service));
    assert!(flags.boolean(FLAG, false, &asked).await.value);
    let question = platform.flags.questions().remove(0);
    assert_eq!((question.name, question.workspace_id), (format!("flags/{FLAG}"), "ws-1".into()));
    assert!(question.attributes.unwrap().fields.contains_key("tier"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_the_worker_does_not_know_is_off() {
    let platform = Platform::start().await;
    let unknown = pb::EvaluateFlagResponse { reason: 77, ..on_by_rpc() };
    platform.flags.evaluate(Ok(unknown));
    let flags = watch(&platform, RARELY, None).await;
    assert!(!flags.boolean(FLAG, true, &context("ws-1")).await.value);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_answers_the_default_is_returned_and_why() {
    let mut platform = Platform::start().await;
    let flags = watch(&platform, RARELY, None).await;
    platform.stop().await;
    for default in [true, false] {
        let details = flags.boolean(FLAG, default, &context("ws-1")).await;
        assert_eq!((details.value, details.reason, details.stale), (default, "ERROR", true));
        assert_eq!(details.error.unwrap().code(), "PROVIDER_NOT_READY");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_the_worker_cannot_read_is_left_to_the_service_or_to_the_last_good_one() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(3, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    platform.flags.say(&Update::Change(unreadable(4)));
    eventually("it is heard of", async || flags.revision() == Some(4)).await;
    platform.flags.evaluate(Err(Status::unavailable("away")));
    let found = flags.evaluate(FLAG, &context("ws-1")).await.unwrap();
    assert_eq!((found.source, found.revision, found.stale), (Source::InProcess, 3, true));
    platform.flags.evaluate(Ok(on_by_rpc()));
    let found = flags.evaluate(FLAG, &context("ws-1")).await.unwrap();
    assert_eq!((found.source, found.revision), (Source::Service, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_than_the_flag_has_is_an_error_and_the_default() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(3, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    let details = flags.string(FLAG, "mine".to_owned(), &context("ws-1")).await;
    assert_eq!((details.value.as_str(), details.reason), ("mine", "ERROR"));
    let error = details.error.unwrap();
    assert_eq!(error.code(), "TYPE_MISMATCH");
    assert!(error.to_string().contains("boolean"), "{error}");
}

#[tokio::test]
async fn a_boolean_answer_allocates_nothing() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(3, "ws-1")])]);
    let flags = watch(&platform, RARELY, None).await;
    flags.first_word().await;
    let tier = Attribute::Text("free".to_owned());
    let listed = context("ws-1").with("tier", tier).unwrap();
    let unlisted = context("ws-2");
    assert!(on(&flags, "ws-1").await); // A thread's first look registers it.
    let ask = || {
        use std::task::{Context as Waker, Poll};
        let mut noop = Waker::from_waker(std::task::Waker::noop());
        for (context, expected) in [(&listed, true), (&unlisted, false)] {
            let answer = std::pin::pin!(flags.boolean(FLAG, !expected, context));
            let Poll::Ready(details) = answer.poll(&mut noop) else { panic!("nobody is asked") };
            assert_eq!((details.value, details.error), (expected, None));
        }
    };
    let seen = allocation_counter::measure(|| (0..1_000).for_each(|_| ask()));
    assert_eq!(seen.count_total, 0, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_no_older_revision_than_was_kept() {
    let (dir, platform) = (tempfile::tempdir().unwrap(), Platform::start().await);
    let file = dir.path().join("worker-1.flags");
    platform.flags.greet(vec![snapshot("h", 7, vec![flag(7, "new")])]);
    let first = watch(&platform, RARELY, Some(&file)).await;
    eventually("the flags are kept", async || file.exists()).await;
    drop(first);
    platform.flags.greet(vec![snapshot("h", 5, vec![flag(5, "old")])]);
    let begun = platform.flags.watched();
    let again = watch(&platform, OFTEN, Some(&file)).await;
    eventually("it listens", async || platform.flags.watched() > begun + 1).await;
    assert_eq!((again.revision(), again.is_stale(), again.staleness()), (Some(7), true, None));
    assert!(on(&again, "new").await && !on(&again, "old").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_evaluates_under_its_own_kill_switch() {
    let platform = Platform::start().await;
    platform.flags.greet(vec![snapshot("h", 3, vec![flag(2, "ws-1")])]);
    let worker = platform.informed_worker().await;
    let options = FlagOptions { heartbeat: RARELY, ..FlagOptions::default() };
    let flags = worker.watch_flags(options).unwrap();
    flags.first_word().await;
    assert!(on(&flags, "ws-1").await);
    platform.kills.say(1, vec![engaged(1, Some(scope(Kind::Global)))]);
    platform.acknowledged(1).await;
    assert!(!on(&flags, "ws-1").await);
}
