//! What the gate service sees is answered once, by severity.

use contracts::gate::TriggerKind;
use contracts::rollout::rollout::State;

use crate::fakes::Cut;
use crate::site::{ROLLOUT, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_pauses_and_a_worse_one_rolls_back() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P1").await;
    site.fakes.sees(ROLLOUT, TriggerKind::Trigger, "error-rate-over-10", true);
    let paused = conductor.becomes("a pause", |one| one.state() == State::Paused).await;
    assert_eq!(paused.pause_trigger, "error-rate-over-10");
    assert!(paused.pause_reason.contains("35% (7 of 20)"), "{}", paused.pause_reason);
    assert_eq!(paused.firing_triggers, ["error-rate-over-10"]);
    site.fakes.sees(ROLLOUT, TriggerKind::Trigger, "error-rate-over-20", true);
    let back = |one: &contracts::rollout::Rollout| one.phase_id == "P0" && !one.reconciling;
    let rollout = conductor.becomes("a rollback", back).await;
    assert_eq!(rollout.rollback.unwrap().trigger, "error-rate-over-20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firing_is_answered_once_whatever_happens_to_the_process() {
    // Given a firing whose effects are cut, and a process that ends
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P1").await;
    site.fakes.cut(Some(Cut::Before(1)));
    site.fakes.sees(ROLLOUT, TriggerKind::Trigger, "breaker-open-over-5m", true);
    conductor.becomes("a pause", |one| one.state() == State::Paused).await;
    conductor.end().await;

    // When others follow the stream from where it was
    site.fakes.cut(None);
    for _process in 0..2 {
        let conductor = site.conductor().await;
        conductor.becomes("the kill switch to be engaged", |one| one.kill_epoch == 1).await;
        conductor.end().await;
    }

    // Then it was answered once
    let conductor = site.conductor().await;
    let records = conductor.records().await;
    for kind in ["TriggerSeen", "RolloutPaused", "KillSwitchEngaged"] {
        assert_eq!(records.iter().filter(|one| one.kind == kind).count(), 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_trigger_does_not_flap_the_rollout() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P1").await;
    for _turn in 0..10 {
        site.fakes.sees(ROLLOUT, TriggerKind::Trigger, "error-rate-over-10", true);
        site.fakes.sees(ROLLOUT, TriggerKind::Trigger, "error-rate-over-10", false);
    }
    test_kit::eventually("everything to be seen", async || {
        let records = conductor.records().await;
        records.iter().filter(|one| one.kind == "TriggerSeen").count() == 20
    })
    .await;
    let records = conductor.records().await;
    assert_eq!(records.iter().filter(|one| one.kind == "RolloutPaused").count(), 1);
}
