//! What people and services ask for.

use rollout_core::{Firing, GA_UNANNOUNCED_GATE, Watched};
use vocab::Role;

use crate::story::{Command, LINK, Story, percent, person, report};

pub(crate) fn begin(story: &Story) -> Command {
    Command::Start(story.entry_report(&[]))
}

pub(crate) fn approval(name: &str, role: &str) -> impl FnOnce(&Story) -> Command {
    let (actor, role) = (person(name, &[role]), Role::new(role).expect("a role"));
    move |story| {
        let (seen, fresh) = (story.gate_report(&[]), story.gate_report(&[]));
        Command::Approve { actor, role, seen, fresh }
    }
}

pub(crate) fn to(phase: &str) -> impl FnOnce(&Story) -> Command {
    let to = phase.to_owned();
    move |story| {
        let (fresh, entry) = (story.gate_report(&[]), story.entry_report(&[]));
        Command::Advance { to, fresh, entry }
    }
}

/// Another person than whoever asked takes a step.
pub(crate) fn step(share: i64) -> impl FnOnce(&Story) -> Command {
    move |_| Command::Ramp("pete", percent(share))
}

/// Somebody asks for a step.
pub(crate) fn asked(share: i64) -> impl FnOnce(&Story) -> Command {
    move |_| Command::Ramp("olga", percent(share))
}

/// Time passes for the plan to take a step, thresholds being met.
pub(crate) fn held(_: &Story) -> Command {
    Command::Hold { thresholds_met: true }
}

pub(crate) fn paused(_: &Story) -> Command {
    Command::Pause { global: false }
}

pub(crate) fn resumed(_: &Story) -> Command {
    Command::Resume { evidence: "" }
}

pub(crate) fn resumed_on_evidence(_: &Story) -> Command {
    Command::Resume { evidence: LINK }
}

pub(crate) fn ticked(step: &'static str) -> impl FnOnce(&Story) -> Command {
    move |_| Command::TickOff(step.to_owned())
}

/// The gate service says that a trigger of the plan holds, or holds no more.
pub(crate) fn trigger(id: &'static str, firing: bool) -> impl FnOnce(&Story) -> Command {
    watched(Watched::Trigger, id, firing)
}

pub(crate) fn threshold(id: &'static str, firing: bool) -> impl FnOnce(&Story) -> Command {
    watched(Watched::Threshold, id, firing)
}

fn watched(kind: Watched, id: &'static str, firing: bool) -> impl FnOnce(&Story) -> Command {
    move |story| {
        Command::React(Firing {
            cursor: story.journal.len() as u64 + 1,
            phase_generation: story.rollout().phase_generation,
            id: id.to_owned(),
            incident: String::new(),
            kind,
            firing,
            title: id.to_owned(),
            evidence: "as measured".to_owned(),
            at: story.now,
        })
    }
}

/// The declaration's gate without what its announcement brings, met but for `open`.
pub(crate) fn announced(story: &Story) -> Command {
    let generation = story.rollout().phase_generation;
    Command::Announce(report(GA_UNANNOUNCED_GATE, generation, [].into_iter(), &[]))
}

pub(crate) fn declared(story: &Story) -> Command {
    Command::Declare(story.gate_report(&[]))
}

/// An incident that fires by itself.
pub(crate) fn incident(
    id: &'static str,
    incident: &'static str,
    firing: bool,
) -> impl FnOnce(&Story) -> Command {
    move |story| {
        let Command::React(told) = watched(Watched::Trigger, id, firing)(story) else {
            unreachable!("what is watched is reacted to")
        };
        Command::React(Firing { incident: incident.to_owned(), ..told })
    }
}
