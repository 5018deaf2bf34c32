//! What a refusal is to a caller: code and reason, in one place.

use killswitch_core::Refusal;
use service_kit::fault::Fault;
use tonic::Code;

/// Error domain of this service.
pub(crate) const DOMAIN: &str = "killswitch.softlaunch.dev";

/// A refusal of the core.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl From<Refused> for Fault {
    fn from(Refused(refusal): Refused) -> Self {
        let why = refusal.to_string();
        match &refusal {
            Refusal::EpochMismatch { seen, current } => {
                Self::new(Code::Aborted, DOMAIN, "EPOCH_MISMATCH", why)
                    .with("epoch", current)
                    .with("seen", seen)
            }
            Refusal::EvidenceMissing => Self::field(DOMAIN, "evidence", why),
            Refusal::SecondPersonRequired { first } => {
                Self::new(Code::FailedPrecondition, DOMAIN, "SECOND_PERSON_REQUIRED", why.clone())
                    .with("first", first)
                    .precondition("SECOND_PERSON", first, why)
            }
            Refusal::ClaimTooHigh { .. } => Self::field(DOMAIN, "hello.epoch", why),
        }
    }
}
