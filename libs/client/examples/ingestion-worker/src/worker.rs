//! The worker process: asks before each upload, ingests it on the path it is told, reports.
//!
//! Uploads are reported in batches whose ids follow from the uploads, so that a worker that was
//! killed and runs again reports the same batches and nothing counts twice.

use std::borrow::Cow;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Admission, Client, CredentialFiles, Credentials, Now, Options, Outcome, Path, demo_clock,
    system_clock,
};
use vocab::{Timestamp, UploadId, WorkspaceId};

use crate::platform::Platform;
use crate::samples::{self, write_sized};

mod bench;

use bench::{Bench, Ended};

const BATCH: usize = 5; // Small, so that progress shows.
const SEND_SIZE_MAX_BYTES: u64 = 64 * 1024 * 1024; // Above every plan's limit: Softlaunch decides.

/// What went wrong, as a lowercase fragment.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a worker is told to do.
#[derive(Debug, Clone, clap::Parser)]
#[command(about = "A sample ingestion worker: sends ad exports through Softlaunch.", version)]
pub struct Arguments {
    /// Identifies this worker among those of the pipeline.
    #[arg(long, default_value = "worker-0")]
    pub worker_id: String,
    /// The pipeline.
    #[arg(long, default_value = "ingestion_v2")]
    pub pipeline: String,
    /// The flag that decides which path an upload takes.
    #[arg(long, default_value = "ingestion_v2_enabled")]
    pub flag: String,
    /// Address of the flag service.
    #[arg(long, default_value = "http://127.0.0.1:7101")]
    pub flag_address: String,
    /// Address of the gate service.
    #[arg(long, default_value = "http://127.0.0.1:7102")]
    pub gate_address: String,
    /// Address of the kill-switch service.
    #[arg(long, default_value = "http://127.0.0.1:7103")]
    pub killswitch_address: String,
    /// The workspace whose uploads these are.
    #[arg(long, default_value = "internal-test-workspace")]
    pub workspace: String,
    /// Every tenth upload is of this workspace instead.
    #[arg(long, default_value = "ws-outside")]
    pub other_workspace: String,
    /// How many uploads all workers together send.
    #[arg(long, default_value_t = 130)]
    pub uploads: u64,
    /// This worker's place among the workers, from 0.
    #[arg(long, default_value_t = 0)]
    pub place: u64,
    /// How many workers share the uploads.
    #[arg(long, default_value_t = 1)]
    pub workers: u64,
    /// Begins the ids of uploads and batches.
    #[arg(long, default_value = "sample")]
    pub run: String,
    /// The database file; in memory where absent.
    #[arg(long)]
    pub database: Option<PathBuf>,
    /// The directory in which this worker keeps the kill switches it has heard of, so that a
    /// restart does not take an older state; nothing is kept where absent.
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    /// Takes the staging table away for a while, so that the breaker opens and recovers.
    #[arg(long)]
    pub outage: bool,
    /// Also sends a file of exactly this size, in bytes; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub large_file_bytes: u64,
    /// From this instant on (RFC 3339) a demo clock runs faster; as the services' do.
    #[arg(long)]
    pub demo_origin: Option<String>,
    /// How many seconds of demo time pass in one.
    #[arg(long, default_value_t = 1)]
    pub demo_factor: u32,
    /// Certificates of the authority that the services are trusted by, PEM; for https addresses.
    #[arg(long, value_name = "FILE", env = "SOFTLAUNCH_TLS_CA")]
    pub tls_ca: Option<PathBuf>,
    /// The file with the token that this worker shows.
    #[arg(long, value_name = "FILE", env = "SOFTLAUNCH_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Stays connected after the last upload until standard input is closed.
    #[arg(long)]
    pub stay: bool,
}

/// Does what the arguments say.
///
/// # Errors
/// Says which argument is wrong, or what could not be reported.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let worker = Worker::start(arguments)?;
    if !worker.arguments.stay {
        return worker.work().await;
    }
    let mut gone = std::pin::pin!(parent_gone());
    tokio::select! {
        worked = worker.work() => worked?,
        () = &mut gone => return Ok(()),
    }
    gone.await;
    Ok(())
}

/// Ends when standard input does: a worker never outlives whoever started it. A thread of its
/// own waits, since a runtime does not end while one of its threads reads.
async fn parent_gone() {
    let (tx, rx) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut byte = [0_u8; 1];
        while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
        let _unheard = tx.send(()); // Nobody may be waiting any more.
    });
    // The thread always sends, or is gone with the process.
    let _told = rx.await;
}

/// A file for every worker: no id makes a path of its own.
fn state_file(dir: &std::path::Path, arguments: &Arguments) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let id = arguments.worker_id.chars().map(|c| if plain(c) { c } else { '_' });
    dir.join(format!("kill-switches-{}.state", id.collect::<String>()))
}

struct Worker {
    arguments: Arguments,
    client: Client,
    now: Now,
    bench: Arc<std::sync::Mutex<Bench>>,
}

struct Upload {
    id: UploadId,
    workspace: WorkspaceId,
    bytes: Cow<'static, [u8]>,
}

