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
        let mut notes = Vec::new();
        if let Some(info) = details.error_info() {
            let (reason, domain) = (&info.reason, &info.domain);
            notes.push(format!("{reason} ({domain}, {:?})", status.code()));
        }
        for violation in details.bad_request().map_or(&[][..], |bad| &bad.field_violations) {
            notes.push(format!("{}: {}", violation.field, violation.description));
        }
        for violation in details.precondition_failure().map_or(&[][..], |bad| &bad.violations) {
            notes.push(format!("{}: {}", violation.r#type, violation.description));
        }
        if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
            notes.push(format!("try again in {}", vocab::format_duration(delay)));
        }
        let message = if status.message().is_empty() {
            format!("the service answered {:?}", status.code())
        } else {
            status.message().to_owned()
        };
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
    for note in failure.notes.iter().filter(|note| !failure.message.contains(*note)) {
        eprintln!("  {note}");
    }
    ExitCode::from(failure.code)
}
