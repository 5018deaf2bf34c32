//! What a refusal is to a caller: code and reason, in one place.

use flag_core::flagd::Unanswered;
use flag_core::{ChangeRefusal, limits};
use service_kit::fault::Fault;
use tonic::Code;
use vocab::FlagKey;

/// Error domain of this service.
pub(crate) const DOMAIN: &str = "flag.softlaunch.dev";

/// Why a command on a flag is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotFound(FlagKey),
    Exists(FlagKey),
    Deleted(FlagKey),
    EtagMismatch {
        current: String,
    },
    Change(ChangeRefusal),
    /// There are as many flags as there may be.
    TooMany,
    /// The definitions together are larger than they may be.
    TooLarge {
        bytes: usize,
        max: usize,
        what: &'static str,
    },
    Invalid(Box<Fault>),
}

impl From<ChangeRefusal> for Refusal {
    fn from(refusal: ChangeRefusal) -> Self {
        Self::Change(refusal)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Invalid(Box::new(fault))
    }
}

/// No such flag.
pub(crate) fn not_found(key: &str) -> Fault {
    let why = format!("there is no flag `{}`: ListFlags lists what there is", vocab::excerpt(key));
    Fault::not_found(DOMAIN, "FLAG_NOT_FOUND", "softlaunch.flag.v1.Flag", key, why)
}

/// The flag has no answer.
pub(crate) fn unanswered(key: &FlagKey, why: &Unanswered) -> Fault {
    let reason = match why {
        Unanswered::NoVariant(_) => "NO_SUCH_VARIANT",
        Unanswered::Failed(_) => "TARGETING_FAILED",
        Unanswered::TooExpensive => "TARGETING_TOO_EXPENSIVE",
    };
    let message = format!("flag `{key}` has no answer: {why}; the caller's own value holds");
    Fault::new(Code::DataLoss, DOMAIN, reason, message).with("flag", key)
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(key) => not_found(key.as_str()),
            Refusal::Exists(key) => {
                let why = format!("flag `{key}` exists: flag keys are never reused");
                Self::new(Code::AlreadyExists, DOMAIN, "FLAG_EXISTS", why).with("flag", key)
            }
            Refusal::Deleted(key) => {
                let why = format!("flag `{key}` is deleted: UndeleteFlag brings it back");
                Self::new(Code::FailedPrecondition, DOMAIN, "FLAG_DELETED", why.clone())
                    .precondition("FLAG_DELETED", "flag", why)
                    .with("flag", key)
            }
            Refusal::EtagMismatch { current } => {
                let why = format!("the flag is at etag {current}: read it again and decide again");
                Self::new(Code::Aborted, DOMAIN, "ETAG_MISMATCH", why).with("etag", current)
            }
            Refusal::Change(refusal) => change(&refusal),
            Refusal::TooMany => {
                let max = limits::FLAGS_MAX;
                let why = format!(
                    "there are {max} flags, deleted ones included: expected at most as many"
                );
                Self::new(Code::ResourceExhausted, DOMAIN, "TOO_MANY_FLAGS", why).with("limit", max)
            }
            Refusal::TooLarge { bytes, max, what } => {
                let why = format!("{what} would have {bytes} bytes: expected at most {max}");
                Self::new(Code::ResourceExhausted, DOMAIN, "TOO_LARGE", why)
                    .with("limit", max)
                    .with("observed", bytes)
            }
            Refusal::Invalid(fault) => *fault,
        }
    }
}

fn change(refusal: &ChangeRefusal) -> Fault {
    let precondition = |reason, message: String| {
        Fault::new(Code::FailedPrecondition, DOMAIN, reason, message.clone())
            .precondition(reason, "flag", message)
    };
    let message = refusal.to_string();
    match refusal {
        ChangeRefusal::RampRule { from, to, largest } => precondition("RAMP_RULE", message)
            .with("from_basis_points", from.get())
            .with("to_basis_points", to.get())
            .with("largest_basis_points", largest.get()),
        ChangeRefusal::Managed { rollout, what } => {
            precondition("RAISE_NEEDS_ROLLOUT", message).with("rollout", rollout).with("what", what)
        }
        ChangeRefusal::MovedByRollout { rollout } => {
            precondition("MOVED_BY_ROLLOUT", message).with("rollout", rollout)
        }
        ChangeRefusal::Stale { offered, applied } => {
            Fault::new(Code::Aborted, DOMAIN, "STALE_GENERATION", message)
                .with("offered", offered)
                .with("applied", applied)
        }
        ChangeRefusal::OtherRollout { owner } => {
            precondition("OTHER_ROLLOUT", message).with("rollout", owner)
        }
    }
}
