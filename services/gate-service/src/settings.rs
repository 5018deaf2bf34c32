//! What can be set.

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
    /// What is reported.
    pub signals: SignalSettings,
    /// Where criteria of a plan may take their values from.
    pub prometheus: PrometheusSettings,
}

/// Where Prometheus is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrometheusSettings {
    /// Its address; empty for none.
    pub address: String,
    /// How long one attempt may take.
    pub timeout: String,
    /// Attempts, 1 to 10.
    pub attempts: u32,
}

/// The services it talks to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The kill-switch service.
    pub killswitch: String,
    /// The communications service.
    pub comms: String,
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

/// What is reported.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignalSettings {
    /// Age beyond which a gauge is stale.
    pub gauge_stale_after: String,
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
        assert_eq!(settings.server.listen_address.port(), 7102);
        assert!(vocab::parse_duration(&settings.signals.gauge_stale_after).is_ok());
    }
}
