//! Simulated people: they attest, approve, fix and release, each in their own time.

use std::collections::BTreeMap;
use std::time::Duration;

use gate_core::Attested;
use killswitch_core::{Resume, Scope, release};
use plan::{Criterion, Judged};
use rollout_core::{
    GA_UNANNOUNCED_GATE, Grounds, Report, Rollout, Situation, State, advance, announce_ga, approve,
    archive, complete_task, declare_ga, resume, roll_back, start, tick_off,
};
use vocab::{Actor, Role, Timestamp};

use crate::world::World;

const ESTIMATE_AFTER: Duration = Duration::from_secs(30 * 60);
const LINK: &str = "https://wiki.example.com/rehearsal";

/// What people have on their minds.
#[derive(Debug, Default)]
pub(crate) struct Minds {
    /// Since when each criterion waits to be attested.
    asked: BTreeMap<String, Timestamp>,
    /// Since when the gate at the end of the phase has been met.
    met_since: Option<(u64, Timestamp)>,
    /// The reports that were approved.
    approved: Vec<Report>,
    /// Since when everything has stood still.
    stopped_since: Option<Timestamp>,
    /// Whether it was said how long the fix would take.
    estimated: bool,
}

fn person(role: &Role) -> Actor {
    Actor { subject: role.to_string(), roles: [role.clone()].into(), authenticated: true }
}

/// Lets people do whatever their time has come for.
pub(crate) fn act(world: &mut World<'_>, minds: &mut Minds) {
    let Some(state) = world.rollout().map(|rollout| rollout.state) else { return };
    if !matches!(state, State::Paused | State::RollingBack) {
        minds.stopped_since = None;
        minds.estimated = false;
    }
    match state {
        State::Pending => begin(world, minds),
        State::Running => go_on(world, minds),
        State::Paused => fix(world, minds),
        State::RollingBack => {
            minds.stopped_since.get_or_insert(world.now);
            minds.approved.clear();
        }
        State::Archived => {}
    }
}

fn entry_gate(rollout: &Rollout) -> Option<String> {
    rollout.next_phase().map(|next| format!("{}-entry", next.id.as_str().to_lowercase()))
}

fn begin(world: &mut World<'_>, minds: &mut Minds) {
    let Some(gate) = world.rollout().and_then(entry_gate) else { return };
    let first = world.plan.phases.first().map_or(&[][..], |phase| &phase.entry);
    attest(world, minds, first.iter().collect());
    let report = world.report(&gate);
    let events = world.rollout().map(|rollout| start(rollout, &report));
    if let Some(Ok(events)) = events {
        world.record(&events, "engineering_lead");
    }
}

/// States what is open, each by whoever may, when it has waited for long enough.
fn attest(world: &mut World<'_>, minds: &mut Minds, criteria: Vec<&Criterion>) {
    let (now, patience) = (world.now, world.scenario.people.attest_after);
    for criterion in criteria {
        let roles = match &criterion.judged {
            Judged::Attestation { roles } => &roles[..1.min(roles.len())],
            Judged::SignOff { roles } => roles,
            Judged::Metric(_) | Judged::Observed(_) => continue,
        };
        let id = criterion.id.to_string();
        if world.attested.contains_key(&id) {
            continue;
        }
        let since = *minds.asked.entry(id.clone()).or_insert(now);
        if now.since(since) < patience {
            continue;
        }
        minds.asked.remove(&id);
        for role in roles {
            let (actor, role, evidence) = (role.to_string(), role.clone(), LINK.to_owned());
            world.say(&actor, format!("states that {id} is met"));
            let said = Attested { actor, role, evidence, at: now };
            world.attested.entry(id.clone()).or_default().push(said);
        }
    }
}

fn go_on(world: &mut World<'_>, minds: &mut Minds) {
    let Some(rollout) = world.rollout() else { return };
    if rollout.ga_declared_at.is_some() {
        return finish(world);
    }
    let plan = world.plan;
    let Some(phase) = rollout.phase_index.and_then(|index| plan.phases.get(index)) else { return };
    let next = rollout.phase_index.and_then(|index| plan.phases.get(index + 1));
    let (gate, entry) = (rollout.end_gate().map(|gate| gate.id.to_owned()), entry_gate(rollout));
    let late = next.is_none();
    let mut criteria: Vec<&Criterion> = phase.gate.iter().flat_map(|gate| &gate.criteria).collect();
    criteria.extend(next.iter().flat_map(|next| &next.entry));
    if late {
        let ga = &plan.ga;
        criteria.extend([&ga.quantitative, &ga.qualitative, &ga.checklist].into_iter().flatten());
        announce(world);
    }
    attest(world, minds, criteria);
    let Some(gate) = gate else { return };
    approve_gate(world, minds, &gate);
    let fresh = world.report(&gate);
    let Some(rollout) = world.rollout() else { return };
    let sre = Role::new("release_manager").map(|role| person(&role));
    let Ok(actor) = sre else { return };
    let done = match (next, entry) {
        (Some(next), Some(entry)) => {
            let entry = world.report(&entry);
            let grounds = Grounds { approved: &minds.approved, fresh: &fresh, entry: &entry };
            advance(rollout, &actor, next.id.as_str(), grounds, world.now)
        }
        _ => declare_ga(rollout, &actor, &minds.approved, &fresh, world.now),
    };
    if let Ok(events) = done
        && !events.is_empty()
    {
        minds.approved.clear();
        minds.asked.clear();
        world.record(&events, "release_manager");
    }
}

