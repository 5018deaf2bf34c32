//! Messages, communications, cursors and plans as a fold of the journal.

pub(crate) mod communications;
mod together;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use comms_core::{ATTEMPTS_MAX, Standing};
use contracts::comms as pb;
use contracts::comms::comms_event::Kind;
use contracts::comms::message;
use plan::{ChannelKind, Plan};
use prost::Message as _;
use service_kit::wire::{signed, time_of};
use store::{Draft, Projection, Record};
use vocab::Timestamp;

use crate::convert::told::standing_of;
use crate::state::communications::Communications;

/// Where a message came into being: the record, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u64, pub(crate) usize);

/// A message as stored.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) message: pb::Message,
    /// What its channel speaks; `None` where its plan does not say.
    pub(crate) kind: Option<ChannelKind>,
    /// Attempts since it was made or redriven.
    pub(crate) tries: usize,
    /// Attempts begun of which nobody has recorded how they went.
    pub(crate) begun: u32,
    /// The trace of the command that led to it.
    pub(crate) traceparent: String,
}

impl Stored {
    pub(crate) fn revision(&self) -> u64 {
        u64::try_from(self.message.revision).unwrap_or(0)
    }

    /// When it is tried next, in real time.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.message.next_attempt_time.as_ref().map(|time| time_of(Some(time)))
    }
}

/// The plan of a rollout, and since which record.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) plan: Arc<Plan>,
    pub(crate) since: u64,
}

/// Everything the journal says.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// Every message, in order of making.
    pub(crate) messages: BTreeMap<Position, Arc<Stored>>,
    by_name: BTreeMap<String, Position>,
    by_revision: BTreeSet<(u64, Position)>,
    pending: BTreeMap<String, BTreeSet<Position>>,
    /// What waits for a person, by channel: dead, or not known to have arrived.
    failed: BTreeMap<(String, message::State), BTreeSet<Position>>,
    cursors: BTreeMap<String, u64>,
    /// Rollouts heard of, whether their plans can be read or not.
    pub(crate) rollouts: BTreeSet<String>,
    /// Plans by rollout.
    pub(crate) plans: BTreeMap<String, Applied>,
    /// Where rollouts stand.
    pub(crate) standings: BTreeMap<String, Standing>,
    pub(crate) communications: Communications,
    /// What channels call the first message of a thread, by channel, destination and thread.
    receipts: BTreeMap<(String, String, String), (Position, String)>,
}

impl State {
    pub(crate) fn message(&self, name: &str) -> Option<&Arc<Stored>> {
        self.by_name.get(name).and_then(|position| self.messages.get(position))
    }

    /// How far the stream of `source` has been handled.
    pub(crate) fn cursor(&self, source: &str) -> u64 {
        self.cursors.get(source).copied().unwrap_or(0)
    }

    /// Channels that have something to deliver.
    pub(crate) fn busy_channels(&self) -> impl Iterator<Item = &str> {
        self.pending.keys().map(String::as_str)
    }

    /// What waits for delivery in a channel, oldest first.
    pub(crate) fn pending(&self, channel: &str) -> impl Iterator<Item = &Arc<Stored>> {
        let positions = self.pending.get(channel).into_iter().flatten();
        positions.filter_map(|position| self.messages.get(position))
    }

