//! What a refusal is to a caller: code and reason, in one place.

use service_kit::fault::Fault;

/// Error domain of this service.
pub(crate) const DOMAIN: &str = "comms.softlaunch.dev";

/// Why a command is refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is no such message; its resource name.
    NoMessage(String),
}

impl From<Refused> for Fault {
    fn from(Refused::NoMessage(name): Refused) -> Self {
        let message = format!("there is no message `{}`", vocab::excerpt(&name));
        Self::not_found(DOMAIN, "MESSAGE_NOT_FOUND", "softlaunch.comms.v1.Message", &name, message)
    }
}
