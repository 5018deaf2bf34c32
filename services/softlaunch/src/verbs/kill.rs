//! `softlaunch kill`: stopping at once, and letting go on.

mod offline;
mod status;

use contracts::killswitch as pb;
use contracts::killswitch::Durability;
use contracts::killswitch::scope::Kind;

use crate::arguments::{KillScope, KillVerb, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{duration, json, say, short, time};

const MESSAGE: &str = "softlaunch.killswitch.v1.KillSwitch";

pub(crate) async fn run(
    verb: &KillVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        KillVerb::Engage { scope, reason, offline: true, at } => {
            show(&offline::engage(&read(scope), reason, at, connection).await?, output)
        }
        KillVerb::Engage { scope, reason, offline: false, .. } => {
            let (scope, reason) = (Some(read(scope)), reason.clone());
            let request = pb::EngageKillSwitchRequest { scope, reason };
            show(connection.kills()?.engage_kill_switch(request).await?.get_ref(), output)
        }
        KillVerb::Release { scope, epoch, reason, evidence } => {
            let (scope, reason) = (Some(read(scope)), reason.clone());
            let (epoch, evidence) = (*epoch, evidence.clone());
            let request = pb::ReleaseKillSwitchRequest { scope, epoch, reason, evidence };
            show(connection.kills()?.release_kill_switch(request).await?.get_ref(), output)
        }
        KillVerb::Status { watch } => status::run(connection, *watch, output).await,
        KillVerb::Drill { pipeline, reason } => {
            let drill = drill(connection, pipeline, reason).await?;
            if output == Output::Json {
                return json("softlaunch.killswitch.v1.Drill", &drill);
            }
            describe_drill(&drill);
            Ok(())
        }
    }
}

fn read(scope: &KillScope) -> pb::Scope {
    let mut wire = pb::Scope { pipeline: scope.pipeline.clone(), ..pb::Scope::default() };
    let kind = match (scope.global, &scope.phase, &scope.workspaces) {
        (true, ..) => {
            wire.pipeline.clear();
            Kind::Global
        }
        (false, Some(phase), _) => {
            wire.phase_id.clone_from(phase);
            Kind::Cohort
        }
        (false, None, Some(pattern)) => {
            wire.workspace_pattern.clone_from(pattern);
            Kind::Workspace
        }
        (false, None, None) => Kind::Pipeline,
    };
    wire.set_kind(kind);
    wire
}

/// Runs a drill.
pub(crate) async fn drill(
    connection: &Connection,
    pipeline: &str,
    reason: &str,
) -> Result<pb::Drill, Failure> {
    let request = pb::RunDrillRequest {
        pipeline: pipeline.to_owned(),
        timeout_duration: None,
        reason: reason.to_owned(),
    };
    Ok(connection.kills()?.run_drill(request).await?.into_inner())
}

/// Says how a drill went.
pub(crate) fn describe_drill(drill: &pb::Drill) {
    let outcome = if drill.passed { "passed" } else { "NOT passed" };
    let (applied, workers) = (drill.applied_count, drill.worker_count);
    let slowest = duration(drill.apply_duration_max.as_ref());
    say(format!(
        "Drill {outcome}: {applied} of {workers} workers applied it, the slowest in {slowest}."
    ));
    if drill.expire_time.is_some() {
        say(format!("  It counts until {}.", time(drill.expire_time.as_ref())));
    }
}

fn show(switch: &pb::KillSwitch, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(MESSAGE, switch);
    }
    let state = short(switch.state().as_str_name());
    say(format!("{}: {state}, epoch {}", switch.name, switch.epoch));
    say(format!("  by {} at {}", switch.actor, time(switch.change_time.as_ref())));
    say(format!("  why {}", switch.reason));
    if let Some(pending) = &switch.pending_release {
        say(format!("  {} asks for its release: another person must confirm it", pending.actor));
    }
    match switch.durability() {
        Durability::Stored => say(format!("  stored, survives {}", switch.survives)),
        Durability::NotYet => {
            say("  IN FORCE, NOT STORED YET: the store does not take it; it is tried on and on");
        }
        Durability::Unspecified => {}
    }
    if let Some(scope) = &switch.scope
        && scope.kind() == Kind::Workspace
    {
        let pattern = &scope.workspace_pattern;
        say(format!(
            "  {pattern} is held against no list: where it matches nobody it stops nobody"
        ));
    }
    Ok(())
}
