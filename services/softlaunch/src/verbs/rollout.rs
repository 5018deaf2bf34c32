//! `softlaunch rollout`: conducting.

use contracts::gate::{AttestCriterionRequest, EvaluateGateRequest};
use contracts::rollout as pb;
use tonic::Code;

use crate::arguments::{Output, RolloutVerb};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, report, say, short};
use crate::verbs::{plan, rollout_name};

mod dossier;
mod more;
mod showing;
mod watching;

pub(crate) use more::advise;
pub(crate) use showing::show;

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
            attest(connection, request, output).await
        }
        RolloutVerb::Approve { id, role, digest, reason, advance } => {
            let request = pb::ApproveGateRequest {
                name: rollout_name(&id.rollout),
                report_digest: digest.clone(),
                role: role.clone(),
                reason: reason.clone(),
                ..pb::ApproveGateRequest::default()
            };
            show(&approve(connection, request, advance.as_deref()).await?, output)
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
        RolloutVerb::Pause { id, reason, global } => {
            let (name, reason) = (rollout_name(&id.rollout), reason.clone());
            let request = pb::PauseRolloutRequest { name, reason, global: *global };
            show(connection.rollouts()?.pause_rollout(request).await?.get_ref(), output)
        }
        RolloutVerb::Resume { id, reason, evidence } => {
            let (name, reason) = (rollout_name(&id.rollout), reason.clone());
            let (etag, evidence) = (get(connection, &name).await?.etag, evidence.clone());
            let request = pb::ResumeRolloutRequest { name, reason, etag, evidence };
            show(connection.rollouts()?.resume_rollout(request).await?.get_ref(), output)
        }
        RolloutVerb::Dossier { verify: Some(dir), .. } => dossier::verify(dir, output),
        RolloutVerb::Dossier { id, dir, verify: None } => {
            dossier::run(connection, &rollout_name(&id.rollout), dir, output).await
        }
        RolloutVerb::RollBack { .. }
        | RolloutVerb::TickOff { .. }
        | RolloutVerb::Timeline { .. }
        | RolloutVerb::ChangePlan { .. }
        | RolloutVerb::Announce { .. }
        | RolloutVerb::Declare { .. }
        | RolloutVerb::Task { .. }
        | RolloutVerb::Archive { .. } => more::run(verb, connection, output).await,
    }
}

async fn approve(
    connection: &Connection,
    request: pb::ApproveGateRequest,
    advance: Option<&str>,
) -> Result<pb::Rollout, Failure> {
    let name = request.name.clone();
    let approved = connection.rollouts()?.approve_gate(request).await?.into_inner();
    match advance {
        Some(phase) => advance_to(connection, name, phase, false).await,
        None => Ok(approved),
    }
}

async fn attest(
    connection: &Connection,
    request: AttestCriterionRequest,
    output: Output,
) -> Result<(), Failure> {
    let attestation = connection.gates()?.attest_criterion(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.gate.v1.Attestation", &attestation);
    }
    let criterion = attestation.name.rsplit('/').next().unwrap_or(&attestation.name);
    let (actor, role) = (&attestation.actor, &attestation.role);
    say(format!("{criterion}: attested by {actor} as {role}"));
    Ok(())
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
    if output == Output::Table {
        return watching::run(connection, name).await;
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
