//! Kill switches: engaging always works, releasing is considered.

use contracts::flag::{Admission, Reason};
use contracts::killswitch as pb;
use contracts::killswitch::kill_switch::State;
use contracts::killswitch::scope::Kind;
use softlaunch_tests::{House, ask};
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{ADA, BOB, FLAG, PIA, PIPELINE, Worker, answers, started, upload};

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
    let asked = house.kills().release_kill_switch(ask(BOB, go_on.clone())).await.unwrap();
    assert_eq!(asked.get_ref().state(), State::Engaged, "the plan wants a second person");
    answers(&house, workspace, Reason::Killed).await;
    house.kills().release_kill_switch(ask(ADA, go_on)).await.unwrap();
    answers(&house, workspace, Reason::Allowlisted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_shows_by_an_address_that_the_resume_criterion_is_met() {
    let house = House::start().await;
    let engaged = house.kills().engage_kill_switch(ask(BOB, engage(pipeline()))).await.unwrap();
    let with = |evidence: &str| {
        let evidence = evidence.to_owned();
        ask(BOB, pb::ReleaseKillSwitchRequest { evidence, ..release(engaged.get_ref().epoch) })
    };
    let long = format!("https://wiki.example.com/{}", "x".repeat(2_000));
    for (evidence, says) in [
        ("", ["evidence", "is required"]),
        ("it is fine", ["evidence", "not an http or https address"]),
        ("ftp://wiki.example.com", ["evidence", "not an http or https address"]),
        ("https:// x", ["evidence", "not an http or https address"]),
        (&long, ["evidence", "expected at most 2000"]),
    ] {
        refused_field(&house, house.kills().release_kill_switch(with(evidence)), &says).await;
    }
    let released = house.kills().release_kill_switch(with(EVIDENCE)).await.unwrap().into_inner();
    assert_eq!((released.state(), released.evidence.as_str()), (State::Released, EVIDENCE));
    assert_eq!(
        (released.durability(), &*released.survives),
        (pb::Durability::Stored, "power-loss")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_who_asked_for_a_release_cannot_confirm_it() {
    // Given a rollout whose plan wants two persons, and a kill that one of them wants released
    let house = House::start().await;
    started(&house).await;
    let engaged = house.kills().engage_kill_switch(ask(BOB, engage(pipeline()))).await.unwrap();
    let go_on = release(engaged.get_ref().epoch);
    let asked = house.kills().release_kill_switch(ask(BOB, go_on.clone())).await.unwrap();
    let pending = asked.get_ref().pending_release.as_ref().expect("it waits for another person");
    assert_eq!((&*pending.actor, &*pending.evidence), ("bob", EVIDENCE));
    assert_eq!(asked.get_ref().epoch, engaged.get_ref().epoch);

    // When the same person asks again, then they are refused
    let mut kills = house.kills();
    let again = kills.release_kill_switch(ask(BOB, go_on.clone()));
    let rule = (Code::FailedPrecondition, "SECOND_PERSON_REQUIRED");
    refused(&house, again, rule, &["bob", "second person"]).await;

    // When somebody engages it in between, then the asking is over and its epoch stale
    let kept = house.kills().engage_kill_switch(ask(PIA, engage(pipeline()))).await.unwrap();
    assert_eq!(kept.get_ref().pending_release, None);
    let mut kills = house.kills();
    let stale = kills.release_kill_switch(ask(ADA, go_on));
    let says = [kept.get_ref().epoch.to_string()];
    refused(&house, stale, (Code::Aborted, "EPOCH_MISMATCH"), &[&says[0]]).await;

    // and everything, which every pipeline is part of, takes two as well
    let global = pb::Scope { kind: Kind::Global.into(), ..pb::Scope::default() };
    let all = house.kills().engage_kill_switch(ask(BOB, engage(global.clone()))).await.unwrap();
    let go_on =
        pb::ReleaseKillSwitchRequest { scope: Some(global), ..release(all.get_ref().epoch) };
    let first = house.kills().release_kill_switch(ask(BOB, go_on.clone())).await.unwrap();
    assert_eq!(first.get_ref().state(), State::Engaged);
    let second = house.kills().release_kill_switch(ask(ADA, go_on)).await.unwrap();
    assert_eq!(second.get_ref().state(), State::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_that_matches_nobody_is_taken_and_stops_nobody() {
    let house = House::start().await;
    started(&house).await;
    let pattern = "nobody-has-this-name-*".to_owned();
    let scope =
        pb::Scope { kind: Kind::Workspace.into(), workspace_pattern: pattern, ..pipeline() };
    let engaged = house.kills().engage_kill_switch(ask(BOB, engage(scope))).await.unwrap();
    assert_eq!(engaged.get_ref().state(), State::Engaged);
    answers(&house, "internal-test-workspace", Reason::Allowlisted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_epochs_that_cannot_be_are_refused() {
    let house = House::start().await;
    let rules = |change: fn(&mut pb::Rules)| {
        let lease_duration = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        let policy = Some(pb::Policy { lease_duration, ..pb::Policy::default() });
        let pipeline = PIPELINE.to_owned();
        let mut rules = pb::Rules { pipeline, generation: 1, policy, ..pb::Rules::default() };
        change(&mut rules);
        ask(BOB, pb::ApplyKillSwitchRulesRequest { rules: Some(rules) })
    };
    for (call, says) in [
        (ask(BOB, pb::ApplyKillSwitchRulesRequest { rules: None }), ["rules", "is required"]),
        (rules(|rules| rules.pipeline.clear()), ["rules.pipeline", "expected 1 to 63"]),
        (rules(|rules| rules.generation = 0), ["rules.generation", "1 or more"]),
        (rules(|rules| rules.policy = None), ["rules.policy.lease_duration", "is required"]),
    ] {
        refused_field(&house, house.kills().apply_kill_switch_rules(call), &says).await;
    }
    for (epoch, says) in [(1, "the newest is 0"), (-1, "-1 is not an epoch so far")] {
        let call = ask(BOB, pb::GetPropagationRequest { epoch });
        refused_field(&house, house.kills().get_propagation(call), &["epoch", says]).await;
    }
    for (epoch, says) in [((1 << 32) + 1, "cannot be"), (-1, "is negative")] {
        let worker_id = "liar".to_owned();
        let hello = pb::watch_kill_switches_request::Hello {
            worker_id,
            pipeline: PIPELINE.to_owned(),
            epoch,
            engaged: Vec::new(),
        };
        let message = Some(pb::watch_kill_switches_request::Message::Hello(hello));
        let first = tokio_stream::once(pb::WatchKillSwitchesRequest { message });
        let says = ["hello.epoch", says];
        refused_field(&house, house.kills().watch_kill_switches(first), &says).await;
    }
}
