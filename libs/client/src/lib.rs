//! The worker SDK: what an ingestion worker links to ask and to report.
//!
//! ```no_run
//! # async fn example() -> Result<(), client::Error> {
//! use client::{Admission, Client, Options};
//!
//! let client = Client::start(Options::new("ingestion_v2", "ingestion_v2_enabled"))?;
//! let workspace = "canary-ws-1".parse()?;
//! match client.admit(&workspace, &"upload-1".parse()?, 1_024).await {
//!     Admission::Admit => { /* the new pipeline */ }
//!     Admission::Legacy => { /* the old one */ }
//!     Admission::Defer { retry_after } => { /* keep it, ask again */ }
//!     Admission::Reject { why } => { /* refuse it, and say why */ }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What only asks who is on, and has no quota to keep, need not ask the service each time.
//! [`FlagWatch`] follows its flags and evaluates them here, without allocating for a boolean one:
//!
//! ```no_run
//! # async fn example(client: client::Client) -> Result<(), client::Error> {
//! use client::{Attribute, Context, FlagOptions};
//!
//! let kept = FlagOptions { state_file: Some("worker-1.flags".into()), ..FlagOptions::default() };
//! let flags = client.watch_flags(kept)?;
//! let context = Context::new("canary-ws-1".parse()?);
//! let context = context.with("tier", Attribute::Text("gold".into()))?;
//! let details = flags.boolean("ingestion_v2_enabled", false, &context).await;
//! if details.value && !details.stale { /* the new pipeline */ }
//! # Ok(())
//! # }
//! ```
//!
//! A thread that evaluates many workspaces asks an [`Evaluator`] of its own, which is several times
//! as fast and waits for nobody:
//!
//! ```no_run
//! # fn example(flags: std::sync::Arc<client::FlagWatch>, contexts: Vec<client::Context>) {
//! let mut evaluator = flags.evaluator("ingestion_v2_enabled");
//! let on = contexts.iter().filter(|context| evaluator.boolean_value(false, context)).count();
//! println!("{on} of {} are on", contexts.len());
//! # }
//! ```
//!
//! While the service is away it goes on from what it knew last, a new process from what was kept in
//! the file, and each answer says that it is stale. The kill switch is asked here as well: once its
//! permission is over everything counts as killed, however fresh the flags are.
//!
//! Where the services are guarded, a worker trusts their authority and shows a token, each from a
//! file:
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Client, CredentialFiles, Credentials, Options};
//!
//! let files = CredentialFiles {
//!     authority: Some("tls/ca.pem".into()),
//!     token: Some("worker-1.token".into()),
//!     ..CredentialFiles::default()
//! };
//! let credentials = Credentials::read(&files)?;
//! let flag_address = "https://flag.example.com:7101".to_owned();
//! // ... and those of the gate service and the kill-switch service.
//! let options = Options::new("ingestion_v2", "ingestion_v2_enabled");
//! let client = Client::start(Options { credentials, flag_address, ..options })?;
//! # Ok(())
//! # }
//! ```
//!
//! **Invariant:** out of touch with the control plane a worker defers, it does not guess; and what
//! it reports is counted once, however often it has to be sent.

mod admission;
mod backoff;
mod clock;
mod flagwatch;
mod killwatch;
mod reporter;
mod saver;
mod sealed;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use credentials::{Bearer, Line};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;
use vocab::{FlagKey, Invalid, PipelineId, Timestamp};

