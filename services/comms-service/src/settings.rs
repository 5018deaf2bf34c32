//! What can be set.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use service_kit::bootstrap::ServiceSettings;
use service_kit::settings::{
    ClockSettings, ServerSettings, SettingsError, StoreSettings, TelemetrySettings,
};

use crate::secret::Secret;

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
    /// The services it follows.
    pub peers: Peers,
    /// Slack channels by their id in the plan.
    pub channels: BTreeMap<String, ChannelSettings>,
    /// The mail server.
    pub smtp: SmtpSettings,
}

/// The services it follows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The rollout service.
    pub rollout: String,
    /// The kill-switch service.
    pub killswitch: String,
}

/// Where a Slack channel is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    /// Its incoming webhook. Whoever knows it can post: a secret.
    pub webhook_url: Secret,
}

/// The mail server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// Its name or address; no mail is sent where empty.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The sender, e.g. `Softlaunch <softlaunch@example.com>`.
    pub from: String,
    /// Logs in by this name; does not log in where empty.
    pub username: String,
    /// And this password.
    pub password: Secret,
    /// How the connection is protected.
    pub tls: Tls,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Not at all: for a server on this host.
    None,
    /// From plain to TLS. Not in this version.
    Starttls,
    /// TLS from the first byte. Not in this version.
    #[serde(rename = "tls")]
    Implicit,
}

impl SmtpSettings {
    /// Checks that mail can be sent as set, and not in the clear over a network.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        match self.tls {
            Tls::None if !is_loopback(&self.host) => Err(SettingsError(format!(
                "smtp.tls: `none` would send mail to {} in the clear: expected a server on this \
                 host, e.g. 127.0.0.1",
                vocab::excerpt(&self.host)
            ))),
            Tls::None => Ok(()),
            Tls::Starttls | Tls::Implicit => Err(SettingsError(
                "smtp.tls: `starttls` and `tls` are not in this version, whose mail client is \
                 built without TLS: expected `none` and a relay on this host"
                    .to_owned(),
            )),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
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

    fn defaults() -> Settings {
        service_kit::settings::defaults(Settings::DEFAULTS).unwrap()
    }

    #[test]
    fn the_documented_defaults_are_valid() {
        assert_eq!(defaults().server.listen_address.port(), 7104);
        assert!(defaults().channels.is_empty());
    }

    #[test]
    fn mail_is_not_sent_in_the_clear_over_a_network() {
        let check = |host: &str, tls| {
            let smtp = SmtpSettings { host: host.to_owned(), tls, ..defaults().smtp };
            smtp.check().map_err(|error| error.to_string())
        };
        assert_eq!(check("127.0.0.1", Tls::None), Ok(()));
        assert_eq!(check("localhost", Tls::None), Ok(()));
        assert!(check("mail.example.com", Tls::None).unwrap_err().contains("in the clear"));
        assert!(check("127.0.0.1", Tls::Implicit).unwrap_err().contains("not in this version"));
    }

    #[test]
    fn printed_settings_keep_their_secrets() {
        let mut settings = defaults();
        let webhook_url = Secret::new("http://127.0.0.1/services/hush");
        settings.channels.insert("slack".to_owned(), ChannelSettings { webhook_url });
        settings.smtp.password = Secret::new("hush");
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
