//! What a refusal is to a caller: code and reason, in one place.

use flag_core::ChangeRefusal;
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
    EtagMismatch { current: String },
    Change(ChangeRefusal),
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
pub(crate) fn not_found(key: &FlagKey) -> Fault {
    let why = format!("there is no flag `{key}`: ListFlags lists what there is");
    Fault::not_found(DOMAIN, "FLAG_NOT_FOUND", "softlaunch.flag.v1.Flag", key.as_str(), why)
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(key) => not_found(&key),
            Refusal::Exists(key) => {
                let why = format!("flag `{key}` exists: flag keys are never reused");
                Self::new(Code::AlreadyExists, DOMAIN, "FLAG_EXISTS", why).with("flag", key)
            }
            Refusal::EtagMismatch { current } => {
                let why = format!("the flag is at etag {current}: read it again and decide again");
                Self::new(Code::Aborted, DOMAIN, "ETAG_MISMATCH", why).with("etag", current)
            }
            Refusal::Change(refusal) => change(&refusal),
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
