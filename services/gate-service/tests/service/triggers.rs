//! Triggers: watched in every state, decided once, streamed with their evidence.

use contracts::gate as pb;
use contracts::gate::incident::{Kind as Incident, State};
use contracts::gate::signal::Kind;
use test_kit::eventually;

use crate::site::{ROLLOUT, Site, incident, next, plan};

const OVER_10: &str = "rollouts/ingestion-v2/triggers/error-rate-over-10";

fn fired(event: &pb::TriggerEvent) -> bool {
    event.state() == pb::TriggerState::Fired && event.kind() == pb::TriggerKind::Trigger
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_errors_fires_once_with_its_evidence_and_the_cursor_goes_on_behind_it() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let mut events = site.watch(0).await;
    site.uploads("few", 3, 1).await;
    let of_rate = |event: &pb::TriggerEvent| event.trigger == OVER_10;
    let (_, warned) = next(&mut events, of_rate).await;
    assert_eq!(warned.state(), pb::TriggerState::Warned, "a quarter of four proves nothing");
    site.uploads("burst", 30, 30).await;
    let (revision, event) = next(&mut events, |event| of_rate(event) && fired(event)).await;
    assert_eq!(event.action(), pb::TriggerAction::PausePhase);
    assert_eq!((event.rollout.as_str(), event.phase_generation), (ROLLOUT, 1));
    let evidence = event.evidence.expect("a firing has evidence");
    assert_eq!((evidence.metric.as_str(), evidence.sample_count), ("error_rate", 64));
    assert_eq!(evidence.value, "48.43% (31 of 64)");
    assert!(evidence.interval_low_ppm > Some(100_000), "{evidence:?}");

    site.uploads("more", 0, 30).await;
    site.send("p1", vec![incident("INC-1", Incident::P1, State::Declared)]).await;
    let mut again = site.watch(revision).await;
    let (_, other) = next(&mut again, fired).await;
    let id = format!("{ROLLOUT}/triggers/p1-incident/incidents/INC-1");
    assert_eq!(other.trigger, id, "nothing fires twice, and nothing is told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_incident_asks_for_its_own_action_and_says_whether_clients_feel_it() {
    let site = Site::new().await;
    site.enter("P2", 1, 1_000, &plan(&[])).await;
    let mut events = site.watch(0).await;
    for (kind, action) in [
        (Incident::P1, pb::TriggerAction::PausePhase),
        (Incident::DataIntegrity, pb::TriggerAction::GlobalPause),
        (Incident::DataCorruption, pb::TriggerAction::RollbackToFirst),
        (Incident::ClientReportedDataLoss, pb::TriggerAction::RollbackToFirst),
    ] {
        let id = format!("INC-{}", i32::from(kind));
        site.send(&id, vec![incident(&id, kind, State::Declared)]).await;
        let (_, event) = next(&mut events, fired).await;
        assert_eq!(event.action(), action, "{event:?}");
        let told = event.evidence.and_then(|evidence| evidence.incident);
        assert!(told.is_some_and(|told| told.client_facing && told.incident_id == id));
    }
    site.send("over", vec![incident("INC-1", Incident::P1, State::Resolved)]).await;
    let (_, cleared) = next(&mut events, |event| event.trigger.ends_with("INC-1")).await;
    assert_eq!(cleared.state(), pb::TriggerState::Clear);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_decide_once() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let other = site.another().await;
    let mut events = site.watch(0).await;
    for n in 0..10 {
        let told = incident(&format!("INC-{n}"), Incident::P1, State::Declared);
        let at = site.clock.now();
        let through = if n % 2 == 0 { &site.signals } else { &other.signals };
        let report = crate::site::signals(&format!("batch-{n}"), at, vec![told]);
        through.clone().report_signals(report).await.expect("the signals are taken");
    }
    let mut seen = Vec::new();
    for _incident in 0..10 {
        seen.push(next(&mut events, fired).await.1.trigger);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10, "{seen:?}");
    site.send("last", vec![incident("INC-last", Incident::P1, State::Declared)]).await;
    let (_, last) = next(&mut events, fired).await;
    assert!(last.trigger.ends_with("INC-last"), "nothing was told twice: {last:?}");
    eventually("the other replica says the same", async || {
        let list = pb::ListTriggersRequest {
            parent: ROLLOUT.to_owned(),
            kind: pb::TriggerKind::Trigger.into(),
        };
        let listed = other.gates.clone().list_triggers(list).await.expect("triggers are listed");
        let listed = listed.into_inner().triggers;
        let fired = listed.iter().filter(|one| one.state() == pb::TriggerState::Fired);
        fired.count() == 11
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rollback_nothing_from_before_it_fires() {
    let site = Site::new().await;
    site.enter("P2", 1, 1_000, &plan(&[])).await;
    let mut events = site.watch(0).await;
    site.send("corrupt", vec![incident("INC-1", Incident::DataCorruption, State::Declared)]).await;
    site.uploads("burst", 10, 90).await;
    next(&mut events, |event| fired(event) && event.trigger.ends_with("INC-1")).await;
    next(&mut events, |event| fired(event) && event.trigger == OVER_10).await;
    site.enter("P0", 2, 0, &plan(&[])).await;
    site.send("again", vec![incident("INC-2", Incident::P1, State::Declared)]).await;
    let (_, event) = next(&mut events, |event| event.phase_generation == 2 && fired(event)).await;
    assert!(event.trigger.ends_with("INC-2"), "{event:?}");
    let rate = site.triggers().await.into_iter().find(|one| one.name == OVER_10);
    let rate = rate.expect("the trigger is still there");
    assert_eq!(rate.state(), pb::TriggerState::Clear);
    assert_eq!(rate.evidence.expect("it was measured").sample_count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_sustained_is_pending_until_its_deadline_and_then_fires() {
    let site = Site::hurried(600).await; // A quarter of an hour in a second and a half.
    site.enter("P1", 1, 0, &plan(&[])).await;
    let mut events = site.watch(0).await;
    let sustained = format!("{ROLLOUT}/triggers/error-rate-over-20");
    let reporting = async {
        for batch in 0..1_000 {
            site.uploads(&format!("batch-{batch}"), 20, 30).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let watching = async {
        let of_it = |event: &pb::TriggerEvent| event.trigger == sustained;
        let (_, pending) = next(&mut events, of_it).await;
        assert_eq!(pending.state(), pb::TriggerState::Pending, "{pending:?}");
        let (_, fired) = next(&mut events, of_it).await;
        assert_eq!(fired.state(), pb::TriggerState::Fired, "{fired:?}");
        let seconds = |time: Option<prost_types::Timestamp>| time.map_or(0, |time| time.seconds);
        let deadline = seconds(pending.deadline_time);
        assert_eq!(deadline - seconds(pending.occur_time), 15 * 60);
        assert!(seconds(fired.occur_time) >= deadline, "{fired:?}");
    };
    tokio::select! {
        () = reporting => panic!("it never fired"),
        () = watching => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thresholds_alert_in_their_phases_and_advisories_say_what_to_do() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let mut events = site.watch(0).await;
    site.send("backlog", vec![crate::site::gauge("staging_backlog", 20_000)]).await;
    let of = |kind| move |event: &pb::TriggerEvent| event.kind() == kind;
    let (_, alert) = next(&mut events, of(pb::TriggerKind::Threshold)).await;
    assert_eq!(alert.trigger, format!("{ROLLOUT}/thresholds/staging_backlog-p0-p1-15m"));
    assert_eq!(alert.action(), pb::TriggerAction::Unspecified, "an alert only tells");
    site.send("cpu", vec![crate::site::gauge("db_cpu", 950_000)]).await;
    let of_cpu = |event: &pb::TriggerEvent| event.trigger.ends_with("/db-cpu-spike");
    let (_, advice) = next(&mut events, of_cpu).await;
    assert_eq!(
        (advice.note.as_str(), advice.action_title.as_str()),
        ("Query inefficiency", "Review query plans",)
    );
    let triggers = site.triggers().await;
    let watched = |kind| triggers.iter().filter(|one| one.kind() == kind && one.watched).count();
    assert_eq!(watched(pb::TriggerKind::Threshold), 5, "of fifteen, those of P0 and P1");
    assert_eq!(watched(pb::TriggerKind::Advisory), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_goes_on_where_the_replica_that_watched_is_gone() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let other = site.another().await;
    site.send("one", vec![incident("INC-1", Incident::P1, State::Declared)]).await;
    let mut events = site.watch(0).await;
    next(&mut events, fired).await;
    let (signals, gates) = (other.signals.clone(), other.gates.clone());
    let mut gates = gates;
    let watched = gates.watch_triggers(pb::WatchTriggersRequest { after_revision: 0 });
    let mut events = watched.await.expect("triggers are watched").into_inner();
    drop(site); // Ends, and gives its lease up.
    let now = service_kit::clock::real_now();
    let told: Kind = incident("INC-2", Incident::P1, State::Declared);
    let report = crate::site::signals("two", now, vec![told]);
    eventually("the other replica takes it", async || {
        signals.clone().report_signals(report.clone()).await.ok()
    })
    .await;
    next(&mut events, |event| fired(event) && event.trigger.ends_with("INC-2")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_fired_is_armed_anew_where_a_rollout_goes_on_and_an_incident_is_not() {
    let site = Site::new().await;
    site.enter("P1", 1, 0, &plan(&[])).await;
    let mut events = site.watch(0).await;
    site.send("p1", vec![incident("INC-1", Incident::P1, State::Declared)]).await;
    site.uploads("burst", 10, 90).await;
    // Evaluated together, they come in the order of the plan.
    let (mut incident_fired, mut rate_fired) = (false, false);
    while !(incident_fired && rate_fired) {
        let (_, event) = next(&mut events, fired).await;
        incident_fired |= event.trigger.ends_with("INC-1");
        rate_fired |= event.trigger == OVER_10;
    }
    let resumed = pb::ApplyGatePlanRequest {
        rollout: ROLLOUT.to_owned(),
        plan_source: plan(&[]).into_bytes(),
        generation: 2,
        phase_id: "P1".to_owned(),
        start_time: Some(service_kit::wire::wire_time(site.clock.now())),
        phase_generation: 1,
        rearm_generation: 2,
        ..Default::default()
    };
    site.gates.clone().apply_gate_plan(resumed).await.expect("it goes on");
    let (_, again) = next(&mut events, fired).await;
    assert_eq!(again.trigger, OVER_10, "the rate is as bad as it was: {again:?}");
}
