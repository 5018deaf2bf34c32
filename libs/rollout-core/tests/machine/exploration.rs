//! Every story there is, told once: all states that commands on good and bad evidence, triggers,
//! effects and days of waiting reach, up to what the rules can tell apart.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use plan::TriggerAction;
use rollout_core::{Event, Report, Standing, State, next_effect};
use vocab::Role;

use crate::commands::{announced, declared, trigger};
use crate::invariant::{hold, replays};
use crate::story::{Command, LEADS, Story, created, days, person, shipped};

const STATES_MAX: usize = 20_000; // Several times what there is: a bound, not an expectation.
const WAIT: Duration = days(1);
const REPLAYED_EVERY: usize = 97; // A replay reads the plan file; one in so many stories will do.
/// One trigger for each action.
const TRIGGERS: [&str; 4] =
    ["error-rate-over-10", "breaker-open-over-5m", "error-rate-over-20", "data-corruption"];

/// What the rules can tell apart. Generations and instants only order: they are left out.
type Key = (Stand, Stopped, Vec<String>, Option<Duration>, Duration, (bool, bool, usize));
type Stand = (Option<usize>, State, u16);
type Stopped = (Option<bool>, bool, Option<(TriggerAction, String, Vec<String>)>);

fn key(story: &Story) -> Key {
    let rollout = story.rollout();
    let mut roles: Vec<_> =
        rollout.approvals.iter().map(|approval| approval.role.to_string()).collect();
    roles.sort();
    let (time, hold) = (rollout.remaining_time(story.now), rollout.remaining_hold(story.now));
    let pause = rollout.pause.as_ref();
    let rollback = rollout.rollback_in_force().map(|rollback| {
        let done = rollback.done.iter().map(|step| step.id.clone()).collect();
        (rollback.action, rollback.to_phase_id.clone(), done)
    });
    let told = next_effect(rollout).is_none();
    let since = rollout.rollback_in_force().is_none().then_some(time);
    let ended = (
        rollout.ga_announced_at.is_some(),
        rollout.ga_declared_at.is_some(),
        rollout.post_ga_done.len(),
    );
    (
        (rollout.phase_index, rollout.state, rollout.exposure.get()),
        (pause.map(|pause| pause.global), told && rollback.is_some(), rollback),
        roles,
        since,
        hold,
        ended,
    )
}

fn failing(mut report: Report) -> Report {
    report.standing = Standing::Failed;
    if let Some(item) = report.items.first_mut() {
        item.standing = Standing::Failed;
    }
    report
}

/// The commands on evidence that is met.
fn good(story: &Story) -> Vec<Command> {
    let rollout = story.rollout();
    let mut commands = vec![
        Command::Start(story.entry_report(&[])),
        Command::Resume { evidence: crate::story::LINK },
        Command::Hold { thresholds_met: true },
        Command::Effect,
        Command::Archive,
    ];
    if rollout.phase_index.is_none() {
        return commands;
    }
    for (name, role) in LEADS {
        let (seen, fresh) = (story.gate_report(&[]), story.gate_report(&[]));
        let (actor, role) = (person(name, &[role]), Role::new(role).expect("a role"));
        commands.push(Command::Approve { actor, role, seen, fresh });
    }
    for phase in &shipped().phases {
        let (fresh, entry) = (story.gate_report(&[]), story.entry_report(&[]));
        commands.push(Command::Advance { to: phase.id.to_string(), fresh, entry });
    }
    commands.extend([announced(story), declared(story)]);
    let undone = |id: &str| !rollout.post_ga_done.contains(id);
    let task = shipped().post_ga.iter().find(|task| undone(task.id.as_str()));
    commands.extend(task.map(|task| Command::Task(task.id.to_string())));
    let steps = shipped().rollback_steps.iter().filter(|step| !step.by_system);
    commands.extend(steps.map(|step| Command::TickOff(step.id.to_string())));
    commands
}

