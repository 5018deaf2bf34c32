//! Messages, cursors and plans as a fold of the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use comms_core::ATTEMPTS_MAX;
use contracts::comms as pb;
use contracts::comms::comms_event::Kind;
use contracts::comms::message;
use plan::{ChannelKind, Plan};
use prost::Message as _;
use service_kit::wire::{signed, time_of};
use store::{Draft, Projection, Record};
use vocab::Timestamp;

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
    cursors: BTreeMap<String, u64>,
    /// Rollouts heard of, whether their plans can be read or not.
    pub(crate) rollouts: BTreeSet<String>,
    /// Plans by rollout.
    pub(crate) plans: BTreeMap<String, Applied>,
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
    }

    fn insert(&mut self, position: Position, mut message: pb::Message, record: &Record) {
        if self.by_name.contains_key(&message.name) {
            return; // Made before.
        }
        stamp(&mut message, record.version);
        let kind = self.plans.get(&message.rollout).and_then(|applied| {
            let channels = &applied.plan.communication.channels;
            channels.iter().find(|known| known.id.as_str() == message.channel).map(|one| one.kind)
        });
        self.by_name.insert(message.name.clone(), position);
        self.by_revision.insert((record.version, position));
        let traceparent = record.traceparent.clone();
        let stored = Stored { message, kind, tries: 0, traceparent };
        self.index(position, &stored);
        self.messages.insert(position, Arc::new(stored));
    }

    fn update(&mut self, name: &str, version: u64, change: impl FnOnce(&mut Stored)) {
        let Some(position) = self.by_name.get(name).copied() else { return };
        let Some(entry) = self.messages.get_mut(&position) else { return };
        let stored = Arc::make_mut(entry);
        self.by_revision.remove(&(stored.revision(), position));
        self.by_revision.insert((version, position));
        change(stored);
        stamp(&mut stored.message, version);
        let stored = Arc::clone(entry);
        self.index(position, &stored);
    }

    /// Keeps `pending` in step with a message's state.
    fn index(&mut self, position: Position, stored: &Stored) {
        let channel = &stored.message.channel;
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
        let version = record.version;
        match decode(record)? {
            Kind::SourceHandled(handled) => self.handled(handled, record),
            Kind::DeliveryAttempted(attempted) => {
                self.update(&attempted.message, version, |stored| {
                    stored.tries += 1;
                    stored.message.attempts.extend(attempted.attempt);
                    let surplus = stored.message.attempts.len().saturating_sub(ATTEMPTS_MAX);
                    stored.message.attempts.drain(..surplus); // The journal has them all.
                    stored.message.state = attempted.state;
                    stored.message.next_attempt_time = attempted.next_attempt_time;
                });
            }
            Kind::Redriven(redriven) => self.update(&redriven.message, version, |stored| {
                stored.tries = 0;
                stored.message.set_state(message::State::Pending);
                stored.message.next_attempt_time = redriven.next_attempt_time;
            }),
        }
        Ok(())
    }
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
    };
    let payload = pb::CommsEvent { kind: Some(kind) }.encode_to_vec();
    Draft { kind: name.to_owned(), payload }
}
