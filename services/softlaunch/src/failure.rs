//! What went wrong, for the person at the terminal.

use std::process::ExitCode;

use tonic::Status;
use tonic_types::StatusExt as _;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    notes: Vec<String>,
    code: u8,
}

const REFUSED: u8 = 1;
const USAGE: u8 = 2;

impl Failure {
    /// The command line is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), notes: Vec::new(), code: USAGE }
    }

    /// Something was refused or failed.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), notes: Vec::new(), code: REFUSED }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let fields = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
        let fields = fields.iter().map(|one| format!("{}: {}", one.field, one.description));
        let missing = details.precondition_failure().map_or(&[][..], |bad| &bad.violations);
        let missing = missing.iter().map(|one| one.description.clone());
        let mut notes: Vec<_> = fields.chain(missing).collect();
        let mut message = status.message().to_owned();
        if message.is_empty() {
            message = format!("the service answered {:?}", status.code());
        }
        // A message that tells of many things is easier to read as a list of them.
        if notes.len() > 1 {
            message.truncate(message.find(": ").unwrap_or(message.len()));
        } else {
            notes.retain(|note| !message.contains(note));
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            notes.push(format!("try again in {}", vocab::format_duration(delay)));
        }
        if let Some(info) = details.error_info() {
            notes.push(format!("({}, {:?}, {})", info.reason, status.code(), info.domain));
        }
        Self { message, notes, code: REFUSED }
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for Failure {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<vocab::Invalid> for Failure {
    fn from(why: vocab::Invalid) -> Self {
        Self::usage(why.to_string())
    }
}

/// Prints a failure to standard error.
#[expect(clippy::print_stderr, reason = "the answer to a command that did not succeed")]
pub(crate) fn report(failure: &Failure) -> ExitCode {
    eprintln!("softlaunch: {}", failure.message);
    for note in &failure.notes {
        eprintln!("  {note}");
    }
    ExitCode::from(failure.code)
}
