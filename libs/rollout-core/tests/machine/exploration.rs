//! Every story there is, told once: all states that commands on good and bad evidence and days of
//! waiting reach, up to what the rules can tell apart.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use rollout_core::{Report, Standing, State};
use vocab::Role;

use crate::invariant::{hold, replays};
use crate::story::{Command, LEADS, Story, created, days, person, shipped};

const STATES_MAX: usize = 20_000; // Several times what there is: a bound, not an expectation.
const WAIT: Duration = days(1);

/// What the rules can tell apart. Generations and instants only order: they are left out.
type Key = (Option<usize>, State, u16, Vec<String>, Duration, Duration);

fn key(story: &Story) -> Key {
    let rollout = story.rollout();
    let mut roles: Vec<_> =
        rollout.approvals.iter().map(|approval| approval.role.to_string()).collect();
    roles.sort();
    let (time, hold) = (rollout.remaining_time(story.now), rollout.remaining_hold(story.now));
    (rollout.phase_index, rollout.state, rollout.exposure.get(), roles, time, hold)
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
    let mut commands = vec![Command::Start(story.entry_report(&[])), Command::Resume];
    if let Some(share) = rollout.next_step() {
        commands.push(Command::Ramp(share));
    }
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
    commands
}

/// The same commands on evidence that is not met: none of them may raise anything.
fn bad(commands: &[Command]) -> Vec<Command> {
    let spoilt = commands.iter().flat_map(|command| match command {
        Command::Start(entry) => vec![Command::Start(failing(entry.clone()))],
        Command::Approve { actor, role, seen, fresh } => {
            let (actor, role) = (actor.clone(), role.clone());
            let (seen, fresh) = (seen.clone(), failing(fresh.clone()));
            vec![Command::Approve { actor, role, seen, fresh }]
        }
        Command::Advance { to, fresh, entry } => {
            let with =
                |fresh: Report, entry: Report| Command::Advance { to: to.clone(), fresh, entry };
            vec![
                with(failing(fresh.clone()), entry.clone()),
                with(fresh.clone(), failing(entry.clone())),
            ]
        }
        Command::Ramp(_) | Command::Pause | Command::Resume | Command::Tell => Vec::new(),
    });
    spoilt.collect()
}

/// Whether some command other than a pause gets on from here, on good evidence and given time.
fn gets_on(story: &Story) -> bool {
    let mut later = story.clone();
    later.now = later.now.plus(days(30));
    good(&later).iter().any(|command| later.decide(command).is_ok_and(|events| !events.is_empty()))
}

fn finished(story: &Story) -> bool {
    let rollout = story.rollout();
    rollout.next_phase().is_none()
        && rollout.next_step().is_none()
        && rollout.state == State::Running
}

#[test]
fn every_reachable_state_obeys_the_rules_and_none_is_a_dead_end() {
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut open = VecDeque::from([(created(), 0)]);
    seen.insert(key(&open[0].0), 0);
    let mut phases = BTreeSet::new();
    while let Some((story, depth)) = open.pop_front() {
        phases.insert(story.rollout().phase_index);
        assert!(finished(&story) || gets_on(&story), "a dead end: {:?}", key(&story));
        let commands = good(&story);
        for command in bad(&commands) {
            let events = story.decide(&command).unwrap_or_default();
            assert_eq!(events, [], "{command:?} at {:?}", key(&story));
        }
        let mut found = vec![Story { now: story.now.plus(WAIT), ..story.clone() }];
        for command in commands.iter().chain(&[Command::Pause]) {
            let mut after = story.clone();
            if let Ok(events) = after.carry_out(command) {
                hold(&story, command, &events, &after);
                found.push(after);
            }
        }
        for after in found {
            if let Entry::Vacant(unseen) = seen.entry(key(&after)) {
                unseen.insert(depth + 1);
                replays(&after);
                open.push_back((after, depth + 1));
            }
        }
        assert!(seen.len() <= STATES_MAX, "the exploration has no end");
    }
    assert_eq!(phases.len(), 1 + shipped().phases.len(), "pending and every phase are reached");
    let depth = seen.values().max().unwrap();
    assert!(*depth >= 40 && seen.len() >= 300, "{} states, {depth} deep: too few", seen.len());
}
