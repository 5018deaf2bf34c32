//! Settings: documented defaults compiled in, then a file, then the environment.
//!
//! `SOFTLAUNCH__STORE__LOCATION=redis://127.0.0.1/` sets `location` in `[store]`. An unknown key
//! anywhere is refused: a misspelt setting must not be a silent default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::{Durability, Options, TlsFiles};
use vocab::Timestamp;

use crate::clock::{Clock, Demo};
use crate::lanes::CALLS_MAX;
use crate::server::{CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX};

/// How often one person or worker may call, where the settings do not say.
const CALLS_PER_SECOND: u32 = 5_000;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("settings: {0}")]
pub struct SettingsError(pub String);

/// Where a service listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Address and port.
    pub listen_address: SocketAddr,
    /// PEM file of the certificate shown to callers; the service is open where empty.
    #[serde(default)]
    pub tls_cert_file: String,
    /// PEM file of that certificate's key.
    #[serde(default)]
    pub tls_key_file: String,
    /// PEM file of the authority that other services' certificates are of.
    #[serde(default)]
    pub tls_client_ca_file: String,
    /// Whether callers may ask which methods there are.
    #[serde(default = "yes")]
    pub reflection: bool,
    /// Connections at a time; those beyond are closed at once.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// Connections at a time from one address but loopback; 0 for no bound of its own.
    #[serde(default = "connections_per_address_max")]
    pub connections_per_address_max: usize,
    /// Calls at a time, besides those that stop work and those that hear of it; the others are
    /// refused at once.
    #[serde(default = "calls_max")]
    pub calls_max: usize,
}

const fn yes() -> bool {
    true
}

const fn connections_per_address_max() -> usize {
    CONNECTIONS_PER_ADDRESS_MAX
}

const fn calls_max() -> usize {
    CALLS_MAX
}

const fn calls_per_second() -> u32 {
    CALLS_PER_SECOND
}

const fn connections_max() -> usize {
    CONNECTIONS_MAX
}

/// Who may call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    /// The tokens of people and workers; nobody is asked for one where empty.
    #[serde(default)]
    pub tokens_file: String,
    /// How often each of them may call; 0 for as often as they like. Calls that stop work are not
    /// counted.
    #[serde(default = "calls_per_second")]
    pub calls_per_second: u32,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self { tokens_file: String::new(), calls_per_second: CALLS_PER_SECOND }
    }
}

/// What is logged and exported.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// `pretty` or `json`.
    pub log_format: LogFormat,
    /// What is logged, e.g. `info` or `info,tonic=warn`.
    pub log_filter: String,
    /// Where spans and metrics go over OTLP/gRPC, e.g. `http://127.0.0.1:4317`; nowhere where empty.
    pub otlp_endpoint: String,
    /// Where metrics are shown as a page for Prometheus, e.g. `127.0.0.1:9464`; nowhere where empty.
    pub metrics_address: String,
    /// Allows that address to be one that others can reach.
    pub metrics_exposed: bool,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Where data is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `embedded:DIRECTORY` or a URL of Redis.
    pub location: String,
    /// What acknowledged data must survive: `power-loss`, `process-crash` or e.g. `1-copies`.
    pub durability: String,
    /// PEM file of the authority that Redis is trusted by; those of the system where empty.
    pub tls_ca_file: String,
    /// PEM file of the certificate shown to Redis; none where empty.
    pub tls_cert_file: String,
    /// PEM file of that certificate's key.
    pub tls_key_file: String,
}

impl StoreSettings {
    /// The least the store must promise.
    ///
    /// # Errors
    /// Says which levels there are.
    pub fn durability(&self) -> Result<Durability, SettingsError> {
        Durability::parse(&self.durability)
            .map_err(|why| SettingsError(format!("store.durability: {why}")))
    }