impl Worker {
    fn start(arguments: Arguments) -> Result<Self, Error> {
        let now: Now = match &arguments.demo_origin {
            Some(origin) => demo_clock(Timestamp::parse(origin)?, arguments.demo_factor.max(1)),
            None => system_clock(),
        };
        let credentials = Credentials::read(&CredentialFiles {
            authority: arguments.tls_ca.clone(),
            token: arguments.token_file.clone(),
            ..CredentialFiles::default()
        })?;
        let client = Client::start(Options {
            worker_id: arguments.worker_id.clone(),
            flag_address: arguments.flag_address.clone(),
            gate_address: arguments.gate_address.clone(),
            killswitch_address: arguments.killswitch_address.clone(),
            state_file: arguments.state_dir.as_deref().map(|dir| state_file(dir, &arguments)),
            credentials,
            now: Arc::clone(&now),
            ..Options::new(&arguments.pipeline, &arguments.flag)
        })?;
        let bench =
            Bench::open(arguments.database.as_deref(), Arc::clone(&now), arguments.demo_factor)?;
        Ok(Self { arguments, client, now, bench: Arc::new(std::sync::Mutex::new(bench)) })
    }

    async fn work(&self) -> Result<(), Error> {
        self.client.kills().first_word().await;
        // One that was open when a worker of this name ended is gone.
        self.client.reporter().breaker(&self.breaker_id(), "CLOSED", (self.now)()).await?;
        let own = (0..self.arguments.uploads)
            .filter(|index| index % self.arguments.workers.max(1) == self.arguments.place);
        let own: Vec<_> = own.collect();
        if self.arguments.large_file_bytes > 0 {
            self.batch("large", vec![self.large_upload()?]).await?;
        }
        for (number, indices) in own.chunks(BATCH).enumerate() {
            if self.arguments.outage && number == 1 {
                self.lock().begin_outage();
            }
            let uploads = indices.iter().map(|index| self.upload(*index));
            self.batch(&number.to_string(), uploads.collect::<Result<_, _>>()?).await?;
        }
        Ok(())
    }

    fn breaker_id(&self) -> String {
        format!("staging-{}", self.arguments.worker_id)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn upload(&self, index: u64) -> Result<Upload, Error> {
        let other = index % 10 == 9;
        let workspace =
            if other { &self.arguments.other_workspace } else { &self.arguments.workspace };
        Ok(Upload {
            id: UploadId::new(&format!("{}-{index}", self.arguments.run))?,
            workspace: WorkspaceId::new(workspace)?,
            bytes: samples::nth(index).bytes(),
        })
    }

    fn large_upload(&self) -> Result<Upload, Error> {
        let mut bytes = Vec::new();
        write_sized(&mut bytes, Platform::Meta, 0, self.arguments.large_file_bytes)?;
        Ok(Upload {
            id: UploadId::new(&format!("{}-large-{}", self.arguments.run, self.arguments.place))?,
            workspace: WorkspaceId::new(&self.arguments.workspace)?,
            bytes: Cow::Owned(bytes),
        })
    }

    /// Sends some uploads through and reports them together.
    async fn batch(&self, name: &str, uploads: Vec<Upload>) -> Result<(), Error> {
        let mut outcomes = Vec::new();
        for upload in uploads {
            outcomes.extend(self.one(upload).await?);
        }
        self.report_steps().await?;
        if !outcomes.is_empty() {
            let Arguments { run, place, .. } = &self.arguments;
            let id = format!("{run}.{place}.{name}");
            match self.client.reporter().batch(&id, outcomes).await {
                Err(unsent) if unsent.is_counted_otherwise() => {
                    tracing::info!(batch = id, "counted before this worker was started again");
                }
                counted => counted?,
            }
        }
        Ok(())
    }

    /// Sends one upload through; nothing to report where Softlaunch refused it.
    async fn one(&self, upload: Upload) -> Result<Option<Outcome>, Error> {
        let begun = tokio::time::Instant::now();
        let size = upload.bytes.len() as u64;
        let path = loop {
            match self.client.admit(&upload.workspace, &upload.id, size).await {
                Admission::Admit => break Path::New,
                Admission::Legacy => break Path::Legacy,
                Admission::Defer { retry_after } => tokio::time::sleep(retry_after).await,
                Admission::Reject { why } => {
                    tracing::info!(upload = %upload.id, why, "refused");
                    return Ok(None);
                }
            }
        };
        let (bench, id) = (Arc::clone(&self.bench), upload.id.clone());
        let Ended { ending, platform } = tokio::task::spawn_blocking(move || {
            let mut bench = bench.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            bench.ingest(&id, &upload.bytes, path, SEND_SIZE_MAX_BYTES)
        })
        .await?;
        self.client.breaker(self.lock().breaker());
        let latency = begun.elapsed().min(Duration::from_secs(24 * 3_600));
        let (id, workspace) = (upload.id, upload.workspace);
        Ok(Some(Outcome { upload: id, workspace, ending, path, latency, platform }))
    }

    async fn report_steps(&self) -> Result<(), Error> {
        let (steps, breaker, backlog) = {
            let mut bench = self.lock();
            (bench.take_steps(), bench.take_breaker_moves(), bench.backlog())
        };
        let reporter = self.client.reporter();
        for (from, to, at) in steps {
            reporter.transition(from, to, at).await?;
        }
        let breaker_id = self.breaker_id();
        for (state, at) in breaker {
            reporter.breaker(&breaker_id, state, at).await?;
        }
        reporter.gauge("staging_backlog", "", backlog).await?;
        Ok(reporter.flush().await?)
    }
}
