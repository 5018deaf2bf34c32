//! The flags as one process knows them, kept current by a stream, and evaluated where they are.

mod answer;
mod asking;
mod context;
mod evaluator;
mod held;
mod reading;
mod ruleset_file;
mod stream;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credentials::{Credentials, Line};
use tokio::sync::watch;
use tonic::Code;
use vocab::Invalid;

use crate::Way;
use crate::clock::{Now, system_clock};
use crate::killwatch::KillWatch;
use answer::{BOOLEAN, FLOAT, INTEGER, Kind, STRING, Seen};
use held::Held;
use reading::{Known, Reading, Step};
use stream::Listener;

pub use answer::{Details, Evaluation, EvaluationError, Source};
pub use context::Context;
pub use evaluator::Evaluator;

/// Heartbeats that may be missed.
const HEARTBEATS_MISSED: u32 = 3;

/// How to watch flags.
#[derive(Clone)]
pub struct FlagOptions {
    /// Where to keep the last flags known, of one process alone; nothing is kept where `None`. What
    /// is kept is only trusted where its digest matches; what is not is warned of and replaced.
    pub state_file: Option<PathBuf>,
    /// Time between two signs of life of the service: its setting `evaluation.heartbeat`. After
    /// three of them without a word the flags are stale, and the stream is opened anew.
    pub heartbeat: Duration,
    /// How long the service may take to answer for a flag that cannot be evaluated here.
    pub call_timeout: Duration,
    /// Whom to trust, and what to show; [`Client::watch_flags`](crate::Client::watch_flags) takes
    /// the client's.
    pub credentials: Credentials,
    /// What time it is, for imported definitions that look at it.
    pub now: Now,
}

impl Default for FlagOptions {
    /// Keeps nothing, expects a sign of life every second, asks for at most one, and takes the time
    /// from the system's clock.
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self {
            state_file: None,
            heartbeat: second,
            call_timeout: second,
            credentials: Credentials::default(),
            now: system_clock(),
        }
    }
}

impl std::fmt::Debug for FlagOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FlagOptions")
            .field("state_file", &self.state_file)
            .field("heartbeat", &self.heartbeat)
            .field("call_timeout", &self.call_timeout)
            .finish_non_exhaustive()
    }
}

/// The newest flags heard of, and the kill switch beside them. Out of touch it goes on from what it
/// knew last and says so; an older revision never replaces a newer one, through restarts as well,
/// unless the service's store is another one.
///
/// The service is asked only where there are no flags at all, where a definition is one that this
/// version cannot read, and for a flag that is not among those known while they are stale.
#[derive(Debug)]
pub struct FlagWatch {
    reading: Reading,
    line: Line,
    call_timeout: Duration,
    heard: watch::Sender<bool>,
}

impl FlagWatch {
    /// Starts watching the flag service at `address`, for as long as the runtime lives. Must be
    /// called inside one. Flags that were kept are there at once.
    ///
    /// # Errors
    /// Refuses what is not an address such as `http://127.0.0.1:7101`.
    pub fn start(
        address: &str,
        kills: Arc<KillWatch>,
        options: FlagOptions,
    ) -> Result<Arc<Self>, Invalid> {
        let way = Way::new(address, &options.credentials)?;
        let FlagOptions { state_file, heartbeat, call_timeout, now, credentials: _ } = options;
        let held = Held::new(stream::remember(state_file.as_deref()).map(Arc::new));
        let silence = heartbeat.saturating_mul(HEARTBEATS_MISSED);
        let watch = Arc::new(Self {
            reading: Reading::new(Known::of(&held, silence), kills, now),
            line: way.connect(),
            call_timeout,
            heard: watch::Sender::new(false),
        });
        let listener = Listener::new(Arc::clone(&watch), way, silence, held);
        tokio::spawn(listener.run(state_file));
        Ok(watch)
    }

