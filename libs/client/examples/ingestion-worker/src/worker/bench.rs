//! What uploads are ingested with, and what is to be told of it afterwards.

use std::path::Path as FilePath;
use std::time::Duration;

use client::{Ending, Now, Path};
use vocab::{Timestamp, UploadId};

use crate::breaker::{Breaker, Position, Settings};
use crate::ingest::{Event, Faults, Outcome, Source, Workbench, ingest};
use crate::stage::{StageError, Staging};
use crate::worker::Error;
use crate::{legacy, platform};

const OUTAGE_TRIES: u32 = 3; // As many failures in a row as open the breaker.
const KEPT_MAX: usize = 10_000; // Steps waiting to be told; they are told after every batch.

/// How an upload ended.
pub(super) struct Ended {
    pub(super) ending: Ending,
    pub(super) platform: String,
}

/// A step of an upload, and when it was taken.
type Step = (&'static str, &'static str, Timestamp);

/// The database, the breaker in front of it, and what happened since it was last told.
pub(super) struct Bench {
    staging: Staging,
    breaker: Breaker,
    faults: Faults,
    now: Now,
    demo_factor: u32,
    steps: Vec<Step>,
    breaker_moves: Vec<(&'static str, Timestamp)>,
}

impl Bench {
    pub(super) fn open(
        database: Option<&FilePath>,
        now: Now,
        demo_factor: u32,
    ) -> Result<Self, Error> {
        let staging = match database {
            Some(path) => Staging::open(path)?,
            None => Staging::in_memory()?,
        };
        Ok(Self {
            staging,
            breaker: Breaker::new(Settings::default()),
            faults: Faults::default(),
            now,
            demo_factor: demo_factor.max(1),
            steps: Vec::new(),
            breaker_moves: Vec::new(),
        })
    }

    /// Lets the next tries to stage fail.
    pub(super) const fn begin_outage(&mut self) {
        self.faults.fail_staging(OUTAGE_TRIES);
    }

    /// Rows in the staging table; none where the table cannot be read.
    pub(super) fn backlog(&self) -> u64 {
        self.staging.backlog().unwrap_or(0)
    }

    /// How the breaker stands.
    pub(super) const fn breaker(&self) -> client::Breaker {
        match self.breaker.position() {
            Position::Closed => client::Breaker::Closed,
            Position::Open => client::Breaker::Open,
            Position::HalfOpen => client::Breaker::HalfOpen,
        }
    }

    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    pub(super) fn take_breaker_moves(&mut self) -> Vec<(&'static str, Timestamp)> {
        std::mem::take(&mut self.breaker_moves)
    }

    /// Ingests one upload on the path it was told. Blocks.
    pub(super) fn ingest(
        &mut self,
        upload: &UploadId,
        bytes: &[u8],
        path: Path,
        size_max_bytes: u64,
    ) -> Ended {
        let source = Source::Bytes(bytes);
        match path {
            Path::New | Path::Unspecified => self.ingest_new(upload, &source, size_max_bytes),
            Path::Legacy => {
                let done = legacy::ingest(upload, &source, size_max_bytes, &mut self.staging);
                let ending = match done {
                    Ok(_rows) => Ending::Succeeded,
                    Err(StageError::File(_)) => Ending::Invalid,
                    Err(_broken) => Ending::Failed,
                };
                Ended { ending, platform: String::new() }
            }
        }
    }

    fn ingest_new(&mut self, upload: &UploadId, source: &Source<'_>, size_max_bytes: u64) -> Ended {
        let Self { staging, breaker, faults, now, demo_factor, steps, breaker_moves } = self;
        let factor = *demo_factor;
        let mut wait = |time: Duration| {
            let time = (time / factor).max(Duration::from_millis(1));
            // This runs on a blocking thread of the runtime: waiting there holds nobody up.
            tokio::runtime::Handle::current().block_on(tokio::time::sleep(time));
        };
        let mut tell = |event: Event<'_>| match event {
            Event::Upload { step, .. } if steps.len() < KEPT_MAX => {
                steps.push((step.from.name(), step.to.name(), step.at));
            }
            Event::Breaker(step) if breaker_moves.len() < KEPT_MAX => {
                breaker_moves.push((step.to.name(), step.at));
            }
            Event::Upload { .. } | Event::Breaker(_) => {}
        };
        let mut workbench = Workbench {
            staging,
            breaker,
            faults,
            now: &**now,
            wait: &mut wait,
            tell: &mut tell,
            size_max_bytes,
        };
        let report = ingest(upload, source, &mut workbench);
        let ending = match report.outcome {
            Outcome::Succeeded => Ending::Succeeded,
            Outcome::Failed(why) => {
                tracing::warn!(upload = %upload, %why, "an upload failed");
                Ending::Failed
            }
            Outcome::Invalid(_) => Ending::Invalid,
        };
        let platform = report.platform.map(platform::Platform::name).unwrap_or_default();
        Ended { ending, platform: platform.to_owned() }
    }
}
