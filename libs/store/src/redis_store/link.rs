//! A connection shared by all commands to one server, opened again where it is over.
//!
//! One attempt at a time, and after each that failed a longer pause, in which commands fail at
//! once instead of waiting.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::Instant;

use crate::error::StoreError;

use super::address::Host;
use super::confirm::Confirmations;
use super::connector::Connector;
use super::failure::failed_at;
use super::sentinel::Sentinels;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long a primary that the sentinels have replaced may be taken for one, while it answers.
const RECHECK_AFTER: Duration = Duration::from_secs(5);

/// Which server a link leads to.
#[derive(Debug)]
pub(super) enum Target {
    /// This one.
    Host(Host),
    /// Whichever the sentinels say is the primary.
    Primary(Arc<Sentinels>),
}

/// A shared connection to one server.
#[derive(Debug)]
pub(super) struct Link {
    target: Target,
    connector: Connector,
    answer_timeout: Duration,
    state: Arc<Mutex<State>>,
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum State {
    /// Not connected, and free to try.
    Idle {
        failures: u32,
    },
    Up(Arc<Live>),
    /// Not connected, and not to be tried for now.
    Down {
        failures: u32,
        until: Instant,
        why: String,
    },
}

/// A connection, as long as it is good. Everything sent over it reaches the same server.
#[derive(Debug)]
pub(super) struct Live {
    /// The server.
    pub(super) host: Host,
    /// The connection; clones share it.
    pub(super) connection: MultiplexedConnection,
    /// Confirmations of what was written over it.
    pub(super) confirmations: Confirmations,
    is_proven: AtomicBool,
    failures: u32,
    checked: Mutex<Instant>,
}

impl Link {
    pub(super) fn new(target: Target, connector: Connector, answer_timeout: Duration) -> Self {
        let state = Arc::new(Mutex::new(State::Idle { failures: 0 }));
        Self { target, connector, answer_timeout, state, connecting: tokio::sync::Mutex::new(()) }
    }

    /// The connection, opened where there is none.
    ///
    /// # Errors
    /// `Unavailable` where the server cannot be reached, or was not a moment ago; `Settings` where
    /// it does not let us in.
    pub(super) async fn live(&self) -> Result<Arc<Live>, StoreError> {
        match self.known()? {
            Some(live) => {
                self.recheck(&live);
                Ok(live)
            }
            // Beside every command there would else be room kept for a handshake.
            None => Box::pin(self.opened()).await,
        }
    }

    async fn opened(&self) -> Result<Arc<Live>, StoreError> {
        let _one_at_a_time = self.connecting.lock().await;
        if let Some(live) = self.known()? {
            return Ok(live); // Somebody else was faster.
        }
        let failures = self.state().failures();
        let opened = self.open(failures).await;
        let mut state = self.state();
        match opened {
            Ok(live) => {
                let live = Arc::new(live);
                *state = State::Up(Arc::clone(&live));
                Ok(live)
            }
            Err(error) => {
                *state = State::down(failures + 1, error.to_string());
                Err(error)
            }
        }
    }

    /// Notes how a command over `live` went: one that broke it is the last one.
    pub(super) fn note<T>(&self, live: &Arc<Live>, outcome: &Result<T, RedisError>) {
        let Err(error) = outcome else {
            live.is_proven.store(true, Ordering::Relaxed);
            return;
        };
        if !breaks(error) {
            return;
        }
        let mut state = self.state();
        if matches!(&*state, State::Up(current) if Arc::ptr_eq(current, live)) {
            tracing::warn!(server = %live.host, %error, "connection to the store dropped");
            // A server that only ever answers `LOADING` is not worth a connection a command.
            *state = if live.is_proven.load(Ordering::Relaxed) {
                State::Idle { failures: 0 }
            } else {
                State::down(live.failures + 1, error.to_string())
            };
        }
    }

