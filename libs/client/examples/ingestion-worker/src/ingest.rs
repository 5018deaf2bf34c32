//! One upload through the new path, from received to its end.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::time::Duration;

use vocab::{Timestamp, UploadId};

use crate::breaker::{self, Breaker};
use crate::machine::{self, Machine, NoWay, State};
use crate::parse::{self, ParseError};
use crate::platform::Platform;
use crate::stage::{StageError, Staging};

const TRIES: u32 = 3; // Of staging, before the upload fails.
const FIRST_WAIT: Duration = Duration::from_millis(200); // Doubled from try to try.

/// Where a file is; it is read once to validate it and once to stage it.
#[derive(Debug, Clone, Copy)]
pub enum Source<'s> {
    /// In memory.
    Bytes(&'s [u8]),
    /// On disk.
    File(&'s Path),
}

impl<'s> Source<'s> {
    /// Begins to read it.
    ///
    /// # Errors
    /// Says what the system said.
    pub fn open(&self) -> Result<Box<dyn Read + 's>, ParseError> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(*bytes)),
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(BufReader::new(file))),
                Err(error) => Err(ParseError::Read { message: error.to_string() }),
            },
        }
    }

    /// Its size, for admission.
    ///
    /// # Errors
    /// Says what the system said.
    pub fn size_bytes(&self) -> Result<u64, ParseError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => path
                .metadata()
                .map(|metadata| metadata.len())
                .map_err(|error| ParseError::Read { message: error.to_string() }),
        }
    }
}

/// Faults to be had on purpose, for drills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    staging_outage_tries: u32,
}

impl Faults {
    /// Lets the next `tries` to stage meet a database without its staging table.
    pub const fn fail_staging(&mut self, tries: u32) {
        self.staging_outage_tries = tries;
    }

    /// Tries that are still to fail.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        self.staging_outage_tries
    }

    const fn take(&mut self) -> bool {
        let due = self.staging_outage_tries > 0;
        self.staging_outage_tries = self.staging_outage_tries.saturating_sub(1);
        due
    }
}

/// Something that happened on the way.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    /// The upload took a step.
    Upload {
        /// Which upload.
        upload: &'e UploadId,
        /// The step.
        step: machine::Transition,
    },
    /// The circuit breaker moved.
    Breaker(breaker::Transition),
}

/// What an upload is ingested with.
#[expect(missing_debug_implementations, reason = "holds closures")]
pub struct Workbench<'w> {
    /// The database.
    pub staging: &'w mut Staging,
    /// The breaker in front of it, shared by all uploads.
    pub breaker: &'w mut Breaker,
    /// Faults of a drill.
    pub faults: &'w mut Faults,
    /// What time it is.
    pub now: &'w dyn Fn() -> Timestamp,
    /// Waits between two tries, and until an open breaker lets a probe pass.
    pub wait: &'w mut dyn FnMut(Duration),
    /// Hears of every step as it is taken.
    pub tell: &'w mut dyn FnMut(Event<'_>),
    /// Files above this are invalid.
    pub size_max_bytes: u64,
}

/// How an upload ended.
#[derive(Debug)]
pub enum Outcome {
    /// Its results are there.
    Succeeded,
    /// The pipeline's fault.
    Failed(Failure),
    /// The file's fault.
    Invalid(ParseError),
}

/// Why the pipeline could not ingest a good file.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database, or a file that changed under way.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The file could not be read.
    #[error(transparent)]
    Unreadable(ParseError),
    /// The breaker let nothing pass.
    #[error("the circuit breaker is open for another {} ms", retry_after.as_millis())]
    BreakerOpen {
        /// When a probe may pass.
        retry_after: Duration,
    },
    /// A step the state machine does not have: a mistake in this program.
    #[error(transparent)]
    NoWay(#[from] NoWay),
}

/// What became of an upload.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Where the file came from, if it got that far.
    pub platform: Option<Platform>,
    /// Rows ingested.
    pub rows: u64,
    /// Every step, oldest first; none if it had been committed before.
    pub steps: Vec<machine::Transition>,
    /// From received to the end.
    pub duration: Duration,
}

/// Ingests one upload.
///
/// An upload that was committed before stays as it is and succeeds again. One that failed may be
/// ingested again under the same id. D6.6 has no way from `aggregating` or `validating` to
/// `failed`: where the database or the disk fails there, the upload stays in that state, and the
/// outcome says `Failed`.
pub fn ingest(upload: &UploadId, source: &Source<'_>, workbench: &mut Workbench<'_>) -> Report {
    let begun = (workbench.now)();
    let mut run =
        Run { upload, source, workbench, machine: Machine::default(), platform: None, rows: 0 };
    let outcome = match run.all() {
        Ok(None) => Outcome::Succeeded,
        Ok(Some(problem)) => Outcome::Invalid(problem),
        Err(failure) => Outcome::Failed(failure),
    };
    Report {
        outcome,
        platform: run.platform,
        rows: run.rows,
        steps: run.machine.steps().to_vec(),
        duration: (run.workbench.now)().since(begun),
    }
}

