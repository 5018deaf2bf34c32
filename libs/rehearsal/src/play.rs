//! A rehearsal from beginning to end.

use std::time::Duration;

use flag_core::{Attributes, Audience, Definition, Flag, Question, evaluate};
use gate_core::{BreakerState, Day, Entry, Field, Happening, limits};
use killswitch_core::{Rules, Scope, engage, take_rules};
use plan::{Metric, Plan};
use rollout_core::{
    Application, Effect, Event, Rollout, State, SystemStep, approve_plan, create,
    kill_switch_engaged, next_effect, overdue, ramp_automatically, reenter, step_done, store_plan,
};
use vocab::Actor;

use crate::outcome::{Rehearsal, conclude};
use crate::people::{Minds, act};
use crate::scenario::{FaultKind, Scenario, Until};
use crate::trouble::Trouble;
use crate::world::{ROLLOUT, World};

const STEP: Duration = Duration::from_secs(15 * 60);
const STEP_FINE: Duration = Duration::from_secs(60); // While something goes wrong.
const FORCED: Duration = Duration::from_secs(26 * 3_600); // From one forced breaker to the next.
const PEOPLE_LOOK: i64 = 2 * 3_600; // How often people look, in seconds, while all is quiet.
const AFTERWARDS: Duration = Duration::from_secs(2 * 3_600); // Looked at closely still.
const QUOTA_DAYS: f64 = 1.0;
const EFFECTS_MAX: usize = 64;

/// Plays `scenario` on `plan`. `source`: the plan file. The same seed gives the same.
#[must_use]
pub fn rehearse(plan: &Plan, source: &[u8], scenario: &Scenario, seed: u64) -> Rehearsal {
    let mut world = World::new(plan, scenario, limits(plan), seed);
    let mut minds = Minds::default();
    set_up(&mut world, source);
    let mut troubles: Vec<Trouble<'_>> = scenario.faults.iter().map(Trouble::new).collect();
    let end = scenario.start.plus(scenario.longest);
    let (mut day, mut hour) = (Day::number_of(world.now), 0);
    let mut calm_at = world.now;
    while world.now < end && !is_over(&world, &troubles) {
        let trouble = troubles.iter().any(Trouble::is_on);
        let step = if trouble || world.now < calm_at { STEP_FINE } else { STEP };
        world.now = world.now.plus(step);
        carry_out(&mut world);
        troubles.iter_mut().for_each(|one| one.look(&mut world));
        let silent = troubles.iter().any(|one| one.is(FaultKind::Silence));
        if !silent {
            upload(&mut world, &troubles, step);
            let this_hour = world.now.as_seconds().div_euclid(3_600);
            if this_hour != hour {
                hour = this_hour;
                report_hour(&mut world);
            }
        }
        let stirring = world.watch(step);
        if stirring > 0 || trouble {
            calm_at = world.now.plus(AFTERWARDS);
        }
        carry_out(&mut world);
        pass_time(&mut world);
        let rings = world.now.as_seconds().rem_euclid(PEOPLE_LOOK) < step.as_secs().cast_signed();
        if rings || world.now < calm_at {
            act(&mut world, &mut minds);
        }
        carry_out(&mut world);
        let today = Day::number_of(world.now);
        if today != day {
            world.end_day(day);
            day = today;
            world.recorded.forget(world.now);
        }
    }
    conclude(world)
}

fn is_over(world: &World<'_>, troubles: &[Trouble<'_>]) -> bool {
    let Some(rollout) = world.rollout() else { return false };
    match world.scenario.until {
        Until::Archived => rollout.state == State::Archived,
        Until::GenerallyAvailable => rollout.ga_declared_at.is_some(),
        Until::Resumed => {
            let over = troubles.iter().all(|one| one.ended);
            over && world.facts.resumed > 0 && rollout.state == State::Running
        }
        Until::Longest => false,
    }
}

