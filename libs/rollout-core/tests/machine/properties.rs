//! Random stories: good and bad evidence, right and wrong people, pauses at any time.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use rollout_core::{Report, Standing};
use vocab::Role;

use crate::invariant::{hold, replays};
use crate::story::{Command, LEADS, Story, created, entered, hours, percent, person, shipped};

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
    Ramp(Option<i64>),
    Pause,
    Resume,
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
        4 => share.prop_map(Line::Ramp),
        1 => Just(Line::Pause),
        3 => Just(Line::Resume),
        2 => Just(Line::Tell),
        3 => (0..200_u64).prop_map(|count| Line::Wait(hours(count))),
        3 => Just(Line::MakeReady),
    ]
}

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
        Line::Ramp(share) => Some(Command::Ramp(
            share.map_or_else(|| rollout.next_step().unwrap_or_default(), percent),
        )),
        Line::Pause => Some(Command::Pause),
        Line::Resume => Some(Command::Resume),
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
    while let Some(share) = story.rollout().next_step() {
        story.now = story.now.plus(hours(24));
        let taken = story.journal.len();
        carry_out(story, &Command::Ramp(share));
        if story.journal.len() == taken {
            return; // Paused: nothing to be done here.
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
            match line {
                Line::Wait(duration) => story.now = story.now.plus(*duration),
                Line::MakeReady => make_ready(&mut story),
                Line::Start(_)
                | Line::Approve { .. }
                | Line::Advance { .. }
                | Line::Ramp(_)
                | Line::Pause
                | Line::Resume
                | Line::Tell => {
                    if let Some(command) = command(&story, line) {
                        carry_out(&mut story, &command);
                    }
                }
            }
        }
        replays(&story);
    }
}