    /// How the store is opened.
    ///
    /// # Errors
    /// As [`durability`](Self::durability).
    pub fn options(&self) -> Result<Options, SettingsError> {
        let file = |path: &str| (!path.is_empty()).then(|| PathBuf::from(path));
        let tls = TlsFiles {
            authority: file(&self.tls_ca_file),
            certificate: file(&self.tls_cert_file),
            key: file(&self.tls_key_file),
        };
        Ok(Options { durability: self.durability()?, tls })
    }
}

/// The clock.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSettings {
    /// From this instant on a demo clock runs faster; empty for the system's clock.
    pub demo_origin: String,
    /// How many seconds of demo time pass in one.
    pub demo_factor: u32,
}

impl ClockSettings {
    /// The clock these settings ask for.
    ///
    /// # Errors
    /// Refuses an origin that is no instant and a factor of zero.
    pub fn clock(&self) -> Result<Clock, SettingsError> {
        if self.demo_origin.is_empty() {
            return Ok(Clock::system());
        }
        let origin = Timestamp::parse(&self.demo_origin)
            .map_err(|why| SettingsError(format!("clock.demo_origin: {why}")))?;
        if self.demo_factor == 0 {
            return Err(SettingsError("clock.demo_factor: expected 1 or more".to_owned()));
        }
        Ok(Clock::new(Some(Demo { origin, factor: self.demo_factor })))
    }
}

/// Reads settings: `defaults` (TOML), then `file`, then the environment.
///
/// # Errors
/// Names the key that is wrong, unknown or missing.
pub fn load<S: DeserializeOwned>(defaults: &str, file: Option<&Path>) -> Result<S, SettingsError> {
    let environment = Environment::with_prefix("SOFTLAUNCH")
        .prefix_separator("__")
        .separator("__")
        .ignore_empty(true);
    read(defaults, file, environment)
}

/// The documented defaults, without file or environment.
///
/// # Errors
/// Fails only where the defaults themselves are wrong, which a test notices.
pub fn defaults<S: DeserializeOwned>(defaults: &str) -> Result<S, SettingsError> {
    let nothing = Environment::default().source(Some(config::Map::new()));
    read(defaults, None, nothing)
}

fn read<S: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    environment: Environment,
) -> Result<S, SettingsError> {
    let mut builder = Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
    if let Some(path) = file {
        builder = builder.add_source(File::from(PathBuf::from(path)).format(FileFormat::Toml));
    }
    builder
        .add_source(environment)
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|error| SettingsError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "[server]\nlisten_address = \"127.0.0.1:7101\"\n[clock]\ndemo_origin = \"\"\ndemo_factor = 1\n";

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        server: ServerSettings,
        clock: ClockSettings,
    }

    fn with_environment(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        with_both(None, pairs)
    }

    fn with_both(file: Option<&Path>, pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let pairs = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let environment = Environment::with_prefix("SOFTLAUNCH")
            .prefix_separator("__")
            .separator("__")
            .source(Some(pairs));
        read(DEFAULTS, file, environment)
    }

    #[test]
    fn the_environment_overrides_the_defaults() {
        let settings = with_environment(&[("SOFTLAUNCH__CLOCK__DEMO_FACTOR", "7200")]).unwrap();
        assert_eq!(settings.clock.demo_factor, 7_200);
        assert_eq!(settings.server.listen_address.port(), 7101);
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_file_the_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[clock]\ndemo_factor = 60\ndemo_origin = \"2026-01-01T00:00:00Z\"\n";
        std::fs::write(file.path(), text).unwrap();
        let pairs = [("SOFTLAUNCH__CLOCK__DEMO_FACTOR", "7200")];
        let settings = with_both(Some(file.path()), &pairs).unwrap();
        assert_eq!(settings.clock.demo_factor, 7_200);
        assert_eq!(settings.clock.demo_origin, "2026-01-01T00:00:00Z");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let refused = with_environment(&[("SOFTLAUNCH__SERVER__LISTEN_ADRESS", "x")]);
        assert!(refused.unwrap_err().to_string().contains("listen_adress"));
    }
}