pub use admission::{Admission, Evaluated};
pub use clock::{Now, demo_clock, system_clock};
pub use credentials::{Credentials, Files as CredentialFiles, Unusable};
pub use flag_core::{Attribute, Attributes, Reason, Value};
pub use flagwatch::{
    Context, Details, Evaluation, EvaluationError, Evaluator, FlagOptions, FlagWatch, Source,
};
pub use killswitch_core::Policy;
pub use killwatch::{Breaker, KillWatch, Remembered, WatchOptions};
pub use reporter::{Ending, Outcome, Path, Reporter, Unsent};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a client cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name or address is malformed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// What a client is started with.
#[derive(Clone)]
pub struct Options {
    /// The pipeline served.
    pub pipeline: String,
    /// The flag asked about.
    pub flag: String,
    /// Identifies this worker; a random id where empty.
    pub worker_id: String,
    /// Address of the flag service.
    pub flag_address: String,
    /// Address of the gate service.
    pub gate_address: String,
    /// Address of the kill-switch service.
    pub killswitch_address: String,
    /// What to do in silence, until the kill-switch service says what the plan wants.
    pub policy: Policy,
    /// Where this worker keeps the highest kill-switch state it has held, so that a restart does
    /// not take an older one; nothing is kept where `None`.
    pub state_file: Option<PathBuf>,
    /// Whom this worker trusts and what it shows of itself, where the services are guarded.
    pub credentials: Credentials,
    /// What time it is.
    pub now: Now,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("pipeline", &self.pipeline)
            .field("flag", &self.flag)
            .field("worker_id", &self.worker_id)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// The documented local ports, the system's clock, and closed after ten seconds of silence.
    #[must_use]
    pub fn new(pipeline: &str, flag: &str) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            flag: flag.to_owned(),
            worker_id: String::new(),
            flag_address: "http://127.0.0.1:7101".to_owned(),
            gate_address: "http://127.0.0.1:7102".to_owned(),
            killswitch_address: "http://127.0.0.1:7103".to_owned(),
            policy: Policy { stale_after: Duration::from_secs(10), fail_closed: true },
            state_file: None,
            credentials: Credentials::default(),
            now: system_clock(),
        }
    }
}

/// A worker's connection to Softlaunch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) flag: FlagKey,
    pub(crate) pipeline: PipelineId,
    pub(crate) flags: Line,
    flag_address: Arc<str>,
    credentials: Credentials,
    kills: Arc<KillWatch>,
    reporter: Reporter,
}

impl Client {
    /// Starts a client: connects in the background, watches the kill switch, sends reports.
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Refuses names and addresses that are malformed.
    pub fn start(options: Options) -> Result<Self, Error> {
        let pipeline = PipelineId::new(&options.pipeline)?;
        let worker_id = if options.worker_id.is_empty() {
            format!("worker-{}", uuid::Uuid::new_v4())
        } else {
            options.worker_id
        };
        let name = worker_id.clone();
        let kills = KillWatch::start(
            &options.killswitch_address,
            WatchOptions {
                worker_id,
                pipeline: options.pipeline.clone(),
                policy: options.policy,
                trust_max: None,
                state_file: options.state_file,
                credentials: options.credentials.clone(),
            },
        )?;
        let credentials = options.credentials;
        let gate = Way::new(&options.gate_address, &credentials)?.connect();
        let reporter = Reporter::start(gate, &name, pipeline.clone(), Arc::clone(&options.now));
        let flag = FlagKey::new(&options.flag)?;
        let flags = Way::new(&options.flag_address, &credentials)?.connect();
        let flag_address = options.flag_address.into();
        Ok(Self { flag, pipeline, flags, flag_address, credentials, kills, reporter })
    }

    /// The kill switch as this worker knows it.
    #[must_use]
    pub fn kills(&self) -> &KillWatch {
        &self.kills
    }

    /// Follows the flags, to evaluate them in this process under this worker's kill switch, with this
    /// worker's credentials. Must be called inside a tokio runtime, once: every call opens a stream.
    ///
    /// # Errors
    /// Refuses an address that is malformed.
    pub fn watch_flags(&self, options: FlagOptions) -> Result<Arc<FlagWatch>, Error> {
        let options = FlagOptions { credentials: self.credentials.clone(), ..options };
        Ok(FlagWatch::start(&self.flag_address, Arc::clone(&self.kills), options)?)
    }

    /// Tells the kill-switch service how this worker's circuit breaker stands: a fleet whose
    /// breakers stay open is stopped. What changes is told at once, and again after a reconnect.
    pub fn breaker(&self, state: Breaker) {
        self.kills.breaker(state);
    }

    /// Where outcomes and signals are reported.
    #[must_use]
    pub const fn reporter(&self) -> &Reporter {
        &self.reporter
    }
}

/// The way to a service, for as many connections as it takes.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    endpoint: Endpoint,
    bearer: Bearer,
}

impl Way {
    pub(crate) fn new(address: &str, credentials: &Credentials) -> Result<Self, Invalid> {
        let endpoint = credentials
            .endpoint(address)?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(5));
        Ok(Self { endpoint, bearer: credentials.bearer() })
    }

    /// A connection of its own, made when it is used.
    pub(crate) fn connect(&self) -> Line {
        InterceptedService::new(self.endpoint.connect_lazy(), self.bearer.clone())
    }
}

pub(crate) fn wire_time(time: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.as_millis().rem_euclid(1000) * 1_000_000).unwrap_or(0);
    prost_types::Timestamp { seconds: time.as_seconds(), nanos }
}
