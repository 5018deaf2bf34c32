//! Ramp steps: at most twice the step before, also across phases (D7 §3.2).

use vocab::BasisPoints;

use super::{phase_name, share_of};
use crate::node::Node;
use crate::problem::{Place, Problems};

/// A share someone wrote down.
struct Step<'p> {
    share: BasisPoints,
    place: Place,
    path: &'p str,
}

/// Checks every single change of the percentage, from nothing to the end.
pub(super) fn steps(plan: &Node, problems: &mut Problems) {
    let mut share = Some(BasisPoints::ZERO);
    for (i, phase) in plan.list("phases").iter().enumerate() {
        let path = format!("phases[{i}]");
        let goal = share_of(phase);
        if let (Some(from), Some(to)) = (share, goal) {
            jump(phase, &path, from, to, problems);
        }
        share = if phase.list("ramp").is_empty() {
            whole(phase, &path, share, problems);
            goal
        } else {
            ramp(phase, &path, share, problems);
            goal.or_else(|| phase.list("ramp").last().and_then(share_at))
        };
    }
}

/// Says that a phase's percentage is reached through steps only.
fn jump(phase: &Node, path: &str, from: BasisPoints, to: BasisPoints, problems: &mut Problems) {
    let shares = phase.list("ramp").iter().filter_map(share_at);
    let through: Vec<_> = shares.filter(|share| *share < to).map(|s| s.to_string()).collect();
    if from.may_become(to) || through.is_empty() {
        return;
    }
    let message = format!(
        "{} goes from {from} to {to}, further than one step may ({}): it goes there through {}",
        phase_name(phase),
        from.largest_next(),
        through.join(", ")
    );
    let place = percentage_of(phase).map_or(phase.place, |node| node.place);
    problems.warning(place, &format!("{path}.flag.percentage"), message);
}

/// A phase without steps reaches its percentage at once.
fn whole(phase: &Node, path: &str, before: Option<BasisPoints>, problems: &mut Problems) {
    let Some(share) = share_of(phase) else { return };
    let place = percentage_of(phase).map_or(phase.place, |node| node.place);
    doubling(before, &Step { share, place, path: &format!("{path}.flag.percentage") }, problems);
}

fn ramp(phase: &Node, path: &str, before: Option<BasisPoints>, problems: &mut Problems) {
    let mut last = before;
    for (i, step) in phase.list("ramp").iter().enumerate() {
        let path = format!("{path}.ramp[{i}].percentage");
        let place = step.get("percentage").map_or(step.place, |node| node.place);
        let Some(share) = share_at(step) else {
            last = None;
            continue;
        };
        doubling(last, &Step { share, place, path: &path }, problems);
        if i > 0 && last.is_some_and(|last| share <= last) {
            let last = last.unwrap_or_default();
            let message = format!("{share} does not rise above the step before, {last}");
            problems.error(place, &path, message);
        }
        last = Some(share);
    }
    ends_at_flag(phase, path, problems);
}

fn ends_at_flag(phase: &Node, path: &str, problems: &mut Problems) {
    let steps = phase.list("ramp");
    let (Some(step), Some(share)) = (steps.last(), share_of(phase)) else { return };
    let Some(last) = share_at(step) else { return };
    if last != share {
        let message = format!(
            "the last step is {last}, but the flag of {} is at {share}: expected {share}",
            phase_name(phase)
        );
        let path = format!("{path}.ramp[{}].percentage", steps.len() - 1);
        problems.error(step.place, &path, message);
    }
}

fn doubling(before: Option<BasisPoints>, step: &Step<'_>, problems: &mut Problems) {
    let Some(before) = before else { return };
    if before.may_become(step.share) {
        return;
    }
    let rule = if before == BasisPoints::ZERO {
        "the first step may be"
    } else {
        "a step may double the one before,"
    };
    let message = format!(
        "{} is too far from {before}: {rule} at most {}",
        step.share,
        before.largest_next()
    );
    problems.error(step.place, step.path, message);
}

fn share_at(step: &Node) -> Option<BasisPoints> {
    BasisPoints::from_percent(step.get("percentage")?.integer()?).ok()
}

fn percentage_of(phase: &Node) -> Option<&Node> {
    phase.get("flag")?.get("percentage")
}
