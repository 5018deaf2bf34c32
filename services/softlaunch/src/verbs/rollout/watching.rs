//! `softlaunch rollout status --watch`: where a rollout stands, redrawn in place: phase, exposure, clock,
//! criteria, triggers, and who must do what next.

use std::io::IsTerminal as _;
use std::time::Duration;

use contracts::gate::{
    CriterionResult, EvaluateGateRequest, ListTriggersRequest, Trigger, TriggerKind, TriggerState,
    Verdict,
};
use contracts::rollout as pb;
use contracts::rollout::rollout::State;

use super::{get, showing};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{duration, say, short, table};

const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";
const BAR_WIDTH: u64 = 30;

/// Everything that is shown at once.
struct Seen {
    rollout: pb::Rollout,
    open: Vec<CriterionResult>,
    judged: usize,
    triggers: Vec<Trigger>,
}

/// Redraws until the rollout is over or nobody looks any more. On a terminal in place; elsewhere
/// one view after the other, whenever something has changed.
pub(super) async fn run(connection: &Connection, name: &str) -> Result<(), Failure> {
    let in_place = std::io::stdout().is_terminal();
    let mut shown = String::new();
    loop {
        let seen = look(connection, name).await?;
        let view = view(&seen);
        if in_place {
            say(format!("{CLEAR}{view}"));
        } else if stable(&view) != stable(&shown) {
            say(&view);
        }
        shown = view;
        if seen.rollout.state() == State::Archived {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// A view without the line of the clock, which always changes.
fn stable(view: &str) -> Vec<&str> {
    view.lines().filter(|line| !line.contains("clock") && !line.contains("left to hold")).collect()
}

async fn look(connection: &Connection, name: &str) -> Result<Seen, Failure> {
    let rollout = get(connection, name).await?;
    let (mut open, mut judged) = (Vec::new(), 0);
    let next = rollout.next_phase_id.to_lowercase();
    let entry = format!("{name}/gates/{next}-entry");
    let gates = [(!rollout.gate.is_empty(), &rollout.gate), (!next.is_empty(), &entry)];
    for (_, gate) in gates.into_iter().filter(|(exists, _)| *exists) {
        let request = EvaluateGateRequest { name: gate.clone(), validate_only: true };
        let report = connection.gates()?.evaluate_gate(request).await?.into_inner();
        judged += report.criteria.len();
        let not_met = |one: &CriterionResult| one.verdict() != Verdict::Pass && !one.dry_run;
        open.extend(report.criteria.into_iter().filter(not_met));
    }
    let kind = TriggerKind::Unspecified.into();
    let request = ListTriggersRequest { parent: name.to_owned(), kind };
    let triggers = match connection.gates()?.list_triggers(request).await {
        Ok(listed) => listed.into_inner().triggers,
        Err(_not_yet) => Vec::new(), // Before the first phase nothing is watched.
    };
    Ok(Seen { rollout, open, judged, triggers })
}

fn view(seen: &Seen) -> String {
    let mut lines = showing::lines(&seen.rollout);
    lines.push(format!("  progress    {}", bar(&seen.rollout)));
    lines.push(String::new());
    let met = seen.judged.saturating_sub(seen.open.len());
    lines.push(format!("Criteria: {met} of {} are met", seen.judged));
    if !seen.open.is_empty() {
        lines.push(criteria(&seen.open));
    }
    lines.push(triggers(&seen.triggers));
    lines.push("Next:".to_owned());
    lines.extend(next(seen).into_iter().map(|line| format!("  - {line}")));
    lines.join("\n")
}

/// How much of the phase's minimum duration has passed.
fn bar(rollout: &pb::Rollout) -> String {
    let seconds = |wire: Option<&prost_types::Duration>| {
        wire.map_or(0, |wire| u64::try_from(wire.seconds).unwrap_or(0))
    };
    let active = seconds(rollout.active_duration.as_ref());
    let total = active.saturating_add(seconds(rollout.remaining_duration.as_ref()));
    let filled = (active * BAR_WIDTH).checked_div(total).unwrap_or(BAR_WIDTH).min(BAR_WIDTH);
    let percent = (active * 100).checked_div(total).unwrap_or(100).min(100);
    let (full, empty) = (filled, BAR_WIDTH - filled);
    let part = |sign: &str, count: u64| sign.repeat(usize::try_from(count).unwrap_or(0));
    format!("[{}{}] {percent}% of the minimum", part("#", full), part(".", empty))
}

fn criteria(open: &[CriterionResult]) -> String {
    let mut shown = table(["", "Criterion", "Must be", "Found", "Why"]);
    for one in open {
        shown.add_row([
            short(one.verdict().as_str_name()),
            one.title.clone(),
            one.requirement.clone(),
            one.value.clone(),
            one.reason.clone(),
        ]);
    }
    shown.to_string()
}

fn triggers(all: &[Trigger]) -> String {
    let stirring: Vec<_> = all
        .iter()
        .filter(|one| !matches!(one.state(), TriggerState::Clear | TriggerState::Unspecified))
        .collect();
    let watched = all.iter().filter(|one| one.watched).count();
    if stirring.is_empty() {
        return format!("Triggers: {watched} watched, all clear");
    }
    let mut shown = table(["State", "Trigger", "Found", "Why"]);
    for one in stirring {
        let evidence = one.evidence.clone().unwrap_or_default();
        let state = one.state().as_str_name();
        shown.add_row([
            state.trim_start_matches("TRIGGER_STATE_").to_owned(),
            one.title.clone(),
            evidence.value,
            evidence.reason,
        ]);
    }
    format!("Triggers: {watched} watched\n{shown}")
}

/// Who must do what next.
fn next(seen: &Seen) -> Vec<String> {
    let rollout = &seen.rollout;
    let mut next = Vec::new();
    match rollout.state() {
        State::Pending => {
            next.push("anybody: rollout start, once the entry criteria are met".into());
        }
        State::RollingBack => next.push("nobody: the system rolls back".into()),
        State::Paused => {
            for step in rollout.rollback.iter().flat_map(|rollback| &rollback.steps) {
                if step.complete_time.is_none() && !step.by_system {
                    next.push(format!("people: rollout tick-off {}", step.step_id));
                }
            }
            next.push("anybody: rollout resume, with evidence".into());
            if rollout.kill_epoch > 0 || rollout.pause_global {
                next.push("two people: kill release".into());
            }
        }
        State::Running => next.extend(running(seen)),
        State::Archived | State::Unspecified => {}
    }
    for one in &seen.open {
        if !one.roles.is_empty() {
            next.push(format!("{}: {}", one.roles.join(" or "), one.criterion_id));
        }
    }
    next
}

fn running(seen: &Seen) -> Vec<String> {
    let rollout = &seen.rollout;
    let mut next = Vec::new();
    if rollout.next_step_basis_points > 0 {
        let left = duration(rollout.remaining_hold_duration.as_ref());
        next.push(if rollout.next_step_manual {
            format!("two people: rollout ramp, in {left}")
        } else {
            format!("nobody: the plan takes the next step, in {left}")
        });
    }
    if seen.open.is_empty() {
        for role in &rollout.open_approval_roles {
            next.push(format!("{role}: gate report --keep, then rollout approve"));
        }
        if rollout.open_approval_roles.is_empty() && !rollout.next_phase_id.is_empty() {
            next.push(format!("anybody: rollout advance {}", rollout.next_phase_id));
        }
    }
    next
}
