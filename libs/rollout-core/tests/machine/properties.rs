//! Random stories: good and bad evidence, right and wrong people, pauses at any time.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use rollout_core::{Report, Standing};
use vocab::Role;

use crate::commands::{announced, threshold, trigger};
use crate::invariant::{hold, replays};
use crate::story::{
    Command, LEADS, LINK, Story, created, entered, hours, percent, person, shipped,
};

/// Where random stories begin: before the start, and at the beginning of every phase.
static BEGINNINGS: LazyLock<Vec<Story>> = LazyLock::new(|| {
    let phases = shipped().phases.iter().map(|phase| entered(phase.id.as_str()));
    std::iter::once(created()).chain(phases).collect()
});

/// A line of a random story.
#[derive(Debug, Clone)]
enum Line {
    Start(Evidence),
    Approve {
        who: usize,
        role: usize,
        seen: Evidence,
        fresh: Evidence,
    },
    Advance {
        phase: Option<usize>,
        fresh: Evidence,
        entry: Evidence,
    },
    Ramp(&'static str, Option<i64>),
    Hold(bool),
    Pause(bool),
    Resume(bool),
    Trigger(usize, bool),
    Threshold(bool),
    RollBack(bool),
    Effect,
    TickOff(usize),
    Announce(Evidence),
    Declare(Evidence),
    Task(usize),
    Archive,
    Tell,
    Wait(Duration),
    /// Everything a good conductor does before the next phase.
    MakeReady,
}

#[derive(Debug, Clone, Copy)]
enum Evidence {
    Good,
    Failing,
    Unclear,
    OtherGate,
    EarlierStay,
    Empty,
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![
        30 => Just(Evidence::Good),
        1 => Just(Evidence::Failing),
        1 => Just(Evidence::Unclear),
        1 => Just(Evidence::OtherGate),
        1 => Just(Evidence::EarlierStay),
        1 => Just(Evidence::Empty),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let approval = (0..3_usize, 0..3_usize, evidence(), evidence());
    let phase = prop_oneof![3 => Just(None), 1 => (0..6_usize).prop_map(Some)];
    let share = prop_oneof![2 => Just(None), 1 => (0..=100_i64).prop_map(Some)];
    prop_oneof![
        1 => evidence().prop_map(Line::Start),
        4 => approval.prop_map(|(who, role, seen, fresh)| Line::Approve { who, role, seen, fresh }),
        6 => (phase, evidence(), evidence())
            .prop_map(|(phase, fresh, entry)| Line::Advance { phase, fresh, entry }),
        3 => (prop::sample::select(&["olga", "pete"][..]), share)
            .prop_map(|(who, share)| Line::Ramp(who, share)),
        3 => any::<bool>().prop_map(Line::Hold),
        1 => any::<bool>().prop_map(Line::Pause),
        4 => any::<bool>().prop_map(Line::Resume),
        2 => (0..TRIGGERS.len(), any::<bool>()).prop_map(|(which, firing)| Line::Trigger(which, firing)),
        1 => any::<bool>().prop_map(Line::Threshold),
        1 => any::<bool>().prop_map(Line::RollBack),
        8 => Just(Line::Effect),
        3 => (0..9_usize).prop_map(Line::TickOff),
        2 => evidence().prop_map(Line::Announce),
        2 => evidence().prop_map(Line::Declare),
        2 => (0..9_usize).prop_map(Line::Task),
        1 => Just(Line::Archive),
        2 => Just(Line::Tell),
        3 => (0..200_u64).prop_map(|count| Line::Wait(hours(count))),
        3 => Just(Line::MakeReady),
    ]
}

/// Triggers of every action, and one that the plan does not have.
const TRIGGERS: [&str; 6] = [
    "error-rate-over-10",
    "breaker-open-over-5m",
    "p1-incident",
    "error-rate-over-20",
    "data-corruption",
    "no-such-trigger",
];

fn spoil(mut report: Report, evidence: Evidence) -> Report {
    match evidence {
        Evidence::Good => {}
        Evidence::Failing => open_first(&mut report, Standing::Failed),
        Evidence::Unclear => open_first(&mut report, Standing::Inconclusive),
        Evidence::OtherGate => report.gate_id = "gate-9".to_owned(),
        Evidence::EarlierStay => report.generation = report.generation.saturating_sub(1),
        Evidence::Empty => {
            report.items.clear();
            report.standing = Standing::Inconclusive;
        }
    }
    report.digest = format!("{}{evidence:?}", report.digest);
    report
}

fn open_first(report: &mut Report, standing: Standing) {
    report.standing = standing;
    if let Some(item) = report.items.first_mut() {
        item.standing = standing;
    }
}

/// The command a line gives; `None` where nobody could give it.
fn command(story: &Story, line: &Line) -> Option<Command> {
    let rollout = story.rollout();
    match *line {
        Line::Start(evidence) => Some(Command::Start(spoil(story.entry_report(&[]), evidence))),
        Line::Approve { who, role, seen, fresh } => {
            rollout.phase()?;
            let actor = person(LEADS[who].0, &[LEADS[who].1, LEADS[role].1]);
            let (seen, fresh) =
                (spoil(story.gate_report(&[]), seen), spoil(story.gate_report(&[]), fresh));
            Some(Command::Approve {
                actor,
                role: Role::new(LEADS[role].1).expect("a role"),
                seen,
                fresh,
            })
        }
        Line::Advance { phase, fresh, entry } => {
            rollout.phase()?;
            let next = rollout.next_phase().map(|next| next.id.to_string());
            let to = phase.map_or_else(|| next.unwrap_or_default(), |index| format!("P{index}"));
            let fresh = spoil(story.gate_report(&[]), fresh);
            Some(Command::Advance { to, fresh, entry: spoil(story.entry_report(&[]), entry) })
        }
        Line::Ramp(who, share) => {
            let next = rollout.next_step().unwrap_or_default();
            Some(Command::Ramp(who, share.map_or(next, percent)))
        }
        Line::Hold(thresholds_met) => Some(Command::Hold { thresholds_met }),
        Line::Pause(global) => Some(Command::Pause { global }),
        Line::Resume(evidence) => {
            Some(Command::Resume { evidence: if evidence { LINK } else { "" } })
        }
        Line::Trigger(which, firing) => Some(trigger(TRIGGERS[which], firing)(story)),
        Line::Threshold(firing) => Some(threshold("error_rate", firing)(story)),
        Line::RollBack(to_first) => Some(Command::RollBack { to_first }),
        Line::Effect => Some(Command::Effect),
        Line::TickOff(which) => {
            let step = shipped().rollback_steps.get(which);
            Some(Command::TickOff(
                step.map_or_else(|| "nothing".to_owned(), |one| one.id.to_string()),
            ))
        }
        Line::Announce(evidence) => {
            let Command::Announce(judged) = announced(story) else { return None };
            Some(Command::Announce(spoil(judged, evidence)))
        }
        Line::Declare(evidence) => {
            rollout.phase()?;
            Some(Command::Declare(spoil(story.gate_report(&[]), evidence)))
        }
        Line::Task(which) => {
            let task = shipped().post_ga.get(which);
            Some(Command::Task(task.map_or_else(|| "nothing".to_owned(), |one| one.id.to_string())))
        }
        Line::Archive => Some(Command::Archive),
        Line::Tell => Some(Command::Tell),
        Line::Wait(_) | Line::MakeReady => None,
    }
}

/// Carries out one command, and checks everything about it.
fn carry_out(story: &mut Story, command: &Command) {
    let before = story.clone();
    let decided = story.decide(command);
    assert_eq!(decided, story.decide(command), "deciding twice gives the same");
    match story.carry_out(command) {
        Ok(events) => {
            assert_eq!(decided, Ok(events.clone()));
            hold(&before, command, &events, story);
        }
        Err(refusal) => {
            assert_eq!(story.rollouts, before.rollouts, "a refusal changes nothing");
            assert!(refusal.to_string().len() > 10, "{refusal:?} says why");
        }
    }
}

fn make_ready(story: &mut Story) {
    while story.rollout().next_step().is_some() {
        story.now = story.now.plus(hours(24));
        let taken = story.journal.len();
        carry_out(story, &Command::Hold { thresholds_met: true });
        if story.journal.len() == taken {
            return; // Stopped: nothing to be done here.
        }
    }
    story.now = story.now.plus(story.rollout().remaining_time(story.now));
    for who in 0..LEADS.len() {
        let (seen, fresh) = (Evidence::Good, Evidence::Good);
        let line = Line::Approve { who, role: who, seen, fresh };
        if let Some(command) = command(story, &line) {
            carry_out(story, &command);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_story_breaks_an_invariant(
        beginning in 0..BEGINNINGS.len(),
        lines in prop::collection::vec(line(), 1..100),
    ) {
        let mut story = BEGINNINGS[beginning].clone();
        for line in &lines {
            if let Line::Wait(duration) = line {
                story.now = story.now.plus(*duration);
            } else if matches!(line, Line::MakeReady) {
                make_ready(&mut story);
            } else if let Some(command) = command(&story, line) {
                carry_out(&mut story, &command);
            }
        }
        replays(&story);
    }
}