struct Run<'r, 'w> {
    upload: &'r UploadId,
    source: &'r Source<'r>,
    workbench: &'r mut Workbench<'w>,
    machine: Machine,
    platform: Option<Platform>,
    rows: u64,
}

impl Run<'_, '_> {
    /// Goes all the way; `Some` where the file is invalid.
    fn all(&mut self) -> Result<Option<ParseError>, Failure> {
        if let Some(rows) = self.workbench.staging.committed_rows(self.upload)? {
            self.rows = rows;
            return Ok(None);
        }
        self.go(State::Validating)?;
        match self.validate() {
            Ok(()) => {}
            Err(problem @ ParseError::Read { .. }) => return Err(Failure::Unreadable(problem)),
            Err(problem) => {
                self.go(State::Rejected)?;
                return Ok(Some(problem));
            }
        }
        self.go(State::Staging)?;
        self.rows = self.stage()?;
        self.go(State::Aggregating)?;
        let finished = self.finish();
        self.record(finished.is_ok());
        finished?;
        self.go(State::Committed)?;
        Ok(None)
    }

    /// Reads every row and keeps none.
    fn validate(&mut self) -> Result<(), ParseError> {
        let mut rows = parse::read(self.source.open()?, self.workbench.size_max_bytes)?;
        self.platform = Some(rows.platform());
        rows.try_for_each(|row| row.map(drop))
    }

    /// Stages the rows, trying again where that may help.
    fn stage(&mut self) -> Result<u64, Failure> {
        let mut tries = 1;
        let mut wait = FIRST_WAIT;
        loop {
            let failure = match self.try_to_stage() {
                Ok(rows) => return Ok(rows),
                Err(failure) => failure,
            };
            let Some(breaker_wait) = worth_waiting(&failure).filter(|_| tries < TRIES) else {
                self.go(State::Failed)?;
                return Err(failure);
            };
            self.go(State::Retrying)?;
            (self.workbench.wait)(wait.max(breaker_wait));
            self.go(State::Staging)?;
            tries += 1;
            wait *= 2;
        }
    }

    fn try_to_stage(&mut self) -> Result<u64, Failure> {
        let admission = self.workbench.breaker.ask((self.workbench.now)());
        self.tell_breaker(admission.transition);
        admission.answer.map_err(|retry_after| Failure::BreakerOpen { retry_after })?;
        let staged = self.stage_rows();
        match &staged {
            Err(error) if !error.is_worth_another_try() => self.workbench.breaker.forget(),
            _ => self.record(staged.is_ok()),
        }
        Ok(staged?)
    }

    fn stage_rows(&mut self) -> Result<u64, StageError> {
        let rows = parse::read(self.source.open()?, self.workbench.size_max_bytes)?;
        let staging = &mut *self.workbench.staging;
        if !self.workbench.faults.take() {
            return staging.stage(self.upload, rows);
        }
        staging.begin_outage()?;
        let staged = staging.stage(self.upload, rows);
        staging.end_outage()?;
        staged
    }

    fn finish(&mut self) -> Result<(), StageError> {
        self.workbench.staging.aggregate(self.upload)?;
        self.workbench.staging.commit(self.upload, self.rows)
    }

    fn record(&mut self, succeeded: bool) {
        let transition = self.workbench.breaker.record(succeeded, (self.workbench.now)());
        self.tell_breaker(transition);
    }

    fn tell_breaker(&mut self, transition: Option<breaker::Transition>) {
        if let Some(transition) = transition {
            (self.workbench.tell)(Event::Breaker(transition));
        }
    }

    fn go(&mut self, to: State) -> Result<(), NoWay> {
        let step = self.machine.go(to, (self.workbench.now)())?;
        (self.workbench.tell)(Event::Upload { upload: self.upload, step });
        Ok(())
    }
}

/// How long the breaker wants to be left alone; `None` where another try cannot help.
const fn worth_waiting(failure: &Failure) -> Option<Duration> {
    match failure {
        Failure::Stage(error) if error.is_worth_another_try() => Some(Duration::ZERO),
        Failure::BreakerOpen { retry_after } => Some(*retry_after),
        Failure::Stage(_) | Failure::Unreadable(_) | Failure::NoWay(_) => None,
    }
}

#[cfg(test)]
mod tests;
