//! What can be set.

mod places;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use credentials::Credentials;
use serde::Deserialize;
use service_kit::bootstrap::ServiceSettings;
use service_kit::peers;
use service_kit::settings::{
    ClockSettings, IdentitySettings, ServerSettings, SettingsError, StoreSettings,
    TelemetrySettings,
};

pub use places::{
    ChannelSettings, PagesSettings, SmtpSettings, StatusPageSettings, Tls, WebhookSettings,
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
    /// The services it follows.
    pub peers: Peers,
    /// Contacts besides those of plans.
    pub contacts: ContactsSettings,
    /// Slack channels by their id in the plan.
    pub channels: BTreeMap<String, ChannelSettings>,
    /// Receivers of signed webhooks by their id in the plan.
    pub webhooks: BTreeMap<String, WebhookSettings>,
    /// The mail server.
    pub smtp: SmtpSettings,
    /// The status page.
    pub status_page: StatusPageSettings,
    /// Banners, blog and status page over HTTP.
    pub pages: PagesSettings,
}

/// The services it follows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The rollout service.
    pub rollout: String,
    /// The kill-switch service.
    pub killswitch: String,
    /// The flag service.
    pub flag: String,
    /// The gate service.
    pub gate: String,
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

/// Contacts besides those of plans.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactsSettings {
    /// A YAML file with `contacts`, as a plan has them; none where empty.
    pub file: String,
}

impl Settings {
    /// Where pages are to be served; `None` for nowhere.
    ///
    /// # Errors
    /// Refuses what is no address on this host.
    pub fn pages_address(&self) -> Result<Option<SocketAddr>, SettingsError> {
        self.pages.address()
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
    use crate::secret::Secret;

    fn defaults() -> Settings {
        service_kit::settings::defaults(Settings::DEFAULTS).unwrap()
    }

    #[test]
    fn the_documented_defaults_are_valid() {
        assert_eq!(defaults().server.listen_address.port(), 7104);
        assert!(defaults().channels.is_empty() && defaults().webhooks.is_empty());
        assert_eq!(defaults().pages_address().unwrap(), None);
    }

    #[test]
    fn the_example_can_be_used_as_it_is() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../deploy/settings/comms-service.example.toml"
        );
        let example = std::fs::read_to_string(path).unwrap();
        let more = "\n[status_page.component_ids]\nUploads = \"8kbf7d35c070\"\n";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("settings.toml");
        std::fs::write(&file, example + more).unwrap();
        let settings: Settings =
            service_kit::settings::load(Settings::DEFAULTS, Some(&file)).unwrap();
        crate::channels::Channels::new(&settings).unwrap();
        assert!(settings.pages_address().unwrap().is_some());
        let ids = settings.status_page.component_ids;
        assert!(ids.keys().any(|name| name.eq_ignore_ascii_case("uploads")), "{ids:?}");
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
        assert_eq!(check("mail.example.com", Tls::Starttls), Ok(()));
        assert_eq!(check("mail.example.com", Tls::Implicit), Ok(()));
        assert!(check("mail\r\nQUIT", Tls::Implicit).unwrap_err().contains("no host name"));
    }

    #[test]
    fn printed_settings_keep_their_secrets() {
        let mut settings = defaults();
        let hush = Secret::new("http://127.0.0.1/services/hush");
        let channel = ChannelSettings {
            webhook_url: hush.clone(),
            token: hush.clone(),
            ..ChannelSettings::default()
        };
        settings.channels.insert("slack".to_owned(), channel);
        let webhook = WebhookSettings { secrets: vec![hush.clone()], ..WebhookSettings::default() };
        settings.webhooks.insert("hook".to_owned(), webhook);
        settings.smtp.password = hush.clone();
        settings.status_page.token = hush;
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