    /// Asks the sentinels now and then, beside everything else, whether a primary that answers is
    /// still the one: it may be cut off from them and not from us.
    fn recheck(&self, live: &Arc<Live>) {
        let Target::Primary(sentinels) = &self.target else { return };
        {
            let mut checked = live.checked.lock().unwrap_or_else(PoisonError::into_inner);
            if checked.elapsed() < RECHECK_AFTER {
                return;
            }
            *checked = Instant::now();
        }
        let (sentinels, live) = (Arc::clone(sentinels), Arc::clone(live));
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            let Ok(primary) = sentinels.primary().await else { return };
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let is_current = matches!(&*state, State::Up(current) if Arc::ptr_eq(current, &live));
            if primary != live.host && is_current {
                tracing::warn!(was = %live.host, is = %primary, "the sentinels name another primary");
                *state = State::Idle { failures: 0 };
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> Result<Option<Arc<Live>>, StoreError> {
        let mut state = self.state();
        match &*state {
            State::Up(live) => Ok(Some(Arc::clone(live))),
            State::Idle { .. } => Ok(None),
            State::Down { failures, until, why } => {
                let pause = until.saturating_duration_since(Instant::now());
                if pause.is_zero() {
                    *state = State::Idle { failures: *failures };
                    return Ok(None);
                }
                let next_ms = pause.as_millis();
                Err(StoreError::Unavailable(format!("{why}; tried again in {next_ms} ms")))
            }
        }
    }

    async fn open(&self, failures: u32) -> Result<Live, StoreError> {
        let host = match &self.target {
            Target::Host(host) => host.clone(),
            Target::Primary(sentinels) => sentinels.primary().await?,
        };
        let mut connection = self
            .connector
            .connect(&host, CONNECT_TIMEOUT, self.answer_timeout)
            .await
            .map_err(|error| failed_at(&host, &error))?;
        if matches!(self.target, Target::Primary(_)) {
            let asked = redis::cmd("ROLE").query_async::<Vec<redis::Value>>(&mut connection).await;
            let role = asked.map_err(|error| failed_at(&host, &error))?;
            if role.first() != Some(&redis::Value::BulkString(b"master".to_vec())) {
                return Err(StoreError::Unavailable(format!(
                    "the sentinels name {host}, which is not a primary"
                )));
            }
        }
        let confirmations = Confirmations::default();
        let is_proven = AtomicBool::new(false);
        let checked = Mutex::new(Instant::now());
        Ok(Live { host, connection, confirmations, is_proven, failures, checked })
    }
}

impl State {
    fn failures(&self) -> u32 {
        match self {
            Self::Idle { failures } | Self::Down { failures, .. } => *failures,
            Self::Up(_) => 0,
        }
    }

    fn down(failures: u32, why: String) -> Self {
        // The store's own prefix is said again by whoever reads `why`.
        let why = why.strip_prefix("store unavailable: ").unwrap_or(&why).to_owned();
        Self::Down { failures, until: Instant::now() + pause(failures), why }
    }
}

/// Twice as long after every failure, and never twice the same for two processes.
fn pause(failures: u32) -> Duration {
    let doubled = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let random = RandomState::new().build_hasher().finish() % 1024;
    let half = doubled.min(PAUSE_MAX) / 2;
    half + half.mul_f64(f64::from(u16::try_from(random).unwrap_or_default()) / 1024.0)
}

/// Whether a connection that answered so is good for nothing more: it is gone, it is late, or the
/// server at its end is not, or not yet, the one to talk to.
fn breaks(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::Server(BusyLoading | MasterDown | ReadOnly)
    ) || matches!(error.code(), Some("NOAUTH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        let pauses: Vec<Duration> = (1..40).map(pause).collect();
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_MAX));
        assert!(pauses[20..].iter().all(|pause| *pause >= PAUSE_MAX / 2));
        let jitter: std::collections::BTreeSet<Duration> = (0..20).map(|_| pause(30)).collect();
        assert!(jitter.len() > 1);
    }
}
