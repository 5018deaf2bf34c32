//! Answers, and why there is none.

use std::time::Duration;

use flag_core::{Reason, Value};

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This process, from the flags it holds.
    InProcess,
    /// The service, over rpc: the flag could not be evaluated here.
    Service,
}

/// What a workspace gets of a flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Whether it is on: a boolean flag is true, another has not its default variant.
    pub enabled: bool,
    /// The variant; `None` where an imported definition leaves it to the caller.
    pub variant: Option<String>,
    /// The variant's value.
    pub value: Option<Value>,
    /// Why.
    pub reason: Reason,
    /// The revision of the flag that decided.
    pub revision: u64,
    /// Whether the flag may have changed since: see [`FlagWatch::is_stale`](crate::FlagWatch::is_stale).
    pub stale: bool,
    /// How old the flags are at most: see [`FlagWatch::staleness`](crate::FlagWatch::staleness).
    pub age: Option<Duration>,
    /// Who answered.
    pub source: Source,
}

/// A typed answer, which there always is: what OpenFeature calls evaluation details.
#[derive(Debug, Clone, PartialEq)]
pub struct Details<T> {
    /// The value; the caller's default where there is an error or no variant.
    pub value: T,
    /// Why, e.g. `ALLOWLISTED`; `ERROR` where `error` says why not.
    pub reason: &'static str,
    /// Why the default was returned.
    pub error: Option<EvaluationError>,
    /// The revision of the flag that decided; 0 where none did.
    pub revision: u64,
    /// Whether the flag may have changed since.
    pub stale: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// No flags are held, and the service has not answered or was not asked.
    #[error("there are no flags yet, and no answer of the service: {0}")]
    NotReady(String),
    /// There is no such flag.
    #[error("there is no flag `{0}`")]
    FlagNotFound(String),
    /// The flag is of another type than was asked for.
    #[error("the flag is of type {found}, and {asked} was asked for")]
    TypeMismatch {
        /// The type asked for.
        asked: &'static str,
        /// The type of the flag.
        found: String,
    },
    /// No definition of the flag can be read here, and the service cannot be asked.
    #[error("the flag cannot be read here: {0}")]
    Unreadable(String),
    /// The definition has no answer for this workspace, or the service refused the question.
    #[error("{0}")]
    Failed(String),
}

impl EvaluationError {
    /// OpenFeature's error code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotReady(_) => "PROVIDER_NOT_READY",
            Self::FlagNotFound(_) => "FLAG_NOT_FOUND",
            Self::TypeMismatch { .. } => "TYPE_MISMATCH",
            Self::Unreadable(_) => "PARSE_ERROR",
            Self::Failed(_) => "GENERAL",
        }
    }
}

/// An answer, wherever it lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) enabled: bool,
    pub(super) variant: Option<(&'a str, &'a Value)>,
    pub(super) reason: Reason,
    pub(super) revision: u64,
    pub(super) stale: bool,
    pub(super) age: Option<Duration>,
    pub(super) source: Source,
}

impl Seen<'_> {
    pub(super) fn owned(&self) -> Evaluation {
        Evaluation {
            enabled: self.enabled,
            variant: self.variant.map(|(name, _)| name.to_owned()),
            value: self.variant.map(|(_, value)| value.clone()),
            reason: self.reason,
            revision: self.revision,
            stale: self.stale,
            age: self.age,
            source: self.source,
        }
    }

    /// Reads the value as a type; the default where there is no variant.
    #[inline]
    pub(super) fn value<T: Clone>(
        &self,
        kind: &Kind<T>,
        default: &T,
    ) -> Result<T, EvaluationError> {
        let Some((_, value)) = self.variant else { return Ok(default.clone()) };
        (kind.read)(value).ok_or_else(|| {
            let found = value.kind().to_string();
            EvaluationError::TypeMismatch { asked: kind.name, found }
        })
    }

    /// As [`Seen::value`], and why it is that.
    pub(super) fn details<T: Clone>(
        &self,
        kind: &Kind<T>,
        default: &T,
    ) -> Result<Details<T>, EvaluationError> {
        let value = self.value(kind, default)?;
        let (reason, revision, stale) = (self.reason.name(), self.revision, self.stale);
        Ok(Details { value, reason, error: None, revision, stale })
    }
}

impl Evaluation {
    pub(super) fn seen(&self) -> Seen<'_> {
        Seen {
            enabled: self.enabled,
            variant: self.variant.as_deref().zip(self.value.as_ref()),
            reason: self.reason,
            revision: self.revision,
            stale: self.stale,
            age: self.age,
            source: self.source,
        }
    }
}

/// A type that can be asked for.
#[derive(Debug)]
pub(super) struct Kind<T> {
    pub(super) name: &'static str,
    pub(super) read: fn(&Value) -> Option<T>,
}

pub(super) const BOOLEAN: Kind<bool> = Kind {
    name: "boolean",
    read: |value| match value {
        Value::Truth(truth) => Some(*truth),
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Nested(_) => None,
    },
};

pub(super) const STRING: Kind<String> = Kind {
    name: "string",
    read: |value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Truth(_) | Value::Integer(_) | Value::Float(_) | Value::Nested(_) => None,
    },
};

pub(super) const INTEGER: Kind<i64> = Kind {
    name: "integer",
    read: |value| match value {
        Value::Integer(number) => Some(*number),
        Value::Truth(_) | Value::Text(_) | Value::Float(_) | Value::Nested(_) => None,
    },
};

pub(super) const FLOAT: Kind<f64> = Kind {
    name: "float",
    read: |value| match value {
        Value::Float(number) => Some(*number),
        // Over rpc a whole number does not say which of the two it is.
        Value::Integer(number) => i32::try_from(*number).ok().map(f64::from),
        Value::Truth(_) | Value::Text(_) | Value::Nested(_) => None,
    },
};