fn set_up(world: &mut World<'_>, source: &[u8]) {
    world.say("rehearsal", world.scenario.title.clone());
    let Ok((name, events)) = store_plan(&world.rollouts, world.plan, source) else { return };
    world.record(&events, "product_manager");
    for role in world.plan.document.approvers.clone() {
        let actor =
            Actor { subject: role.to_string(), roles: [role.clone()].into(), authenticated: true };
        if let Ok(events) = approve_plan(&world.rollouts, &name, &actor, &role) {
            world.record(&events, &actor.subject);
        }
    }
    if let Ok(events) = create(&world.rollouts, ROLLOUT, &name, false) {
        world.record(&events, "product_manager");
    }
    let rules = &world.plan.kill_switch;
    let rules = Rules {
        pipeline: world.plan.pipeline.clone(),
        generation: 1,
        lease: rules.stale_after,
        on_stale: killswitch_core::OnStale::FailClosed,
        second_person: rules.release_needs_second_person,
        drill_valid: rules.drill_valid_for,
    };
    if let Some(event) = take_rules(&world.switches, rules) {
        world.switches.apply(event, "system:rollout", world.now);
    }
}

/// Carries out what the conductor's core says is to be done, as its service does.
fn carry_out(world: &mut World<'_>) {
    for _effect in 0..EFFECTS_MAX {
        let Some(effect) = world.rollout().and_then(next_effect) else { return };
        match effect {
            Effect::EngageKillSwitch { pipeline, reason, rollback_id } => {
                let scope = Scope::Pipeline(pipeline);
                if let Some(event) = engage(&world.switches, 0, scope.clone(), reason, false) {
                    world.switches.apply(event, "system:rollout", world.now);
                }
                let epoch = world.switches.get(&scope).map_or(0, |switch| switch.epoch);
                let detail = format!("engaged, epoch {epoch}");
                let kill = SystemStep::ActivateKillSwitch;
                record(world, |rollout| match &rollback_id {
                    Some(id) => step_done(rollout, id, kill, &detail, b""),
                    None => kill_switch_engaged(rollout, epoch),
                });
            }
            Effect::Apply(application) => {
                apply(world, &application);
                let generation = application.generation;
                record(world, |rollout| {
                    let rollout = rollout.name.clone();
                    vec![Event::GenerationApplied { rollout, generation }]
                });
            }
            Effect::Step { rollback_id, step } => {
                record(world, |rollout| step_done(rollout, &rollback_id, step, "done", b""));
            }
            Effect::Reenter { rollback_id } => {
                record(world, |rollout| reenter(rollout, &rollback_id));
            }
        }
    }
}

fn record(world: &mut World<'_>, decide: impl Fn(&Rollout) -> Vec<Event>) {
    let events = world.rollout().map(decide).unwrap_or_default();
    world.record(&events, "system:rollout");
}

fn apply(world: &mut World<'_>, application: &Application) {
    world.passed_gates = application.passed_gates.iter().cloned().collect();
    let Some(told) = &application.flag else { return };
    let Ok(audience) = Audience::from_plan(&told.form, told.exposure) else { return };
    world.flag = Some(Flag {
        key: told.flag.clone(),
        pipeline: application.pipeline.clone(),
        definition: Definition::Audience(Box::new(audience)),
        limits: flag_core::Limits {
            uploads_per_day: told.limits.uploads_per_day,
            file_size_max_bytes: Some(told.limits.file_size_max_bytes),
        },
        rollout: application.rollout.clone(),
        phase: Some(told.phase.clone()),
        generation: application.generation,
        paused: told.paused,
        about: flag_core::About::default(),
    });
}

/// Uploads of whoever is on.
fn upload(world: &mut World<'_>, troubles: &[Trouble<'_>], step: Duration) {
    let now = world.now;
    let mut per_day = uploads_per_day(world);
    let still = troubles.iter().map(Trouble::in_flight).max().unwrap_or_default();
    if per_day > 0.0 {
        world.last_rate = per_day;
    } else if world.facts.first_action.is_some_and(|at| now.since(at) < still) {
        per_day = world.last_rate; // What was taken in before the stop.
    }
    let error_rate = troubles.iter().filter_map(|one| one.error_rate(now)).max();
    let tally = world.fleet.upload(per_day, step, error_rate, &world.limits_ms);
    world.facts.uploads += tally.processed();
    world.recorded.absorb(now, &tally);
}