    /// Channels with messages that wait for a person, how they stand, and how many they are.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (&str, message::State, usize)> {
        let kept = self.failed.iter();
        kept.map(|((channel, state), positions)| (channel.as_str(), *state, positions.len()))
    }

    /// What waits for delivery anywhere.
    pub(crate) fn all_pending(&self) -> impl Iterator<Item = &Arc<Stored>> {
        let positions = self.pending.values().flatten();
        positions.filter_map(|position| self.messages.get(position))
    }

    /// What may be delivered in a channel, oldest first: of a thread only its oldest, so that what
    /// belongs together arrives in order.
    pub(crate) fn deliverable(&self, channel: &str) -> Vec<&Arc<Stored>> {
        let mut threads = BTreeSet::new();
        let mut first = Vec::new();
        for stored in self.pending(channel) {
            let message = &stored.message;
            let thread = (&message.destination, &message.thread);
            if message.thread.is_empty() || threads.insert(thread) {
                first.push(stored);
            }
        }
        first
    }

    /// What the channel calls the first message of a message's thread.
    pub(crate) fn first_receipt(&self, message: &pb::Message) -> Option<&str> {
        if message.thread.is_empty() {
            return None;
        }
        self.receipts.get(&thread_key(message)).map(|(_, receipt)| receipt.as_str())
    }

    /// What a channel's plan says of it.
    pub(crate) fn channel(&self, message: &pb::Message) -> Option<&plan::Channel> {
        let plan = &self.plans.get(&message.rollout)?.plan;
        plan.communication.channels.iter().find(|one| one.id.as_str() == message.channel)
    }

    /// Where a rollout stands; before its first phase where nothing is known.
    pub(crate) fn standing(&self, rollout: &str) -> Standing {
        self.standings.get(rollout).cloned().unwrap_or_default()
    }

    /// What changed after `revision`, in that order.
    pub(crate) fn changed_after(&self, revision: u64) -> impl Iterator<Item = &Arc<Stored>> {
        let first = (revision.saturating_add(1), Position(0, 0));
        self.by_revision.range(first..).filter_map(|(_, position)| self.messages.get(position))
    }

    fn handled(&mut self, handled: pb::SourceHandled, record: &Record) {
        let revision = u64::try_from(handled.revision).unwrap_or(0);
        let cursor = self.cursors.entry(handled.source).or_default();
        *cursor = revision.max(*cursor);
        if !handled.plan_source.is_empty() {
            self.rollouts.insert(handled.rollout.clone());
            match parse(&handled.plan_source) {
                Ok(plan) => {
                    let applied = Applied { plan: Arc::new(plan), since: record.version };
                    self.plans.insert(handled.rollout, applied);
                }
                Err(why) => {
                    let rollout = handled.rollout;
                    tracing::error!(rollout, why, "a plan that cannot be read: nobody is told");
                }
            }
        }
        for (index, message) in handled.messages.into_iter().enumerate() {
            self.insert(Position(record.version, index), message, record);
        }
        self.made(handled.made.unwrap_or_default(), record);
    }

    fn made(&mut self, made: pb::Made, record: &Record) {
        for standing in made.standings {
            self.standings.insert(standing.rollout.clone(), standing_of(standing));
        }
        for cancellation in made.cancellations {
            self.update(&cancellation.message, record, |stored| {
                stored.message.set_state(message::State::Cancelled);
                stored.message.state_reason = cancellation.reason;
                stored.message.next_attempt_time = None;
            });
        }
        let names: Vec<_> = made.communications.iter().map(|one| one.name.clone()).collect();
        for (index, communication) in made.communications.into_iter().enumerate() {
            self.communications.insert(Position(record.version, index), communication);
        }
        for (index, message) in made.messages.into_iter().enumerate() {
            self.insert(Position(record.version, index), message, record);
        }
        for name in names {
            self.refresh(&name, record);
        }
    }

    fn refresh(&mut self, communication: &str, record: &Record) {
        if !communication.is_empty() {
            let (version, time) = (record.version, record.time);
            self.communications.refresh(communication, &self.messages, version, time);
        }
    }

    fn insert(&mut self, position: Position, mut message: pb::Message, record: &Record) {
        if self.by_name.contains_key(&message.name) {
            return; // Made before.
        }
        stamp(&mut message, record.version);
        let kind = self.channel(&message).map(|channel| channel.kind);
        self.by_name.insert(message.name.clone(), position);
        self.by_revision.insert((record.version, position));
        let traceparent = record.traceparent.clone();
        let stored = Stored { message, kind, tries: 0, begun: 0, traceparent };
        self.index(position, &stored);
        self.communications.adopt(&stored.message.communication, position);
        self.messages.insert(position, Arc::new(stored));
    }

    fn update(&mut self, name: &str, record: &Record, change: impl FnOnce(&mut Stored)) {
        let version = record.version;
        let Some(position) = self.by_name.get(name).copied() else { return };
        let Some(entry) = self.messages.get_mut(&position) else { return };
        let stored = Arc::make_mut(entry);
        self.by_revision.remove(&(stored.revision(), position));
        self.by_revision.insert((version, position));
        change(stored);
        stamp(&mut stored.message, version);
        let stored = Arc::clone(entry);
        self.index(position, &stored);
        let message = &stored.message;
        if message.state() == message::State::Sent
            && !message.thread.is_empty()
            && !message.receipt.is_empty()
        {
            let first = self
                .receipts
                .entry(thread_key(message))
                .or_insert_with(|| (position, message.receipt.clone()));
            if position < first.0 {
                *first = (position, message.receipt.clone());
            }
        }
        let communication = message.communication.clone();
        self.refresh(&communication, record);
    }

    /// Keeps `pending` and `failed` in step with a message's state.
    fn index(&mut self, position: Position, stored: &Stored) {
        let channel = &stored.message.channel;
        for failure in [message::State::Dead, message::State::Unknown] {
            let key = (channel.clone(), failure);
            if stored.message.state() == failure {
                self.failed.entry(key).or_default().insert(position);
            } else if let Some(positions) = self.failed.get_mut(&key) {
                positions.remove(&position);
            }
        }
        if stored.message.state() == message::State::Pending {
            self.pending.entry(channel.clone()).or_default().insert(position);
        } else if let Some(positions) = self.pending.get_mut(channel) {
            positions.remove(&position);
            if positions.is_empty() {
                self.pending.remove(channel);
            }
        }
    }
}

