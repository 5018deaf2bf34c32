//! What can be set.

use serde::Deserialize;
use service_kit::bootstrap::ServiceSettings;
use service_kit::settings::{ClockSettings, ServerSettings, StoreSettings, TelemetrySettings};

/// Settings of this service; documented in `settings.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub server: ServerSettings,
    /// Where data is kept.
    pub store: StoreSettings,
    /// The clock.
    pub clock: ClockSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// The services it talks to.
    pub peers: Peers,
}

/// The services it talks to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The flag service.
    pub flag: String,
    /// The gate service.
    pub gate: String,
    /// The kill-switch service.
    pub killswitch: String,
}

impl ServiceSettings for Settings {
    const DEFAULTS: &'static str = include_str!("../settings.default.toml");

    fn telemetry(&self) -> &TelemetrySettings {
        &self.telemetry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_valid() {
        let settings: Settings = service_kit::settings::defaults(Settings::DEFAULTS).unwrap();
        assert_eq!(settings.server.listen_address.port(), 7105);
    }
}