    /// For a thread that asks for one flag again and again, and waits for nobody.
    #[must_use]
    pub fn evaluator(self: &Arc<Self>, flag: &str) -> Evaluator {
        Evaluator::of(Arc::clone(self), flag)
    }

    /// Evaluates a flag: what the service would answer at the revision held.
    ///
    /// # Errors
    /// See [`EvaluationError`]. Of an imported definition nobody may have an answer.
    pub async fn evaluate(
        &self,
        flag: &str,
        context: &Context,
    ) -> Result<Evaluation, EvaluationError> {
        self.answer(flag, context, |seen| Ok(seen.owned())).await
    }

    /// The value of a boolean flag; `default` where there is none. Of a flag in our own form that is
    /// held here it allocates nothing, takes no lock and waits for nobody.
    pub async fn boolean(&self, flag: &str, default: bool, context: &Context) -> Details<bool> {
        self.typed(&BOOLEAN, flag, default, context).await
    }

    /// The value of a flag whose variants are texts; `default` where there is none.
    pub async fn string(&self, flag: &str, default: String, context: &Context) -> Details<String> {
        self.typed(&STRING, flag, default, context).await
    }

    /// The value of a flag whose variants are whole numbers; `default` where there is none.
    pub async fn integer(&self, flag: &str, default: i64, context: &Context) -> Details<i64> {
        self.typed(&INTEGER, flag, default, context).await
    }

    /// The value of a flag whose variants are numbers; `default` where there is none.
    pub async fn float(&self, flag: &str, default: f64, context: &Context) -> Details<f64> {
        self.typed(&FLOAT, flag, default, context).await
    }

    /// How long ago the service last confirmed the flags; `None` where it has not yet, in this
    /// process. A word of a service that is itself behind them confirms nothing.
    #[must_use]
    pub fn staleness(&self) -> Option<Duration> {
        self.reading.staleness()
    }

    /// Whether the flags may have changed since: three heartbeats were missed, nothing was heard
    /// yet in this process, or the service says that its own store is out of reach.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.reading.is_stale()
    }

    /// The revision held; `None` where there are no flags yet.
    #[must_use]
    pub fn revision(&self) -> Option<u64> {
        self.reading.holds().map(|(revision, _)| revision)
    }

    /// Waits until the service has confirmed the flags or sent new ones.
    pub async fn first_word(&self) {
        // The sender lives as long as `self`: waiting cannot fail.
        drop(self.heard.subscribe().wait_for(|heard| *heard).await);
    }

    async fn typed<T: Clone>(
        &self,
        kind: &Kind<T>,
        flag: &str,
        default: T,
        context: &Context,
    ) -> Details<T> {
        let found = self.answer(flag, context, |seen| seen.details(kind, &default)).await;
        found.unwrap_or_else(|error| self.failed(default, error))
    }

    fn failed<T>(&self, default: T, error: EvaluationError) -> Details<T> {
        let stale = self.is_stale();
        Details { value: default, reason: "ERROR", error: Some(error), revision: 0, stale }
    }

    async fn answer<T>(
        &self,
        flag: &str,
        context: &Context,
        read: impl Fn(&Seen<'_>) -> Result<T, EvaluationError>,
    ) -> Result<T, EvaluationError> {
        let Step { answer, ask } = self.reading.step(flag, context, &read);
        if !ask {
            return answer;
        }
        let asked = asking::ask(self.line.clone(), self.call_timeout, flag, context).await;
        let status = match asked {
            Ok(evaluation) => return read(&evaluation.seen()),
            Err(status) => status,
        };
        let why = || format!("{}: {}", status.code(), status.message());
        match (answer, status.code()) {
            (_, Code::NotFound) => Err(EvaluationError::FlagNotFound(flag.to_owned())),
            (_, Code::InvalidArgument | Code::DataLoss) => Err(EvaluationError::Failed(why())),
            (Err(EvaluationError::NotReady(_)), _) => Err(EvaluationError::NotReady(why())),
            // What was known last.
            (answer, _) => answer,
        }
    }
}