impl Projection for State {
    fn apply(&mut self, record: &Record) -> Result<(), String> {
        match decode(record)? {
            Kind::SourceHandled(handled) => self.handled(handled, record),
            Kind::DeliveryAttempted(attempted) => self.attempted(attempted, record),
            Kind::Redriven(redriven) => self.update(&redriven.message, record, |stored| {
                stored.tries = 0;
                stored.begun = 0; // Whoever redrives it has looked.
                stored.message.set_state(message::State::Pending);
                stored.message.state_reason = String::new();
                stored.message.next_attempt_time = redriven.next_attempt_time;
            }),
            Kind::MessagesMade(made) => {
                for name in &made.overdue_communications {
                    self.communications.note_overdue(name);
                    self.refresh(name, record);
                }
                for name in &made.alerted_communications {
                    self.communications.note_alerted(name);
                }
                self.made(made.made.unwrap_or_default(), record);
            }
            Kind::DeliveryBegun(begun) => {
                for name in &begun.messages {
                    let position = self.by_name.get(name);
                    let stored = position.and_then(|one| self.messages.get_mut(one));
                    // Not a change to anybody but those who deliver: the revision stays.
                    if let Some(stored) = stored {
                        let stored = Arc::make_mut(stored);
                        stored.begun = stored.begun.saturating_add(1);
                    }
                }
            }
            Kind::ReminderAcknowledged(known) => {
                let standing = self.standings.get_mut(&known.rollout);
                let reminder = standing.and_then(|one| one.reminders.get_mut(&known.subject));
                if let Some(reminder) = reminder {
                    reminder.acknowledged = true;
                }
            }
        }
        Ok(())
    }
}

impl State {
    fn attempted(&mut self, attempted: pb::DeliveryAttempted, record: &Record) {
        let mut communication = String::new();
        self.update(&attempted.message, record, |stored| {
            stored.tries += 1;
            stored.begun = 0;
            let receipt = attempted.attempt.as_ref().map(|attempt| attempt.receipt.clone());
            if let Some(receipt) = receipt.filter(|receipt| !receipt.is_empty()) {
                stored.message.receipt = receipt;
            }
            stored.message.attempts.extend(attempted.attempt);
            let surplus = stored.message.attempts.len().saturating_sub(ATTEMPTS_MAX);
            stored.message.attempts.drain(..surplus); // The journal has them all.
            stored.message.state = attempted.state;
            stored.message.next_attempt_time = attempted.next_attempt_time;
            communication.clone_from(&stored.message.communication);
        });
        for (index, message) in attempted.fallbacks.into_iter().enumerate() {
            self.insert(Position(record.version, index), message, record);
        }
        self.refresh(&communication, record);
    }
}

fn thread_key(message: &pb::Message) -> (String, String, String) {
    (message.channel.clone(), message.destination.clone(), message.thread.clone())
}

/// Reads a plan file.
pub(crate) fn parse(source: &[u8]) -> Result<Plan, String> {
    let text = std::str::from_utf8(source).map_err(|error| error.to_string())?;
    let (plan, _warnings) = Plan::parse(text).map_err(|problems| {
        problems.first().map_or_else(|| "invalid".to_owned(), ToString::to_string)
    })?;
    Ok(plan)
}

fn stamp(message: &mut pb::Message, version: u64) {
    message.revision = signed(version);
    message.etag = format!("\"{version}\"");
}

fn decode(record: &Record) -> Result<Kind, String> {
    pb::CommsEvent::decode(record.payload.as_slice())
        .map_err(|error| error.to_string())?
        .kind
        .ok_or_else(|| "an event of a kind this version does not know".to_owned())
}

pub(crate) fn draft(kind: Kind) -> Draft {
    let name = match &kind {
        Kind::SourceHandled(_) => "SourceHandled",
        Kind::DeliveryAttempted(_) => "DeliveryAttempted",
        Kind::Redriven(_) => "Redriven",
        Kind::MessagesMade(_) => "MessagesMade",
        Kind::DeliveryBegun(_) => "DeliveryBegun",
        Kind::ReminderAcknowledged(_) => "ReminderAcknowledged",
    };
    let payload = pb::CommsEvent { kind: Some(kind) }.encode_to_vec();
    Draft { kind: name.to_owned(), payload }
}
