//! Refusals as `google.rpc` rich errors: a code, a reason, and what would be right.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, PreconditionViolation, StatusExt as _};
use vocab::Invalid;

/// A refusal on its way to a caller. The message says what was wrong and what would be right;
/// every changing part of it is in the metadata as well.
#[derive(Debug, Clone)]
pub struct Fault {
    code: Code,
    domain: &'static str,
    reason: &'static str,
    message: String,
    metadata: HashMap<String, String>,
    details: Box<ErrorDetails>,
}

impl Fault {
    /// A refusal with a code, an error domain such as `flag.softlaunch.dev`, and a reason in
    /// `UPPER_SNAKE_CASE`.
    pub fn new(
        code: Code,
        domain: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let details = Box::new(ErrorDetails::new());
        Self { code, domain, reason, message: message.into(), metadata: HashMap::new(), details }
    }

    /// A field that is missing or malformed: `INVALID_ARGUMENT`, `FIELD_INVALID`.
    pub fn field(domain: &'static str, path: impl Into<String>, why: impl Into<String>) -> Self {
        let (path, why) = (path.into(), why.into());
        let mut fault =
            Self::new(Code::InvalidArgument, domain, "FIELD_INVALID", format!("{path}: {why}"));
        fault.details.add_bad_request_violation(path.clone(), why);
        fault.with("field", path)
    }

    /// A resource that does not exist.
    pub fn not_found(
        domain: &'static str,
        reason: &'static str,
        kind: &str,
        name: &str,
        message: impl Into<String>,
    ) -> Self {
        let mut fault = Self::new(Code::NotFound, domain, reason, message);
        fault.details.set_resource_info(kind, name, "", "does not exist");
        fault.with("name", name)
    }

    /// Another service cannot be reached or does not answer; a repetition is safe.
    pub fn peer_unavailable(domain: &'static str, peer: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("not now: {peer} did not answer: {why}");
        Self::new(Code::Unavailable, domain, "PEER_UNAVAILABLE", message)
            .retry_after(Duration::from_secs(1))
    }

    /// The store cannot be reached; a repetition is safe.
    pub fn unavailable(domain: &'static str, why: impl std::fmt::Display) -> Self {
        Self::new(Code::Unavailable, domain, "STORE_UNAVAILABLE", format!("not now: {why}"))
            .retry_after(Duration::from_secs(1))
    }

    /// The code the caller gets.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Why, in `UPPER_SNAKE_CASE`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Adds a changing part of the message.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Adds another malformed field.
    #[must_use]
    pub fn violation(mut self, path: impl Into<String>, why: impl Into<String>) -> Self {
        self.details.add_bad_request_violation(path, why);
        self
    }

    /// Adds something that must hold first.
    #[must_use]
    pub fn precondition(mut self, kind: &str, subject: &str, why: impl Into<String>) -> Self {
        let mut violations =
            self.details.precondition_failure().map_or_else(Vec::new, |old| old.violations.clone());
        violations.push(PreconditionViolation::new(kind, subject, why));
        self.details.set_precondition_failure(violations);
        self
    }

    /// Says when trying again may help.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }
}

impl From<Fault> for Status {
    fn from(mut fault: Fault) -> Self {
        fault.details.set_error_info(fault.reason, fault.domain, fault.metadata);
        Self::with_error_details(fault.code, fault.message, *fault.details)
    }
}

/// Checks one field of a request.
///
/// # Errors
/// Names the field and what would be right.
pub fn checked<T>(domain: &'static str, path: &str, value: Result<T, Invalid>) -> Result<T, Fault> {
    value.map_err(|why| Fault::field(domain, path, why.to_string()))
}

/// Checks a text a person wrote: its length, and that it is there where it must be.
///
/// # Errors
/// Names the field and what would be right.
pub fn check_text(
    domain: &'static str,
    path: &str,
    text: &str,
    required: bool,
) -> Result<String, Fault> {
    const TEXT_LENGTH_MAX: usize = 1_000; // Keeps journals readable and messages deliverable.
    let length = text.chars().count();
    if required && text.trim().is_empty() {
        return Err(Fault::field(domain, path, "is required: say why, in 1 to 1000 characters"));
    }
    if length > TEXT_LENGTH_MAX {
        let why = format!("{length} characters are too many: expected at most {TEXT_LENGTH_MAX}");
        return Err(Fault::field(domain, path, why));
    }
    Ok(text.to_owned())
}

/// Takes the last part of a resource name, e.g. `x` of `flags/x`.
///
/// # Errors
/// Names the field and the form expected.
pub fn last_part<'a>(
    domain: &'static str,
    path: &str,
    name: &'a str,
    collection: &str,
) -> Result<&'a str, Fault> {
    let rest = name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
    rest.filter(|id| !id.is_empty() && !id.contains('/')).ok_or_else(|| {
        let why = format!("`{}` is not of the form `{collection}/{{id}}`", vocab::excerpt(name));
        Fault::field(domain, path, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_field_is_named_with_what_would_be_right() {
        let status = Status::from(Fault::field("flag.softlaunch.dev", "flag.name", "is required"));
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("FIELD_INVALID", "flag.softlaunch.dev")
        );
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "flag.name");
    }

    #[test]
    fn a_name_of_another_collection_is_refused() {
        assert_eq!(last_part("d", "name", "flags/x", "flags").unwrap(), "x");
        for bad in ["flags", "flags/", "x", "rollouts/x", "flags/x/y"] {
            assert!(last_part("d", "name", bad, "flags").is_err(), "{bad}");
        }
    }
}
