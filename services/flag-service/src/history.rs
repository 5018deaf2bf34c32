//! What flags were: revisions, differences, and bringing one back.

use std::sync::LazyLock;

use contracts::flag as pb;
use contracts::flag::flag_event::Kind;
use flag_core::{Flag, raises};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Map, Value as Json};
use service_kit::fault::Fault;
use service_kit::journaled::store_failed;
use service_kit::wire::{etag, signed, wire_time};
use store::Record;
use tonic::Code;
use vocab::FlagKey;

use crate::app::App;
use crate::error::DOMAIN;
use crate::state::{Stored, event};

/// Bytes of a value shown in a difference.
const SHOWN_BYTES_MAX: usize = 16 * 1024;
/// Bytes of revisions in one answer, so that it fits into a message.
const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

static FLAG: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(contracts::DESCRIPTORS).ok()?;
    pool.get_message_by_name("softlaunch.flag.v1.Flag")
});

/// The flag of a key as a record made it; `None` where it deleted it.
pub(crate) fn of_record(record: &Record, key: &FlagKey) -> Result<Option<Flag>, String> {
    let wire = match event(record)? {
        Kind::FlagChanged(changed) => changed.flag,
        Kind::FlagsImported(imported) => {
            let name = format!("flags/{key}");
            imported.flags.into_iter().find(|flag| flag.name == name)
        }
        Kind::FlagDeleted(_) | Kind::BlastRadiusKept(_) => None,
    };
    let read = wire.map(|wire| flag_wire::flag(&wire).map_err(|problem| problem.to_string()));
    read.transpose()
}

impl App {
    /// A page of the revisions of a flag, newest first; and where the next begins.
    pub(crate) async fn revisions(
        &self,
        stored: &Stored,
        before: Option<u64>,
        size: usize,
    ) -> Result<(Vec<pb::FlagRevision>, Option<u64>), Fault> {
        let wanted = stored.history.iter().rev().copied();
        let mut wanted = wanted.filter(|revision| before.is_none_or(|before| *revision < before));
        let (mut page, mut bytes) = (Vec::new(), 0);
        let mut last = None;
        for revision in wanted.by_ref() {
            let one = self.revision_at(stored, revision).await?;
            bytes += one.encoded_len();
            page.push(one);
            if page.len() >= size || bytes > PAGE_BYTES_MAX {
                last = Some(revision);
                break;
            }
        }
        let more = wanted.next().is_some();
        Ok((page, last.filter(|_| more)))
    }

    /// What a flag was at one of its own revisions.
    async fn revision_at(&self, stored: &Stored, revision: u64) -> Result<pb::FlagRevision, Fault> {
        let record = self.record(revision).await?;
        let created = stored.history.first() == Some(&revision);
        let mut shown = pb::FlagRevision {
            revision: signed(revision),
            actor: record.actor.subject.clone(),
            actor_authenticated: record.actor.authenticated,
            reason: record.reason.clone(),
            occur_time: Some(wire_time(record.time)),
            ..pb::FlagRevision::default()
        };
        match of_record(&record, &stored.flag.key) {
            Ok(Some(flag)) => {
                shown.change = if created { "created" } else { "changed" }.to_owned();
                shown.flag = Some(pb::Flag {
                    revision: signed(revision),
                    etag: etag(revision),
                    update_time: shown.occur_time,
                    create_time: Some(wire_time(stored.created_at)),
                    ..flag_wire::wire_flag(&flag)
                });
            }
            Ok(None) => "deleted".clone_into(&mut shown.change),
            Err(why) => {
                "changed".clone_into(&mut shown.change);
                shown.problem = why;
            }
        }
        Ok(shown)
    }

    async fn record(&self, revision: u64) -> Result<Record, Fault> {
        let read = self.replica.records(revision - 1, 1).await;
        let found = read.map_err(|error| store_failed(DOMAIN, &error))?;
        found.into_iter().next().ok_or_else(|| Fault::unavailable(DOMAIN, "the journal is shorter"))
    }