/// The same commands on evidence that is not met: none of them may raise anything.
fn bad(commands: &[Command]) -> Vec<Command> {
    let mut spoilt = vec![Command::Hold { thresholds_met: false }];
    for command in commands {
        match command {
            Command::Start(entry) => spoilt.push(Command::Start(failing(entry.clone()))),
            Command::Approve { actor, role, seen, fresh } => {
                let (actor, role) = (actor.clone(), role.clone());
                let (seen, fresh) = (seen.clone(), failing(fresh.clone()));
                spoilt.push(Command::Approve { actor, role, seen, fresh });
            }
            Command::Advance { to, fresh, entry } => {
                let with = |fresh: Report, entry: Report| Command::Advance {
                    to: to.clone(),
                    fresh,
                    entry,
                };
                spoilt.push(with(failing(fresh.clone()), entry.clone()));
                spoilt.push(with(fresh.clone(), failing(entry.clone())));
            }
            Command::Announce(judged) => spoilt.push(Command::Announce(failing(judged.clone()))),
            Command::Declare(fresh) => spoilt.push(Command::Declare(failing(fresh.clone()))),
            Command::Ramp(..)
            | Command::Hold { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::React(_)
            | Command::RollBack { .. }
            | Command::Effect
            | Command::TickOff(_)
            | Command::Task(_)
            | Command::Archive
            | Command::Tell => {}
        }
    }
    spoilt
}

/// What stops it or takes it back: a trigger that fires and clears, or a person.
fn stopping(story: &Story) -> Vec<Vec<Command>> {
    let mut stops: Vec<_> = TRIGGERS
        .iter()
        .map(|id| vec![trigger(id, true)(story), trigger(id, false)(story)])
        .collect();
    stops.push(vec![Command::Pause { global: false }]);
    stops.push(vec![Command::Pause { global: true }]);
    stops
}

/// Whether some command that stops nothing gets on from here, on good evidence and given time.
fn gets_on(story: &Story) -> bool {
    let mut later = story.clone();
    later.now = later.now.plus(days(30));
    good(&later).iter().any(|command| later.decide(command).is_ok_and(|events| !events.is_empty()))
}

/// Carries commands out one after the other, and checks each; `None` where one is refused.
fn carried_out(story: &Story, commands: &[Command]) -> Option<Story> {
    let mut after = story.clone();
    for command in commands {
        let before = after.clone();
        let events = after.carry_out(command).ok()?;
        hold(&before, command, &events, &after);
    }
    Some(after)
}

#[test]
fn every_reachable_state_obeys_the_rules_and_none_is_a_dead_end() {
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut beginning = created();
    // The plan's file is the same in all of them: no need to carry it along.
    if let Some((Event::PlanStored { source, .. }, _)) = beginning.journal.first_mut() {
        source.clear();
    }
    let mut open = VecDeque::from([(beginning, 0)]);
    seen.insert(key(&open[0].0), 0);
    let (mut reached, mut rollbacks) = (BTreeSet::new(), BTreeSet::new());
    while let Some((story, depth)) = open.pop_front() {
        let rollout = story.rollout();
        reached.insert((rollout.phase_index, rollout.state.name()));
        if let Some(rollback) = rollout.rollback_in_force() {
            rollbacks.insert((rollback.from_phase_id.clone(), rollback.to_phase_id.clone()));
        }
        let over = rollout.state == State::Archived;
        assert!(over || gets_on(&story), "a dead end: {:?}", key(&story));
        let commands = good(&story);
        for command in bad(&commands) {
            let events = story.decide(&command).unwrap_or_default();
            assert_eq!(events, [], "{command:?} at {:?}", key(&story));
        }
        let mut found = vec![Story { now: story.now.plus(WAIT), ..story.clone() }];
        let each = commands.into_iter().map(|command| vec![command]);
        found.extend(each.chain(stopping(&story)).filter_map(|some| carried_out(&story, &some)));
        for after in found {
            if let Entry::Vacant(unseen) = seen.entry(key(&after)) {
                unseen.insert(depth + 1);
                open.push_back((after, depth + 1));
            }
        }
        assert!(seen.len() <= STATES_MAX, "the exploration has no end");
    }
    let phases = shipped().phases.len();
    for state in ["RUNNING", "PAUSED", "ROLLING_BACK"] {
        for index in 0..phases {
            assert!(reached.contains(&(Some(index), state)), "{state} is not reached in P{index}");
        }
    }
    let pairs = ["P0 P0", "P1 P0", "P2 P1", "P3 P2", "P4 P3", "P2 P0", "P3 P0", "P4 P0"];
    for pair in pairs {
        let (from, to) = pair.split_once(' ').expect("two phases");
        assert!(rollbacks.contains(&(from.to_owned(), to.to_owned())), "no rollback {pair}");
    }
    let depth = seen.values().max().unwrap();
    assert!(*depth >= 40 && seen.len() >= 1_000, "{} states, {depth} deep: too few", seen.len());
}

#[test]
fn replaying_the_journal_gives_the_same_state() {
    let mut story = created();
    let mut turn = 0_usize;
    while turn < REPLAYED_EVERY * 4 {
        let commands = good(&story);
        let stops = stopping(&story);
        let chosen = if turn % 11 == 10 {
            stops[turn % stops.len()].clone()
        } else {
            vec![commands[turn % commands.len()].clone()]
        };
        if let Some(after) = carried_out(&story, &chosen) {
            story = after;
        }
        story.now = story.now.plus(WAIT);
        turn += 1;
        if turn.is_multiple_of(REPLAYED_EVERY) {
            replays(&story);
        }
    }
}
