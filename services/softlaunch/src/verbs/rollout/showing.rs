//! A rollout for people: where it stands, what stops it, and who can do what next.

use contracts::rollout as pb;

use super::MESSAGE;
use crate::arguments::Output;
use crate::failure::Failure;
use crate::output::{duration, json, say, share, short, time};

/// Shows a rollout.
pub(crate) fn show(rollout: &pb::Rollout, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return json(MESSAGE, rollout);
    }
    lines(rollout).into_iter().for_each(say);
    Ok(())
}

/// A rollout, line by line.
pub(super) fn lines(rollout: &pb::Rollout) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", rollout.name, standing(rollout))];
    if rollout.demo {
        lines.push("  DEMO: durations run on a demo clock".to_owned());
    }
    lines.push(format!("  plan        {}", rollout.plan_version));
    if !rollout.phase_id.is_empty() {
        lines.extend(phase(rollout));
    }
    for approval in &rollout.approvals {
        let (role, actor) = (&approval.role, &approval.actor);
        let digest = &approval.report_digest;
        lines.push(format!("  approved    by {actor} as {role}, report {digest:.12}"));
    }
    lines.extend(stopped(rollout));
    lines.extend(next(rollout));
    if rollout.reconciling {
        lines.push("  flag and gate have yet to be told of the last change".to_owned());
    }
    lines.push(format!("  etag        {}", rollout.etag));
    lines
}

fn standing(rollout: &pb::Rollout) -> String {
    let state = short(rollout.state().as_str_name());
    let general = rollout.state() == pb::rollout::State::Running;
    match rollout.ga_declare_time.as_ref().filter(|_| general) {
        Some(declared) => format!("{state}, generally available since {}", time(Some(declared))),
        None => state,
    }
}

fn phase(rollout: &pb::Rollout) -> Vec<String> {
    let (phase, since) = (&rollout.phase_id, time(rollout.phase_start_time.as_ref()));
    let active = duration(rollout.active_duration.as_ref());
    let left = duration(rollout.remaining_duration.as_ref());
    let overdue = if rollout.overdue { "; OVERDUE: longer than planned" } else { "" };
    vec![
        format!("  phase       {phase} {} since {since}", rollout.phase_display_name),
        format!("  clock       {active} active, {left} left of the minimum{overdue}"),
        format!("  exposure    {} by percentage", share(rollout.exposure_basis_points)),
    ]
}

fn stopped(rollout: &pb::Rollout) -> Vec<String> {
    let mut lines = Vec::new();
    if !rollout.pause_reason.is_empty() {
        let how = match rollout.kill_epoch {
            0 if rollout.pause_global => " (globally)".to_owned(),
            0 => String::new(),
            epoch => format!(" (kill switch engaged, epoch {epoch})"),
        };
        lines.push(format!("  paused      {}{how}", rollout.pause_reason));
    }
    for trigger in &rollout.firing_triggers {
        lines.push(format!("  firing      {trigger}"));
    }
    let Some(rollback) = &rollout.rollback else { return lines };
    let (from, to) = (&rollback.from_phase_id, &rollback.to_phase_id);
    let began = time(rollback.start_time.as_ref());
    lines.push(format!("  rollback    from {from} to {to}, {began}: {}", rollback.reason));
    for step in &rollback.steps {
        let done = step.complete_time.is_some();
        let mark = if done { "x" } else { " " };
        let by = match (done, step.by_system) {
            (true, _) => format!("{}: {}", step.actor, step.detail),
            (false, true) => "the system".to_owned(),
            (false, false) => "people, with evidence".to_owned(),
        };
        lines.push(format!("    [{mark}] {} {} ({by})", step.step_id, step.title));
    }
    lines
}

fn next(rollout: &pb::Rollout) -> Vec<String> {
    let mut lines = Vec::new();
    if rollout.next_step_basis_points > 0 {
        let how = if rollout.next_step_manual { "by hand" } else { "by the plan" };
        let left = duration(rollout.remaining_hold_duration.as_ref());
        let step = share(rollout.next_step_basis_points);
        lines.push(format!("  next step   {step}, {how}; {left} left to hold"));
    }
    if rollout.proposed_step_basis_points > 0 {
        let (step, actor) =
            (share(rollout.proposed_step_basis_points), &rollout.proposed_step_actor);
        lines.push(format!("  asked for   {step} by {actor}: another person takes it"));
    }
    for threshold in &rollout.broken_thresholds {
        lines.push(format!("  not met     {threshold}: no hold time counts"));
    }
    if !rollout.next_phase_id.is_empty() {
        lines.push(format!("  next phase  {}", rollout.next_phase_id));
    }
    if !rollout.gate.is_empty() && !rollout.open_approval_roles.is_empty() {
        lines.push(format!("  approvers   {} have yet to", rollout.open_approval_roles.join(", ")));
    }
    if rollout.ga_declare_time.is_some() {
        for task in rollout.post_ga_tasks.iter().filter(|task| !task.done) {
            let due = time(task.due_time.as_ref());
            lines.push(format!("  task        {} {}, due {due}", task.task_id, task.title));
        }
    }
    lines
}
