//! Kill switches: engaging always works, releasing is considered.

use contracts::flag::{Admission, Reason};
use contracts::killswitch as pb;
use contracts::killswitch::kill_switch::State;
use contracts::killswitch::scope::Kind;
use softlaunch_tests::{House, ask};
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{BOB, FLAG, PIPELINE, Worker, answers, started, upload};

const EVIDENCE: &str = "https://wiki.example.com/errors-are-gone";

fn pipeline() -> pb::Scope {
    let pipeline = PIPELINE.to_owned();
    pb::Scope { kind: Kind::Pipeline.into(), pipeline, ..pb::Scope::default() }
}

fn engage(scope: pb::Scope) -> pb::EngageKillSwitchRequest {
    pb::EngageKillSwitchRequest { scope: Some(scope), reason: "errors rise".to_owned() }
}

fn release(epoch: i64) -> pb::ReleaseKillSwitchRequest {
    let reason = "errors are gone".to_owned();
    let evidence = EVIDENCE.to_owned();
    pb::ReleaseKillSwitchRequest { scope: Some(pipeline()), epoch, reason, evidence }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_without_a_reason_or_a_scope_is_refused() {
    let house = House::start().await;
    let silent = pb::EngageKillSwitchRequest { reason: String::new(), ..engage(pipeline()) };
    let long = pb::EngageKillSwitchRequest { reason: "é".repeat(1_001), ..engage(pipeline()) };
    let nowhere = pb::EngageKillSwitchRequest { scope: None, ..engage(pipeline()) };
    let unsaid = engage(pb::Scope { kind: 0, ..pipeline() });
    let unknown = engage(pb::Scope { kind: 77, ..pipeline() });
    let nobody = engage(pb::Scope { pipeline: String::new(), ..pipeline() });
    let no_phase = engage(pb::Scope { kind: Kind::Cohort.into(), ..pipeline() });
    let bomb = "a*b*c".to_owned();
    let bad_glob =
        pb::Scope { kind: Kind::Workspace.into(), workspace_pattern: bomb, ..pipeline() };
    for (call, says) in [
        (silent, ["reason", "is required"]),
        (long, ["reason", "1001 characters are too many"]),
        (nowhere, ["scope", "is required"]),
        (unsaid, ["scope.kind", "expected GLOBAL, PIPELINE, COHORT or WORKSPACE"]),
        (unknown, ["scope.kind", "expected GLOBAL, PIPELINE, COHORT or WORKSPACE"]),
        (nobody, ["scope.pipeline", "expected 1 to 63"]),
        (no_phase, ["scope.phase_id", "expected 1 to 63"]),
        (engage(bad_glob), ["scope.workspace_pattern", "once in the middle"]),
    ] {
        refused_field(&house, house.kills().engage_kill_switch(ask(BOB, call)), &says).await;
    }
    let just_right =
        pb::EngageKillSwitchRequest { reason: "é".repeat(1_000), ..engage(pipeline()) };
    house.kills().engage_kill_switch(ask(BOB, just_right)).await.expect("1,000 characters fit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_must_name_the_epoch_it_saw() {
    let house = House::start().await;
    let engaged = house.kills().engage_kill_switch(ask(BOB, engage(pipeline()))).await.unwrap();
    let epoch = engaged.into_inner().epoch;
    let blind = ask(BOB, release(0));
    refused_field(&house, house.kills().release_kill_switch(blind), &["epoch", "is required"])
        .await;
    let rule = (Code::Aborted, "EPOCH_MISMATCH");
    for stale in [epoch - 1, epoch + 1, 77].into_iter().filter(|epoch| *epoch > 0) {
        let call = ask(BOB, release(stale));
        let says = [stale.to_string(), epoch.to_string()];
        let says: Vec<_> = says.iter().map(String::as_str).collect();
        refused(&house, house.kills().release_kill_switch(call), rule, &says).await;
    }
    let silent = pb::ReleaseKillSwitchRequest { reason: String::new(), ..release(epoch) };
    refused_field(&house, house.kills().release_kill_switch(ask(BOB, silent)), &["reason"]).await;
    let released = house.kills().release_kill_switch(ask(BOB, release(epoch))).await.unwrap();
    assert_eq!(released.into_inner().state(), State::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn engaging_twice_changes_nothing() {
    let house = House::start().await;
    let first = house.kills().engage_kill_switch(ask(BOB, engage(pipeline()))).await.unwrap();
    let before = house.journals().await;
    let second = house.kills().engage_kill_switch(ask(BOB, engage(pipeline()))).await.unwrap();
    assert_eq!(first.into_inner(), second.into_inner());
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_from_the_future_ends_the_stream() {
    let house = House::start().await;
    let mut worker = Worker::connect(&house).await;
    worker.states.message().await.expect("the state comes first");
    worker.acknowledge(99).await;
    let refusal = loop {
        match worker.states.message().await {
            Ok(Some(_heartbeat)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(refusal.code(), Code::InvalidArgument);
    assert!(refusal.message().contains("99 is not an epoch so far: the newest is 0"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_must_begin_with_a_hello() {
    let house = House::start().await;
    for message in [
        None,
        Some(pb::watch_kill_switches_request::Message::Acknowledgement(
            pb::watch_kill_switches_request::Acknowledgement { epoch: 0 },
        )),
    ] {
        let first = tokio_stream::once(pb::WatchKillSwitchesRequest { message });
        let says = ["hello", "must come first"];
        refused_field(&house, house.kills().watch_kill_switches(first), &says).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_has_a_pipeline_and_a_bounded_wait() {
    let house = House::start().await;
    let drill = |pipeline: &str, seconds| {
        let timeout_duration = Some(prost_types::Duration { seconds, nanos: 0 });
        let (pipeline, reason) = (pipeline.to_owned(), String::new());
        ask(BOB, pb::RunDrillRequest { pipeline, timeout_duration, reason })
    };
    for (call, says) in [
        (drill("", 1), ["pipeline", "expected 1 to 63"]),
        (drill(PIPELINE, 61), ["timeout_duration", "0 to 60 s"]),
        (drill(PIPELINE, -1), ["timeout_duration", "0 to 60 s"]),
    ] {
        refused_field(&house, house.kills().run_drill(call), &says).await;
    }
    let nobody = house.kills().run_drill(drill(PIPELINE, 1)).await.unwrap().into_inner();
    assert!(!nobody.passed, "a drill without workers proves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_beats_the_allowlist_until_it_is_released() {
    let house = House::start().await;
    started(&house).await;
    let workspace = "internal-test-workspace";
    answers(&house, workspace, Reason::Allowlisted).await;
    let engaged = house.kills().engage_kill_switch(ask(BOB, engage(pipeline()))).await.unwrap();
    answers(&house, workspace, Reason::Killed).await;
    let admitted = house.admission().admit_upload(upload(FLAG, workspace, "u-1")).await.unwrap();
    let admitted = admitted.into_inner();
    assert_ne!(admitted.admission(), Admission::Admit);
    assert_eq!(admitted.kill_epoch, engaged.get_ref().epoch);
    let go_on = release(engaged.get_ref().epoch);
    house.kills().release_kill_switch(ask(BOB, go_on)).await.unwrap();
    answers(&house, workspace, Reason::Allowlisted).await;
}
