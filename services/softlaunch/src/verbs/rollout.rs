//! `softlaunch rollout`: conducting.

use contracts::gate::{AttestCriterionRequest, EvaluateGateRequest};
use contracts::rollout as pb;
use tonic::Code;

use crate::arguments::{Output, RolloutVerb};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{duration, json, report, say, share, short, time};
use crate::verbs::{plan, rollout_name};

const MESSAGE: &str = "softlaunch.rollout.v1.Rollout";

pub(crate) async fn run(
    verb: &RolloutVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        RolloutVerb::Start { id, plan, demo } => {
            let source = plan::read(plan.as_deref())?;
            let rollout = start(connection, &id.rollout, source, *demo).await?;
            show(&rollout, output)
        }
        RolloutVerb::Status { id, watch } => {
            status(connection, &rollout_name(&id.rollout), *watch, output).await
        }
        RolloutVerb::Attest { criterion, rollout, role, evidence, statement } => {
            let request = AttestCriterionRequest {
                name: format!("{}/criteria/{criterion}", rollout_name(rollout)),
                role: role.clone(),
                evidence: evidence.clone(),
                statement: statement.clone(),
                request_id: String::new(),
            };
            let attestation = connection.gates()?.attest_criterion(request).await?.into_inner();
            match output {
                Output::Json => json("softlaunch.gate.v1.Attestation", &attestation),
                Output::Table => {
                    let (actor, role) = (&attestation.actor, &attestation.role);
                    say(format!("{criterion}: attested by {actor} as {role}"));
                    Ok(())
                }
            }
        }
        RolloutVerb::Approve { id, role, digest, reason, advance } => {
            let name = rollout_name(&id.rollout);
            let request = pb::ApproveGateRequest {
                name: name.clone(),
                report_digest: digest.clone(),
                role: role.clone(),
                reason: reason.clone(),
                validate_only: false,
            };
            let mut rollout = connection.rollouts()?.approve_gate(request).await?.into_inner();
            if let Some(phase) = advance {
                rollout = advance_to(connection, name, phase, false).await?;
            }
            show(&rollout, output)
        }
        RolloutVerb::Advance { phase, rollout, dry_run } => {
            let name = rollout_name(rollout);
            show(&advance_to(connection, name, phase, *dry_run).await?, output)
        }
        RolloutVerb::Ramp { percent, rollout } => {
            let request = pb::RampRolloutRequest {
                name: rollout_name(rollout),
                exposure_basis_points: percent.saturating_mul(100),
                ..pb::RampRolloutRequest::default()
            };
            show(connection.rollouts()?.ramp_rollout(request).await?.get_ref(), output)
        }
        RolloutVerb::Pause { id, reason } => {
            let (name, reason) = (rollout_name(&id.rollout), reason.clone());
            let request = pb::PauseRolloutRequest { name, reason };
            show(connection.rollouts()?.pause_rollout(request).await?.get_ref(), output)
        }
        RolloutVerb::Resume { id, reason } => {
            let (name, reason) = (rollout_name(&id.rollout), reason.clone());
            let etag = get(connection, &name).await?.etag;
            let request = pb::ResumeRolloutRequest { name, reason, etag };
            show(connection.rollouts()?.resume_rollout(request).await?.get_ref(), output)
        }
    }
}

/// Stores the plan, creates the rollout unless it exists, and enters its first phase.
pub(crate) async fn start(
    connection: &Connection,
    id: &str,
    source: String,
    demo: bool,
) -> Result<pb::Rollout, Failure> {
    let name = rollout_name(id);
    create(connection, id, source, demo).await?;
    let request = pb::StartRolloutRequest { name, ..pb::StartRolloutRequest::default() };
    Ok(connection.rollouts()?.start_rollout(request).await?.into_inner())
}

