//! Items as commands, gathered by the slot of their keys.

use redis::{Cmd, ToRedisArgs};
use vocab::Timestamp;

use crate::transfer::Item;

use super::counters::{batch_key, bucket_key, gauges_key};
use super::journal::{journal_key, request_key};
use super::leases::fence_key;
use super::quotas::quota_key;

/// Commands on keys of one slot.
#[derive(Debug, Default)]
pub(super) struct Load {
    tag: String,
    pub(super) keys: Vec<String>,
    pub(super) words: Vec<Vec<u8>>,
}

impl Load {
    pub(super) fn command<W: ToRedisArgs>(&mut self, key: &str, words: &[W]) {
        let mut command = Cmd::new();
        command.arg(words);
        self.push(key, &command);
    }

    fn push(&mut self, key: &str, command: &Cmd) {
        let words: Vec<Vec<u8>> = command
            .args_iter()
            .filter_map(|word| {
                if let redis::Arg::Simple(word) = word { Some(word.to_vec()) } else { None }
            })
            .collect();
        if self.keys.last().is_none_or(|last| last != key) {
            self.keys.push(key.to_owned());
        }
        self.words.push(words.len().to_string().into_bytes());
        self.words.extend(words);
    }
}

/// Adds the commands that put `item` in, to the last load where that is of the same slot.
pub(super) fn put(loads: &mut Vec<Load>, item: Item) {
    let (key, commands) = commands(item);
    let tag = key.split_once('}').map_or(key.as_str(), |(tag, _)| tag).to_owned();
    let full = |load: &Load| load.tag != tag || load.words.len() > 2_000;
    if loads.last().is_none_or(full) {
        loads.push(Load { tag, ..Load::default() });
    }
    if let Some(load) = loads.last_mut() {
        commands.iter().for_each(|command| load.push(&key, command));
    }
}

fn commands(item: Item) -> (String, Vec<Cmd>) {
    let command = |name: &str, key: &str| {
        let mut command = redis::cmd(name);
        command.arg(key);
        command
    };
    let keep = |key: &str, until: Timestamp| {
        let mut keeping = command("PEXPIREAT", key);
        keeping.arg(until.as_millis());
        keeping
    };
    match item {
        Item::Record { stream, record } => {
            let key = journal_key(&stream);
            let mut adding = command("XADD", &key);
            adding.arg(format!("{}-0", record.version)).arg("record").arg(record.encode());
            adding.arg("hash").arg(record.hash.to_string());
            (key, vec![adding])
        }
        Item::Answer { stream, request, first, count, until } => {
            let key = request_key(&stream, &request.id);
            let mut setting = command("HSET", &key);
            setting.arg("digest").arg(request.digest.to_string());
            setting.arg("first").arg(first).arg("count").arg(count);
            let keep = keep(&key, until);
            (key, vec![setting, keep])
        }
        Item::Batch { scope, batch, until } => {
            let key = batch_key(&scope, &batch.id);
            let mut setting = command("SET", &key);
            setting.arg(&batch.contents.0).arg("PXAT").arg(until.as_millis());
            (key, vec![setting])
        }
        Item::Count { scope, series, start, field, count, until } => {
            let key = bucket_key(&scope, &series, start);
            let mut setting = command("HSET", &key);
            setting.arg(field).arg(count);
            let keep = keep(&key, until);
            (key, vec![setting, keep])
        }
        Item::Gauge { scope, gauge, reading } => {
            let key = gauges_key(&scope);
            let mut setting = command("HSET", &key);
            setting.arg(gauge).arg(format!("{} {}", reading.at.as_millis(), reading.value));
            (key, vec![setting])
        }
        Item::Hold { pipeline, workspace, day, upload, until } => {
            let key = quota_key(&pipeline, &workspace, &day);
            let mut adding = command("SADD", &key);
            adding.arg(upload.as_str());
            let keep = keep(&key, until);
            (key, vec![adding, keep])
        }
        Item::Fence { lease, fence } => {
            let key = fence_key(&lease);
            let mut setting = command("SET", &key);
            setting.arg(fence);
            (key, vec![setting])
        }
    }
}
