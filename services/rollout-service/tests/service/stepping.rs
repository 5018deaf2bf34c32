//! Steps that the plan takes by itself, and does not.

use contracts::gate::TriggerKind;
use contracts::rollout as pb;
use contracts::rollout::rollout_event::Kind;
use prost::Message as _;
use test_kit::eventually;

use crate::site::{ROLLOUT, Site, by};

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_steps_by_itself_while_thresholds_are_met() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P3").await;
    conductor.becomes("the ramp to end", |one| one.exposure_basis_points == 5_000).await;
    // The flag is told once the step has been recorded.
    let last = "flag: P3 at 5000".to_owned();
    eventually("the flag to be told", async || site.fakes.world().told.contains(&last)).await;
    let told = site.fakes.world().told.clone();
    let mut shares: Vec<_> = told.iter().filter(|one| one.starts_with("flag: P3")).collect();
    shares.dedup();
    let wanted = [2_000, 3_000, 4_000, 5_000].map(|share| format!("flag: P3 at {share}"));
    assert_eq!(shares, wanted.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_for_data_and_for_thresholds_that_are_broken() {
    let site = Site::new().await;
    site.fakes.world().thresholds_met = true;
    let conductor = site.conductor().await;
    conductor.enter("P2").await;
    site.fakes.world().thresholds_met = false;
    conductor.advance("P3").await;
    // Days pass and nothing is known: the share stays.
    let active = |one: &contracts::rollout::Rollout| {
        one.active_duration.unwrap_or_default().seconds > 30 * 86_400
    };
    let waiting = conductor.becomes("a month to pass", active).await;
    assert_eq!(waiting.exposure_basis_points, 2_000);
    // A threshold that breaks is told, and no hold time counts.
    site.fakes.sees(ROLLOUT, TriggerKind::Threshold, "error_rate", true);
    let broken = |one: &contracts::rollout::Rollout| one.broken_thresholds == ["error_rate"];
    let held = conductor.becomes("a broken threshold", broken).await;
    assert_eq!(held.remaining_hold_duration.unwrap_or_default().seconds, 86_400);
    site.fakes.world().thresholds_met = true;
    site.fakes.sees(ROLLOUT, TriggerKind::Threshold, "error_rate", false);
    conductor.becomes("the next step", |one| one.exposure_basis_points >= 3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_by_hand_carries_the_report_of_who_would_change() {
    // Given a phase whose ramp waits, since nothing is known
    let site = Site::new().await;
    site.fakes.world().thresholds_met = true;
    let conductor = site.conductor().await;
    conductor.enter("P2").await;
    site.fakes.world().thresholds_met = false;
    conductor.advance("P3").await;
    let held = |one: &pb::Rollout| {
        one.remaining_hold_duration.unwrap_or_default() == prost_types::Duration::default()
    };
    conductor.becomes("the hold to be over", held).await;

    // When one person asks for the next step, and another confirms it
    for person in ["ada", "sam"] {
        let request = pb::RampRolloutRequest {
            name: ROLLOUT.to_owned(),
            exposure_basis_points: 3_000,
            ..Default::default()
        };
        conductor.client.clone().ramp_rollout(by(person, &[], request)).await.unwrap();
    }

    // Then both records name the report
    assert_eq!(conductor.rollout().await.exposure_basis_points, 3_000);
    let records = conductor.records().await;
    let events = records.iter().map(|one| pb::RolloutEvent::decode(one.payload.as_slice()));
    let reports: Vec<_> = events
        .filter_map(|event| {
            let kind = event.unwrap().kind?;
            if let Kind::RampProposed(asked) = kind {
                return Some(asked.blast_radius_digest);
            }
            let Kind::RampStepTaken(step) = kind else { return None };
            (!step.automatic).then_some(step.blast_radius_digest)
        })
        .collect();
    assert_eq!(reports, ["a".repeat(64), "a".repeat(64)]);
}