/// Everybody approves a gate that has been met for long enough.
fn approve_gate(world: &mut World<'_>, minds: &mut Minds, gate: &str) {
    let fresh = world.report(gate);
    let Some(rollout) = world.rollout() else { return };
    let (generation, open) = (rollout.phase_generation, rollout.open_approvals());
    if !fresh.is_met()
        || !world.rollout().is_some_and(|one| one.remaining_time(world.now).is_zero())
    {
        minds.met_since = None;
        return;
    }
    let (of, since) = *minds.met_since.get_or_insert((generation, world.now));
    if of != generation {
        minds.met_since = Some((generation, world.now));
        return;
    }
    if open.is_empty() || world.now.since(since) < world.scenario.people.approve_after {
        return;
    }
    for role in open {
        let Some(rollout) = world.rollout() else { return };
        let actor = person(&role);
        if let Ok(events) = approve(rollout, &actor, &role, &fresh, &fresh, "") {
            world.record(&events, &actor.subject);
            minds.approved.push(fresh.clone());
        }
    }
}

fn announce(world: &mut World<'_>) {
    let judged = world.report(GA_UNANNOUNCED_GATE);
    let Some(rollout) = world.rollout() else { return };
    if rollout.ga_announced_at.is_some() {
        return;
    }
    if let Ok(events) = announce_ga(rollout, &judged, world.now) {
        world.record(&events, "product_manager");
    }
}

fn finish(world: &mut World<'_>) {
    for task in &world.plan.post_ga {
        let Some(rollout) = world.rollout() else { return };
        let due = rollout.ga_declared_at.map(|declared| declared.plus(task.due_after));
        if due.is_some_and(|due| world.now >= due)
            && let Ok(events) = complete_task(rollout, task.id.as_str(), LINK)
        {
            world.record(&events, "engineering_lead");
        }
    }
    let over = world.rollout().map(|rollout| archive(rollout, "it is generally available"));
    if let Some(Ok(events)) = over {
        world.record(&events, "product_manager");
    }
}

/// Finds the cause, fixes it, and lets work go on.
fn fix(world: &mut World<'_>, minds: &mut Minds) {
    minds.approved.clear();
    let since = *minds.stopped_since.get_or_insert(world.now);
    let stopped_for = world.now.since(since);
    if !minds.estimated && stopped_for >= ESTIMATE_AFTER {
        minds.estimated = true;
        estimate(world);
    }
    let expected = world.scenario.faults.iter().find_map(|fault| fault.expected);
    if stopped_for < expected.unwrap_or(world.scenario.people.fix_after) {
        return;
    }
    world.resolve_incidents();
    let Some(rollout) = world.rollout() else { return };
    let Ok(role) = Role::new("sre_lead") else { return };
    let actor = person(&role);
    let open: Vec<_> = match rollout.rollback_in_force() {
        Some(rollback) => {
            rollback.open_before_resume(world.plan).iter().map(|step| step.id.to_string()).collect()
        }
        None => Vec::new(),
    };
    for step in open {
        let Some(rollout) = world.rollout() else { return };
        if let Ok(events) = tick_off(rollout, &actor, &step, "done", LINK) {
            world.record(&events, &actor.subject);
        }
    }
    let Some(rollout) = world.rollout() else { return };
    if let Ok(events) = resume(rollout, &actor, "the cause is fixed", LINK) {
        world.record(&events, &actor.subject);
        world.rearm();
        release_kill(world);
    }
}

/// Says what was found and how long it will take, and does what the decision matrix then says.
fn estimate(world: &mut World<'_>) {
    let faults = &world.scenario.faults;
    let Some(found) =
        faults.iter().find(|fault| fault.expected.is_some() || !fault.conditions.is_empty())
    else {
        return;
    };
    let rolls_back = world.advise(Situation {
        conditions: &found.conditions,
        expected: found.expected,
        incident: None,
    });
    let Some(rollout) = world.rollout().filter(|one| rolls_back && one.state == State::Paused)
    else {
        return;
    };
    if let Ok(events) = roll_back(rollout, false, "the decision matrix says so") {
        world.record(&events, "sre_lead");
    }
}

/// Two people release the kill switch, where it is engaged.
fn release_kill(world: &mut World<'_>) {
    let scope = Scope::Pipeline(world.plan.pipeline.clone());
    for who in ["sre_lead", "engineering_lead"] {
        let Some(switch) = world.switches.get(&scope).filter(|switch| switch.engaged) else {
            return;
        };
        let resume = Resume {
            actor: who.to_owned(),
            seen: switch.epoch,
            reason: "the cause is fixed".to_owned(),
            evidence: LINK.to_owned(),
            ramp: Duration::ZERO,
        };
        if let Ok(Some(event)) = release(&world.switches, 0, scope.clone(), resume) {
            world.switches.apply(event, who, world.now);
            world.say(who, "releases the kill switch, or asks for it");
        }
    }
}