/// How many uploads a day those who are on make, by the flag's core.
fn uploads_per_day(world: &mut World<'_>) -> f64 {
    let killed = world.is_killed();
    let decided_by = (world.flag.as_ref().map_or(0, |flag| flag.generation), killed);
    if world.rate_by.0 != decided_by {
        world.rate_by = (decided_by, ask_everybody(world, killed));
    }
    world.rate_by.1
}

fn ask_everybody(world: &World<'_>, killed: bool) -> f64 {
    let Some(flag) = &world.flag else { return 0.0 };
    let shape = &world.scenario.fleet;
    let attributes = Attributes::new();
    let is_on = |workspace: &str| {
        let question =
            Question { key: Some(workspace), facts: &attributes, killed, now: world.now };
        evaluate(flag, &question).is_ok_and(|found| found.enabled)
    };
    let listed: Vec<_> = match flag.definition.audience() {
        Some(audience) => audience.allow.listed().iter().filter(|one| one.is_exact()).collect(),
        None => Vec::new(),
    };
    let listed_on = listed.iter().filter(|one| is_on(one.as_str())).count();
    let clients = (0..shape.workspaces).filter(|number| is_on(&format!("ws-{number}"))).count();
    let first = world.rollout().is_some_and(|rollout| rollout.phase_index == Some(0));
    let usual = if first { shape.synthetic_per_day } else { shape.uploads_per_day };
    let quota = flag.limits.uploads_per_day.map_or(f64::INFINITY, f64::from) / QUOTA_DAYS;
    number(listed_on + clients) * f64::from(usual).min(quota)
}

#[expect(clippy::cast_precision_loss, reason = "a number of workspaces")]
const fn number(count: usize) -> f64 {
    count as f64
}

/// What is reported every hour: gauges, probes, and that nothing else has happened.
fn report_hour(world: &mut World<'_>) {
    for label in ["P1", "P2"] {
        for metric in [Metric::OpenBugs, Metric::OpenIncidents] {
            world.record_entry(&Entry::Gauge(metric, label.to_owned(), 0));
        }
    }
    world.record_entry(&Entry::Gauge(Metric::StagingBacklog, String::new(), 1_200));
    world.record_entry(&Entry::Gauge(Metric::DbCpu, String::new(), 300_000));
    world.record_entry(&Entry::Counted(Field::Probe { good: true }, 60));
    for what in [
        Happening::SupportTicket,
        Happening::Complaint,
        Happening::OnCallPage,
        Happening::ConcurrencyBreach,
    ] {
        world.record_entry(&Entry::Counted(Field::Looked(what), 1));
    }
    let first = world
        .rollout()
        .is_some_and(|rollout| rollout.phase_index == Some(0) && rollout.state == State::Running);
    if first {
        exercise(world);
    }
}

/// What the team does in the first phase: every transition, a forced breaker, a drill.
fn exercise(world: &mut World<'_>) {
    for transition in &world.plan.state_transitions {
        world.recorded.add(world.now, &Entry::Transition(transition.clone()), &[]);
    }
    let Some(rollout) = world.rollout() else { return };
    let (generation, now) = (rollout.phase_generation, world.now);
    // Two forced breakers within a day would be a reason to roll back.
    let forced = world.exercised.is_none_or(|(of, at)| of != generation && now.since(at) > FORCED);
    if forced {
        world.exercised = Some((generation, now));
        for state in [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed] {
            world.record_entry(&Entry::Breaker("forced".to_owned(), state));
        }
        world.record_entry(&Entry::Drill);
        world.say("sre_lead", "forces a breaker, and drills the kill switch");
    }
}

/// What time alone brings.
fn pass_time(world: &mut World<'_>) {
    let now = world.now;
    record(world, |rollout| overdue(rollout, now));
    let due = world.rollout().is_some_and(|one| rollout_core::ramp_is_due(one, now).is_some());
    if due && world.thresholds_met() {
        record(world, |rollout| ramp_automatically(rollout, true, now));
    }
}
