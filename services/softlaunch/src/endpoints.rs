//! Where the services are.

use std::path::Path;

use credentials::Credentials;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Name of the file in a data directory.
pub(crate) const FILE: &str = "endpoints.toml";

/// Addresses of the five services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoints {
    /// The flag service.
    pub(crate) flag: String,
    /// The gate service.
    pub(crate) gate: String,
    /// The kill-switch service.
    pub(crate) killswitch: String,
    /// The communications service.
    pub(crate) comms: String,
    /// The rollout service.
    pub(crate) rollout: String,
}

impl Default for Endpoints {
    /// The documented local ports.
    fn default() -> Self {
        Self::local(false)
    }
}

impl Endpoints {
    /// The documented local ports, of services that are open or guarded.
    pub(crate) fn local(guarded: bool) -> Self {
        let scheme = if guarded { "https" } else { "http" };
        let at = |port: u16| format!("{scheme}://127.0.0.1:{port}");
        Self {
            flag: at(7101),
            gate: at(7102),
            killswitch: at(7103),
            comms: at(7104),
            rollout: at(7105),
        }
    }

    /// Where the services are that somebody calls: as a file says, or at the documented local ports.
    pub(crate) fn find(file: Option<&Path>, credentials: &Credentials) -> Result<Self, Failure> {
        file.map_or_else(|| Ok(Self::local(credentials.has_authority())), Self::read)
    }

    /// Reads a file that [`Endpoints::write`] wrote.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            Failure::usage(format!("cannot read endpoints from {path}: {error}"))
        })?;
        toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
    }

    /// Writes the addresses for other processes to find.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Failure> {
        let text = toml::to_string(self).map_err(|error| Failure::refused(error.to_string()))?;
        let path = directory.join(FILE);
        std::fs::write(&path, text)
            .map_err(|error| Failure::refused(format!("cannot write {}: {error}", path.display())))
    }
}
