//! What came of a rehearsal, compared with what was expected.

use std::time::Duration;

use rollout_core::{Rollout, State};
use vocab::{Timestamp, format_duration};

use crate::world::World;

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// In which phase; empty before the first.
    pub phase: String,
    /// Who.
    pub actor: String,
    /// What.
    pub text: String,
}

/// What came of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// What happened, in order.
    pub lines: Vec<Line>,
    /// How long it took on virtual time.
    pub lasted: Duration,
    /// Simulated uploads.
    pub uploads: u64,
    /// What was expected and did not come; empty where all did.
    pub missed: Vec<String>,
}

/// Compares what came with what was expected.
pub(crate) fn conclude(mut world: World<'_>) -> Rehearsal {
    let ended = end_of(&world);
    let open = world.rollout().and_then(Rollout::end_gate).map(|gate| gate.id.to_owned());
    if let Some(gate) = open.filter(|_| ended != "archived") {
        let items = world.open_items(&gate);
        let said: Vec<_> = items.iter().map(|(id, why)| format!("{id} ({why})")).collect();
        let said = if said.is_empty() { "nothing".to_owned() } else { said.join(", ") };
        world.say("rehearsal", format!("{gate} still lacks {said}"));
    }
    world.say("rehearsal", format!("ends: {ended}"));
    let (scenario, now) = (world.scenario, world.now);
    let (lines, facts) = world.into_lines();
    let expect = &scenario.expect;
    let mut missed = Vec::new();
    let mut compare = |what: &str, found: String, wanted: String| {
        if found != wanted {
            missed.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    if !expect.end.is_empty() {
        compare("end", ended, expect.end.clone());
    }
    for (what, found, wanted) in [
        ("acted", &facts.acted, &expect.acted),
        ("back_to", &facts.back_to, &expect.back_to),
        ("advice", &facts.advice, &expect.advice),
        ("overdue", &facts.overdue, &expect.overdue),
    ] {
        if let Some(wanted) = wanted {
            compare(what, format!("{found:?}"), format!("{wanted:?}"));
        }
    }
    if let Some(wanted) = expect.pauses {
        compare("pauses", facts.pauses.to_string(), wanted.to_string());
    }
    for warned in expect.warned.iter().flatten().filter(|one| !facts.warned.contains(*one)) {
        compare("warned", "nothing".to_owned(), warned.clone());
    }
    if let Some(bound) = expect.within {
        let taken = facts.first_fault.zip(facts.first_action).map(|(from, to)| to.since(from));
        if taken.is_none_or(|taken| taken > bound) {
            let found = taken.map_or_else(|| "no action".to_owned(), format_duration);
            compare("within", found, format_duration(bound));
        }
    }
    if facts.uploads < expect.uploads_min {
        compare("uploads", facts.uploads.to_string(), format!("{} at least", expect.uploads_min));
    }
    Rehearsal { lines, lasted: now.since(scenario.start), uploads: facts.uploads, missed }
}

fn end_of(world: &World<'_>) -> String {
    let Some(rollout) = world.rollout() else { return "nothing".to_owned() };
    let phase = rollout.phase().map_or("", |phase| phase.id.as_str());
    match rollout.state {
        State::Pending => "pending".to_owned(),
        State::Paused => "paused".to_owned(),
        State::RollingBack => "rolling_back".to_owned(),
        State::Archived => "archived".to_owned(),
        State::Running if rollout.ga_declared_at.is_some() => "generally_available".to_owned(),
        State::Running => phase.to_owned(),
    }
}