    /// A flag as it was at a revision of its own, or right after one.
    pub(crate) async fn flag_at(
        &self,
        stored: &Stored,
        path: &str,
        revision: u64,
    ) -> Result<Flag, Fault> {
        if !stored.history.contains(&revision) {
            let newest: Vec<_> =
                stored.history.iter().rev().take(5).map(ToString::to_string).collect();
            let why = format!(
                "flag `{}` has no revision {revision}: the newest are {}",
                stored.flag.key,
                newest.join(", ")
            );
            let kind = "softlaunch.flag.v1.FlagRevision";
            let name = format!("{}@{revision}", stored.flag.key);
            return Err(Fault::not_found(DOMAIN, "REVISION_NOT_FOUND", kind, &name, why)
                .violation(path, format!("is no revision of `{}`", stored.flag.key)));
        }
        let record = self.record(revision).await?;
        let unreadable = |why: String| {
            let why = format!("revision {revision} cannot be brought back: {why}");
            Fault::new(Code::FailedPrecondition, DOMAIN, "REVISION_UNREADABLE", why)
        };
        of_record(&record, &stored.flag.key)
            .map_err(unreadable)?
            .ok_or_else(|| unreadable("it is a deletion".to_owned()))
    }

    /// What differs between two revisions: 0 for the one before, and for now.
    pub(crate) async fn diff(
        &self,
        key: &FlagKey,
        from: u64,
        to: u64,
    ) -> Result<pb::FlagDiff, Fault> {
        let stored = self.any_flag(key)?;
        let to_revision = if to == 0 { stored.revision } else { to };
        let after = match to {
            0 => stored.flag.as_ref().clone(),
            _ => self.flag_at(&stored, "to_revision", to).await?,
        };
        let earlier = stored.history.iter().rev().find(|revision| **revision < to_revision);
        let from_revision = if from == 0 { earlier.copied().unwrap_or(0) } else { from };
        let before = match (from, from_revision) {
            (0, 0) => None,
            (_, revision) => Some(self.flag_at(&stored, "from_revision", revision).await?),
        };
        let raises_exposure = match &before {
            Some(before) => raises(&before.definition, &after.definition).is_some(),
            None => raises(&flag_core::Definition::default(), &after.definition).is_some(),
        };
        Ok(pb::FlagDiff {
            name: format!("flags/{key}"),
            from_revision: signed(from_revision),
            to_revision: signed(to_revision),
            differences: differences(before.as_ref(), &after),
            raises_exposure,
        })
    }
}

/// Differences by path, as proto3 JSON. Of a list of texts, what was taken off and what was added.
pub(crate) fn differences(before: Option<&Flag>, after: &Flag) -> Vec<pb::Difference> {
    let before = before.map_or(Json::Null, json);
    let mut found = Vec::new();
    compare("", &before, &json(after), &mut found);
    found
}

fn json(flag: &Flag) -> Json {
    let bytes = flag_wire::wire_flag(flag).encode_to_vec();
    let message = FLAG.clone().and_then(|flag| DynamicMessage::decode(flag, bytes.as_slice()).ok());
    message.and_then(|message| serde_json::to_value(message).ok()).unwrap_or(Json::Null)
}

fn compare(path: &str, before: &Json, after: &Json, found: &mut Vec<pb::Difference>) {
    let empty = Map::new();
    let fields = |json: &Json| json.as_object().cloned().unwrap_or_default();
    let (old, new) = (fields(before), fields(after));
    let leaf = !(before.is_object() || before.is_null()) || !(after.is_object() || after.is_null());
    if before == after {
        return;
    }
    if leaf || (old == empty && new == empty) {
        found.push(difference(path, before, after));
        return;
    }
    let mut names: Vec<_> = old.keys().chain(new.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let inner = flag_core::join(path, &snake(name));
        let at = |fields: &Map<String, Json>| fields.get(name).cloned().unwrap_or(Json::Null);
        compare(&inner, &at(&old), &at(&new), found);
    }
}

/// The name of a field as the contract writes it.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn difference(path: &str, before: &Json, after: &Json) -> pb::Difference {
    let (before, after) = match (texts(before), texts(after)) {
        (Some(old), Some(new)) => {
            let only = |one: &std::collections::BTreeSet<&str>,
                        other: &std::collections::BTreeSet<&str>| {
                Json::from(one.difference(other).copied().collect::<Vec<_>>())
            };
            (only(&old, &new), only(&new, &old))
        }
        (Some(_) | None, Some(_) | None) => (before.clone(), after.clone()),
    };
    pb::Difference { path: path.to_owned(), before: shown(&before), after: shown(&after) }
}

fn texts(json: &Json) -> Option<std::collections::BTreeSet<&str>> {
    match json {
        Json::Null => Some(std::collections::BTreeSet::new()),
        Json::Array(items) => items.iter().map(Json::as_str).collect(),
        Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Object(_) => None,
    }
}

fn shown(json: &Json) -> String {
    if json.is_null() {
        return String::new();
    }
    let mut text = json.to_string();
    if text.len() > SHOWN_BYTES_MAX {
        let end = text.floor_char_boundary(SHOWN_BYTES_MAX);
        text.truncate(end);
        text.push('…');
    }
    text
}