/// Stores the plan and creates the rollout, unless it exists.
pub(crate) async fn create(
    connection: &Connection,
    id: &str,
    source: String,
    demo: bool,
) -> Result<pb::Rollout, Failure> {
    let mut client = connection.rollouts()?;
    let plan = pb::CreatePlanVersionRequest {
        source: source.into_bytes(),
        ..pb::CreatePlanVersionRequest::default()
    };
    let plan_version = client.create_plan_version(plan).await?.into_inner().name;
    let request = pb::CreateRolloutRequest {
        rollout_id: id.trim_start_matches("rollouts/").to_owned(),
        plan_version,
        demo,
        ..pb::CreateRolloutRequest::default()
    };
    match client.create_rollout(request).await {
        Ok(created) => Ok(created.into_inner()),
        Err(status) if status.code() == Code::AlreadyExists => {
            get(connection, &rollout_name(id)).await
        }
        Err(status) => Err(status.into()),
    }
}

pub(crate) async fn get(connection: &Connection, name: &str) -> Result<pb::Rollout, Failure> {
    let request = pb::GetRolloutRequest { name: name.to_owned() };
    Ok(connection.rollouts()?.get_rollout(request).await?.into_inner())
}

pub(crate) async fn advance_to(
    connection: &Connection,
    name: String,
    phase: &str,
    validate_only: bool,
) -> Result<pb::Rollout, Failure> {
    let request = pb::AdvanceRolloutRequest {
        name,
        phase_id: phase.to_owned(),
        etag: String::new(),
        validate_only,
    };
    Ok(connection.rollouts()?.advance_rollout(request).await?.into_inner())
}

async fn status(
    connection: &Connection,
    name: &str,
    watch: bool,
    output: Output,
) -> Result<(), Failure> {
    if !watch {
        let rollout = get(connection, name).await?;
        show(&rollout, output)?;
        return if output == Output::Table { missing(connection, &rollout).await } else { Ok(()) };
    }
    let request = pb::WatchRolloutRequest { name: name.to_owned() };
    let mut changes = connection.rollouts()?.watch_rollout(request).await?.into_inner();
    while let Some(change) = changes.message().await? {
        if let Some(rollout) = change.rollout {
            show(&rollout, output)?;
        }
    }
    Ok(())
}

/// Says what the next step waits for: the open criteria, and who can supply them.
async fn missing(connection: &Connection, rollout: &pb::Rollout) -> Result<(), Failure> {
    let next = rollout.next_phase_id.to_lowercase();
    let entry = format!("{}/gates/{next}-entry", rollout.name);
    let gates = [(!rollout.gate.is_empty(), &rollout.gate), (!next.is_empty(), &entry)];
    for (_, name) in gates.into_iter().filter(|(exists, _)| *exists) {
        let request = EvaluateGateRequest { name: name.clone(), validate_only: true };
        let judged = connection.gates()?.evaluate_gate(request).await?.into_inner();
        let verdict = short(judged.verdict().as_str_name());
        say(format!("\n{} ({name}): {verdict}", judged.title));
        say(report(&judged));
    }
    Ok(())
}

/// Shows a rollout.
pub(crate) fn show(rollout: &pb::Rollout, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(MESSAGE, rollout);
    }
    let state = short(rollout.state().as_str_name());
    say(format!("{}: {state}", rollout.name));
    if rollout.demo {
        say("  DEMO: durations run on a demo clock");
    }
    say(format!("  plan        {}", rollout.plan_version));
    if !rollout.phase_id.is_empty() {
        let (phase, since) = (&rollout.phase_id, time(rollout.phase_start_time.as_ref()));
        say(format!("  phase       {phase} {} since {since}", rollout.phase_display_name));
        let active = duration(rollout.active_duration.as_ref());
        let left = duration(rollout.remaining_duration.as_ref());
        say(format!("  clock       {active} active, {left} left of the minimum"));
        say(format!("  exposure    {} by percentage", share(rollout.exposure_basis_points)));
    }
    for approval in &rollout.approvals {
        let (role, actor) = (&approval.role, &approval.actor);
        say(format!("  approved    by {actor} as {role}, report {:.12}", approval.report_digest));
    }
    if !rollout.pause_reason.is_empty() {
        say(format!("  paused      {}", rollout.pause_reason));
    }
    if rollout.next_step_basis_points > 0 {
        say(format!("  next step   {}", share(rollout.next_step_basis_points)));
    }
    if !rollout.next_phase_id.is_empty() {
        say(format!("  next phase  {}", rollout.next_phase_id));
    }
    if rollout.reconciling {
        say("  flag and gate have yet to be told of the last change");
    }
    say(format!("  etag        {}", rollout.etag));
    Ok(())
}
