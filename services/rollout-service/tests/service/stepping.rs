//! Steps that the plan takes by itself, and does not.

use contracts::gate::TriggerKind;

use crate::site::{ROLLOUT, Site};

#[tokio::test(flavor = "multi_thread")]
async fn the_plan_steps_by_itself_while_thresholds_are_met() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P3").await;
    conductor.becomes("the ramp to end", |one| one.exposure_basis_points == 5_000).await;
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
