//! Looking after the rollout while the tour goes on: on a clock that flies, milliseconds are minutes, and
//! a breaker that was open for an instant can be a reason to pause.

use std::time::Duration;

use contracts::killswitch as kill_pb;
use contracts::killswitch::kill_switch::State as SwitchState;
use contracts::killswitch::scope::Kind;
use contracts::rollout as pb;
use contracts::rollout::rollout::State;

use crate::demo::people::PERSONAS;
use crate::demo::place::Stage;
use crate::failure::Failure;
use crate::output::say;
use crate::verbs::rollout;

const INTERVAL: Duration = Duration::from_millis(500);
const FIXED: &str = "the demo's breaker has recovered";
const EVIDENCE: &str = "https://wiki.example.com/ingestion-v2/evidence#recovered";
const PIPELINE: &str = "ingestion_v2";

/// Lets the played people do what a pause asks of them, for as long as it is polled.
pub(crate) async fn look_after(stage: &Stage, rollout: &str) -> Failure {
    let mut said = String::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        // What is refused now, because a trigger still fires, is tried again.
        if let Ok(Some(reason)) = go_on(stage, rollout).await
            && reason != said
        {
            say(format!("  it was paused ({reason}): resumed by demo-sre-lead on evidence"));
            said = reason;
        }
        let _not_yet = release(stage).await;
    }
}

/// Ticks off what people owe and resumes; answers why it was paused.
async fn go_on(stage: &Stage, name: &str) -> Result<Option<String>, Failure> {
    let sre = PERSONAS[2].connect(&stage.endpoints);
    let found = rollout::get(&sre, name).await?;
    if found.state() != State::Paused {
        return Ok(None);
    }
    let steps = found.rollback.map(|rollback| rollback.steps).unwrap_or_default();
    for step in steps.iter().filter(|one| !one.by_system && one.complete_time.is_none()) {
        let request = pb::CompleteRollbackStepRequest {
            name: name.to_owned(),
            step_id: step.step_id.clone(),
            detail: FIXED.to_owned(),
            evidence: EVIDENCE.to_owned(),
        };
        // The last one waits until work goes on.
        let _later = sre.rollouts()?.complete_rollback_step(request).await;
    }
    let found = rollout::get(&sre, name).await?;
    let request = pb::ResumeRolloutRequest {
        name: name.to_owned(),
        reason: FIXED.to_owned(),
        evidence: EVIDENCE.to_owned(),
        etag: found.etag,
    };
    sre.rollouts()?.resume_rollout(request).await?;
    Ok(Some(found.pause_reason))
}

/// Two people release the kill switch of the pipeline, once its rollout goes on.
async fn release(stage: &Stage) -> Result<(), Failure> {
    let sre = PERSONAS[2].connect(&stage.endpoints);
    let running = rollout::get(&sre, "rollouts/ingestion-v2").await?.state() == State::Running;
    let scope = kill_pb::Scope {
        kind: Kind::Pipeline.into(),
        pipeline: PIPELINE.to_owned(),
        ..kill_pb::Scope::default()
    };
    for persona in [&PERSONAS[2], &PERSONAS[0]] {
        let person = persona.connect(&stage.endpoints);
        let request = kill_pb::GetKillSwitchRequest { scope: Some(scope.clone()) };
        let switch = person.kills()?.get_kill_switch(request).await?.into_inner();
        if !running || switch.state() != SwitchState::Engaged {
            return Ok(());
        }
        let request = kill_pb::ReleaseKillSwitchRequest {
            scope: Some(scope.clone()),
            epoch: switch.epoch,
            reason: FIXED.to_owned(),
            evidence: EVIDENCE.to_owned(),
        };
        person.kills()?.release_kill_switch(request).await?;
    }
    Ok(())
}
