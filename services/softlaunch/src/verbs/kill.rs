//! `softlaunch kill`: stopping at once, and letting go on.

use contracts::killswitch as pb;
use contracts::killswitch::scope::Kind;

use crate::arguments::{KillScope, KillVerb, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{duration, json, say, short, table, time};

const MESSAGE: &str = "softlaunch.killswitch.v1.KillSwitch";

pub(crate) async fn run(
    verb: &KillVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        KillVerb::Engage { scope, reason } => {
            let (scope, reason) = (Some(read(scope)), reason.clone());
            let request = pb::EngageKillSwitchRequest { scope, reason };
            show(connection.kills()?.engage_kill_switch(request).await?.get_ref(), output)
        }
        KillVerb::Release { scope, epoch, reason } => {
            let (scope, reason) = (Some(read(scope)), reason.clone());
            let request =
                pb::ReleaseKillSwitchRequest { scope, epoch: *epoch, reason, ..Default::default() };
            show(connection.kills()?.release_kill_switch(request).await?.get_ref(), output)
        }
        KillVerb::Status => status(connection, output).await,
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
}

async fn status(connection: &Connection, output: Output) -> Result<(), Failure> {
    let request = pb::ListKillSwitchesRequest { page_size: 1_000, page_token: String::new() };
    let list = connection.kills()?.list_kill_switches(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.killswitch.v1.ListKillSwitchesResponse", &list);
    }
    say(format!("Newest epoch {}", list.epoch));
    let mut switches = table(["Switch", "State", "Epoch", "By", "At", "Why"]);
    for switch in &list.kill_switches {
        let drill = if switch.drill { " (drill)" } else { "" };
        switches.add_row([
            switch.name.clone(),
            format!("{}{drill}", short(switch.state().as_str_name())),
            switch.epoch.to_string(),
            switch.actor.clone(),
            time(switch.change_time.as_ref()),
            switch.reason.clone(),
        ]);
    }
    say(switches);
    let applied = list.workers.iter().filter(|worker| worker.applied_epoch >= list.epoch).count();
    say(format!("{applied} of {} connected workers hold the newest epoch", list.workers.len()));
    let mut workers = table(["Worker", "Pipeline", "Applied", "In"]);
    for worker in &list.workers {
        workers.add_row([
            worker.worker_id.clone(),
            worker.pipeline.clone(),
            worker.applied_epoch.to_string(),
            duration(worker.apply_duration.as_ref()),
        ]);
    }
    say(workers);
    Ok(())
}

fn show(switch: &pb::KillSwitch, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(MESSAGE, switch);
    }
    let state = short(switch.state().as_str_name());
    say(format!("{}: {state}, epoch {}", switch.name, switch.epoch));
    say(format!("  by {} at {}", switch.actor, time(switch.change_time.as_ref())));
    say(format!("  why {}", switch.reason));
    say(format!("  {}", switch.durability().as_str_name()));
    Ok(())
}
