//! Communications as a fold: what follows from their messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use comms_core::{Part, PartState, Verdict, progress};
use contracts::comms as pb;
use contracts::comms::communication::State as Told;
use contracts::comms::message;
use service_kit::wire::{signed, time_of, wire_time};
use vocab::Timestamp;

use super::{Position, Stored};

/// A communication, and what it is made of.
#[derive(Debug, Clone)]
pub(crate) struct Tracked {
    pub(crate) communication: pb::Communication,
    /// Its messages, those that stand in for others included.
    pub(crate) positions: Vec<Position>,
    /// Who has no message at all, and why.
    lacking: String,
    /// Its deadline is past.
    overdue: bool,
    /// Somebody was told that it is incomplete.
    pub(crate) alerted: bool,
}

/// Every communication.
#[derive(Debug, Clone, Default)]
pub(crate) struct Communications {
    in_order: BTreeMap<Position, Arc<Tracked>>,
    by_name: BTreeMap<String, Position>,
    by_revision: BTreeSet<(u64, Position)>,
    /// Those that are not complete: what time can change.
    open: BTreeSet<Position>,
}

impl Communications {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Tracked>> {
        self.by_name.get(name).and_then(|position| self.in_order.get(position))
    }

    /// All of them, newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (Position, &Arc<Tracked>)> {
        self.in_order.iter().rev().map(|(position, tracked)| (*position, tracked))
    }

    /// What changed after `revision`, in that order.
    pub(crate) fn changed_after(&self, revision: u64) -> impl Iterator<Item = &Arc<Tracked>> {
        let first = (revision.saturating_add(1), Position(0, 0));
        self.by_revision.range(first..).filter_map(|(_, position)| self.in_order.get(position))
    }

    /// Those whose deadline is past by `now`, in real time, and that are not known to be overdue.
    pub(crate) fn past_deadline(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Tracked>> {
        self.open().filter(move |one| {
            let pending = one.communication.state() == Told::Pending;
            pending && time_of(one.communication.deadline_time.as_ref()) <= now
        })
    }

    /// Incomplete ones that nobody was told of.
    pub(crate) fn unheard(&self) -> impl Iterator<Item = &Arc<Tracked>> {
        self.open().filter(|one| one.communication.state() == Told::Incomplete && !one.alerted)
    }

    /// How many are incomplete.
    pub(crate) fn incomplete(&self) -> usize {
        self.open().filter(|one| one.communication.state() == Told::Incomplete).count()
    }

    fn open(&self) -> impl Iterator<Item = &Arc<Tracked>> {
        self.open.iter().filter_map(|position| self.in_order.get(position))
    }

    pub(super) fn insert(&mut self, position: Position, communication: pb::Communication) {
        if self.by_name.contains_key(&communication.name) {
            return; // Made before.
        }
        self.by_name.insert(communication.name.clone(), position);
        let lacking = communication.detail.clone();
        let tracked = Tracked {
            communication,
            positions: Vec::new(),
            lacking,
            overdue: false,
            alerted: false,
        };
        self.in_order.insert(position, Arc::new(tracked));
    }

    pub(super) fn adopt(&mut self, name: &str, message: Position) {
        self.change(name, |tracked| tracked.positions.push(message));
    }

    pub(super) fn note_overdue(&mut self, name: &str) {
        self.change(name, |tracked| tracked.overdue = true);
    }

    pub(super) fn note_alerted(&mut self, name: &str) {
        self.change(name, |tracked| tracked.alerted = true);
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Tracked)) {
        let position = self.by_name.get(name);
        if let Some(tracked) = position.and_then(|position| self.in_order.get_mut(position)) {
            change(Arc::make_mut(tracked));
        }
    }

    /// Brings one in step with its messages.
    pub(super) fn refresh(
        &mut self,
        name: &str,
        messages: &BTreeMap<Position, Arc<Stored>>,
        version: u64,
        time: Timestamp,
    ) {
        let Some(position) = self.by_name.get(name).copied() else { return };
        let Some(entry) = self.in_order.get_mut(&position) else { return };
        let tracked = Arc::make_mut(entry);
        let stored: Vec<_> = tracked.positions.iter().filter_map(|one| messages.get(one)).collect();
        let parts = parts(&stored);
        let lacking: Vec<_> =
            Some(tracked.lacking.clone()).into_iter().filter(|why| !why.is_empty()).collect();
        let progress = progress(&parts, &lacking, tracked.overdue);
        let communication = &mut tracked.communication;
        let before = u64::try_from(communication.revision).unwrap_or(0);
        let state = match progress.verdict {
            Verdict::Pending => Told::Pending,
            Verdict::Complete => Told::Complete,
            Verdict::Incomplete => Told::Incomplete,
            Verdict::Cancelled => Told::Cancelled,
        };
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        communication.message_count = count(progress.messages);
        communication.sent_count = count(progress.sent);
        communication.detail = progress.detail;
        communication.complete_time = match (state, communication.complete_time) {
            (Told::Complete, None) => Some(wire_time(time)),
            (Told::Complete, known) => known,
            _ => None,
        };
        communication.set_state(state);
        communication.revision = signed(version);
        self.by_revision.remove(&(before, position));
        self.by_revision.insert((version, position));
        if matches!(state, Told::Pending | Told::Incomplete) {
            self.open.insert(position);
        } else {
            self.open.remove(&position);
        }
    }
}

/// The messages that were asked for, each with what stands in for it.
fn parts<'a>(stored: &[&'a Arc<Stored>]) -> Vec<Part<'a>> {
    let mut stand_ins: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
    for one in stored.iter().filter(|one| !one.message.fallback_for.is_empty()) {
        stand_ins.entry(&one.message.fallback_for).or_default().push(one);
    }
    let wanted = stored.iter().filter(|one| one.message.fallback_for.is_empty());
    wanted
        .map(|one| Part {
            destination: &one.message.destination,
            channel: &one.message.channel,
            state: part_state(one, stand_ins.get(one.message.name.as_str())),
        })
        .collect()
}

/// How far a message is: it counts as sent where all that stands in for it was.
fn part_state<'a>(stored: &'a Stored, stand_ins: Option<&Vec<&'a Stored>>) -> PartState<'a> {
    let own = state_of(stored);
    let (PartState::Failed(_), Some(stand_ins)) = (own, stand_ins) else { return own };
    let states: Vec<_> = stand_ins.iter().map(|one| state_of(one)).collect();
    let failed = states.iter().find(|state| matches!(state, PartState::Failed(_)));
    let pending = states.iter().find(|state| matches!(state, PartState::Pending));
    failed.or(pending).copied().unwrap_or(PartState::Sent)
}

fn state_of(stored: &Stored) -> PartState<'_> {
    let message = &stored.message;
    let last = message.attempts.last().map_or("no attempt", |attempt| attempt.detail.as_str());
    match message.state() {
        message::State::Sent => PartState::Sent,
        message::State::Cancelled => PartState::Cancelled,
        message::State::Dead | message::State::Unknown => PartState::Failed(last),
        message::State::Pending | message::State::Unspecified => PartState::Pending,
    }
}
