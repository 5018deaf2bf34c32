//! Confirming that what was written is on disk, here and on replicas, before it is acknowledged.
//!
//! The server confirms all that was written before a confirmation arrived over the same
//! connection. So one confirmation covers every write answered before it was sent, and writes that
//! are answered meanwhile share the next one. A confirmation writes something tiny first: it then
//! covers what other connections had written by then, and with it the earlier write that a
//! repeated request acknowledges again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::sync::Mutex;

use crate::durability::Confirmation;
use crate::error::StoreError;

use super::failure::failed;
use super::link::{Link, Live};
use std::sync::Arc;

/// How long the server may take to confirm: longer than the second `everysec` waits.
pub(super) const CONFIRM_TIMEOUT: Duration = Duration::from_secs(2);
const MARK_KEPT_MS: u64 = 60_000;

/// How long each question waits where replicas' disks are asked; together [`CONFIRM_TIMEOUT`]. A
/// replica that is asked before its fsync is over says so, and nothing more for a second, unless it
/// is asked again. Questions behind the one that was answered with yes cost nothing.
const PATIENCE_MS: [u64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 725];

/// The confirmations of what was written over one connection.
#[derive(Debug, Default)]
pub(super) struct Confirmations {
    written: AtomicU64,
    last: Mutex<Round>,
}

/// How the last confirmation went, and which writes it was for.
#[derive(Debug, Default)]
struct Round {
    covers: u64,
    failure: Option<String>,
}

impl Live {
    /// Returns once everything written over this connection so far is where `wanted` says. `key`
    /// is any key of the server's.
    ///
    /// # Errors
    /// `Unavailable` where that is not so in time: what was written may or may not be kept.
    pub(super) async fn confirm(
        self: &Arc<Self>,
        link: &Link,
        wanted: Confirmation,
        key: &[u8],
    ) -> Result<(), StoreError> {
        let confirmations = &self.confirmations;
        let ticket = confirmations.written.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = confirmations.last.lock().await;
        if last.covers < ticket {
            let covers = confirmations.written.load(Ordering::SeqCst);
            let failure = self.ask(link, wanted, key).await.err();
            *last = Round { covers, failure };
        }
        match &last.failure {
            None => Ok(()),
            Some(why) => Err(StoreError::Unavailable(why.clone())),
        }
    }

    async fn ask(
        self: &Arc<Self>,
        link: &Link,
        wanted: Confirmation,
        key: &[u8],
    ) -> Result<(), String> {
        let replicas = u64::from(wanted.replicas);
        let mut asking = redis::pipe();
        asking.cmd("SET").arg(mark(key)).arg("").arg("PX").arg(MARK_KEPT_MS);
        let once = [CONFIRM_TIMEOUT.as_millis().try_into().unwrap_or(u64::MAX)];
        let again = wanted.on_disk && replicas > 0;
        for patience_ms in if again { &PATIENCE_MS[..] } else { &once[..] } {
            if wanted.on_disk {
                asking.cmd("WAITAOF").arg(1).arg(replicas).arg(patience_ms);
            } else {
                asking.cmd("WAIT").arg(replicas).arg(patience_ms);
            }
        }
        let asked = asking.query_async::<Vec<Value>>(&mut self.connection.clone()).await;
        link.note(self, &asked);
        let answers =
            asked.map_err(|error| format!("written but not confirmed: {}", failed(error)))?;
        // Each is for everything written before the first: the last has waited the longest.
        let (local, found) = match (wanted.on_disk, answers.last()) {
            (true, Some(Value::Array(both))) => match both.as_slice() {
                [Value::Int(local), Value::Int(replicas)] => (*local, *replicas),
                other => return Err(format!("WAITAOF was answered with {other:?}")),
            },
            (false, Some(Value::Int(replicas))) => (1, *replicas),
            (_, other) => return Err(format!("WAIT was answered with {other:?}")),
        };
        let found = u64::try_from(found).unwrap_or_default();
        if local < 1 {
            return Err(format!(
                "written, and not on the primary's disk within {CONFIRM_TIMEOUT:?}"
            ));
        }
        if found < replicas {
            return Err(format!(
                "written, and confirmed by {found} of {replicas} replicas within \
                 {CONFIRM_TIMEOUT:?}"
            ));
        }
        Ok(())
    }
}

/// A key of the same slot as `key`, that holds nothing.
fn mark(key: &[u8]) -> Vec<u8> {
    let end = key.iter().position(|byte| *byte == b'}').map_or(0, |at| at + 1);
    [&key[..end], b":confirmed"].concat()
}
