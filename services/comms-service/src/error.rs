//! What a refusal is to a caller: code and reason, in one place.

use service_kit::fault::Fault;
use tonic::Code;
use vocab::excerpt;

/// Error domain of this service.
pub(crate) const DOMAIN: &str = "comms.softlaunch.dev";

/// Why a command is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no such message; its resource name.
    NoMessage(String),
    /// No plan of such a rollout is known; its resource name.
    NoRollout(String),
    /// The plan has no message of this id.
    NoEvent(String),
    /// The plan has no channel of this id.
    NoChannel(String),
    /// The caller holds no role of the plan; the caller.
    RoleMissing(String),
    /// Nobody was reminded of anything; the rollout.
    NothingToAcknowledge(String),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        let missing = |reason, kind: &str, what: &str, name: &str| {
            let message = format!("there is no {what} `{}`", excerpt(name));
            Self::not_found(DOMAIN, reason, kind, name, message)
        };
        match refused {
            Refused::NoMessage(name) => {
                missing("MESSAGE_NOT_FOUND", "softlaunch.comms.v1.Message", "message", &name)
            }
            Refused::NoRollout(name) => missing(
                "ROLLOUT_NOT_FOUND",
                "softlaunch.rollout.v1.Rollout",
                "rollout with a plan",
                &name,
            ),
            Refused::NoEvent(id) => {
                missing("EVENT_NOT_FOUND", "plan.Message", "message in the plan", &id)
            }
            Refused::NoChannel(id) => {
                missing("CHANNEL_NOT_FOUND", "plan.Channel", "channel in the plan", &id)
            }
            Refused::RoleMissing(actor) => {
                let message = format!(
                    "{} holds no role of the plan: expected one of `roles`",
                    excerpt(&actor)
                );
                Self::new(Code::PermissionDenied, DOMAIN, "ROLE_MISSING", message)
                    .with("actor", actor)
            }
            Refused::NothingToAcknowledge(rollout) => {
                let why = "nobody was reminded of a review in this phase";
                Self::new(Code::FailedPrecondition, DOMAIN, "NOTHING_TO_ACKNOWLEDGE", why)
                    .precondition("REMINDER", &rollout, why)
            }
        }
    }
}
