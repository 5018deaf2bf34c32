//! What can be set.

use std::time::Duration;

use credentials::Credentials;
use serde::Deserialize;
use service_kit::bootstrap::ServiceSettings;
use service_kit::peers;
use service_kit::settings::{
    ClockSettings, IdentitySettings, ServerSettings, SettingsError, StoreSettings,
    TelemetrySettings,
};

/// Settings of this service; documented in `settings.default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub server: ServerSettings,
    /// Who may call.
    pub identity: IdentitySettings,
    /// Where data is kept.
    pub store: StoreSettings,
    /// The clock.
    pub clock: ClockSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// The services it talks to.
    pub peers: Peers,
    /// How questions are answered.
    pub evaluation: EvaluationSettings,
}

/// The services it talks to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The kill-switch service.
    pub killswitch: String,
    /// PEM file of the authority that they are trusted by.
    #[serde(default)]
    pub tls_ca_file: String,
    /// PEM file of the certificate shown to them.
    #[serde(default)]
    pub tls_cert_file: String,
    /// PEM file of that certificate's key.
    #[serde(default)]
    pub tls_key_file: String,
}

impl Peers {
    pub(crate) fn credentials(&self) -> Result<Credentials, SettingsError> {
        peers::credentials(&self.tls_ca_file, &self.tls_cert_file, &self.tls_key_file)
    }
}

/// How questions are answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationSettings {
    /// Silence of the kill-switch service after which everything counts as killed.
    pub stale_after: String,
    /// When a deferred upload is asked for again.
    pub retry_after: String,
    /// Time between signs of life to watchers.
    pub heartbeat: String,
}

/// The same, read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Durations {
    pub(crate) stale_after: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) heartbeat: Duration,
}

impl EvaluationSettings {
    pub(crate) fn durations(&self) -> Result<Durations, SettingsError> {
        let read = |key: &str, text: &str| {
            vocab::parse_duration(text)
                .map_err(|why| SettingsError(format!("evaluation.{key}: {why}")))
        };
        Ok(Durations {
            stale_after: read("stale_after", &self.stale_after)?,
            retry_after: read("retry_after", &self.retry_after)?,
            heartbeat: read("heartbeat", &self.heartbeat)?,
        })
    }
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
        assert_eq!(settings.server.listen_address.port(), 7101);
        assert!(settings.evaluation.durations().is_ok());
    }
}
