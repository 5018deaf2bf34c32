//! Where channels are.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Deserializer};
use service_kit::settings::SettingsError;

use crate::secret::Secret;

/// Where a Slack channel is: an incoming webhook, or a token and a channel for the Web API.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSettings {
    /// Its incoming webhook. Whoever knows it can post: a secret.
    pub webhook_url: Secret,
    /// A bot token for the Web API, with threads, updates and archiving. A secret.
    pub token: Secret,
    /// The id of the channel, e.g. `C024BE91L`; with a token.
    pub channel: String,
    /// Where the Web API is; Slack's own where empty.
    pub api_url: String,
    /// How many messages a second it takes, after a few at once; Slack's own limit of 1 where unset,
    /// no limit where 0.
    pub messages_per_second: Option<u32>,
}

/// A receiver of signed webhooks.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSettings {
    /// Where it is. Whoever knows it can post: a secret.
    pub url: Secret,
    /// What messages are signed with, `whsec_` and base64: each of them, so that keys can be changed
    /// without a gap.
    #[serde(deserialize_with = "listed")]
    pub secrets: Vec<Secret>,
    /// Networks it may be in although they are not public, e.g. `10.1.0.0/16`.
    #[serde(deserialize_with = "listed")]
    pub allow_networks: Vec<String>,
}

/// The status page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusPageSettings {
    /// Its name.
    pub name: String,
    /// The parts of the product it shows.
    #[serde(deserialize_with = "listed")]
    pub components: Vec<String>,
    /// A Statuspage-compatible API that is driven besides; none where empty.
    pub api_url: String,
    /// The token for it. A secret.
    pub token: Secret,
    /// The page there.
    pub page_id: String,
    /// The ids of the components there, by their names.
    pub component_ids: BTreeMap<String, String>,
}

/// The pages: banners, blog and status page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagesSettings {
    /// Where they are served; nowhere where empty. On loopback, unless they are exposed.
    pub listen_address: String,
    /// Allows an address there that others can reach.
    pub exposed: bool,
    /// How readers reach them, e.g. `https://status.example.com`; where they are served where empty.
    pub public_url: String,
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
    /// What this host is called in EHLO; its loopback address where empty.
    pub hello_name: String,
    /// Logs in by this name; does not log in where empty.
    pub username: String,
    /// And this password.
    pub password: Secret,
    /// How the connection is protected.
    pub tls: Tls,
    /// A PEM file with the authority trusted; those of the system where empty.
    pub ca_file: String,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Not at all: for a server on this host.
    None,
    /// From plain to TLS, or not at all.
    Starttls,
    /// TLS from the first byte.
    #[serde(rename = "tls")]
    Implicit,
}

impl SmtpSettings {
    /// Checks that mail is not sent in the clear over a network.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.tls == Tls::None && !is_loopback(&self.host) {
            return Err(SettingsError(format!(
                "smtp.tls: `none` would send mail to {} in the clear: expected `starttls` or `tls`, \
                 or a server on this host, e.g. 127.0.0.1",
                vocab::excerpt(&self.host)
            )));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_[]:".contains(c);
        for (field, text) in [("host", &self.host), ("hello_name", &self.hello_name)] {
            if !text.chars().all(is_name) {
                let shown = vocab::excerpt(text);
                return Err(SettingsError(format!("smtp.{field}: `{shown}` is no host name")));
            }
        }
        Ok(())
    }
}

impl PagesSettings {
    /// Where to listen; `None` for nowhere.
    pub(crate) fn address(&self) -> Result<Option<SocketAddr>, SettingsError> {
        if self.listen_address.is_empty() {
            return Ok(None);
        }
        let wanted = "expected a loopback address with a port, e.g. 127.0.0.1:7107";
        let shown = vocab::excerpt(&self.listen_address);
        let wrong =
            |why: &str| SettingsError(format!("pages.listen_address: `{shown}` {why}: {wanted}"));
        let address: SocketAddr =
            self.listen_address.parse().map_err(|_e| wrong("is no address"))?;
        if !address.ip().is_loopback() && !self.exposed {
            return Err(wrong("is not on this host, and pages.exposed does not allow that"));
        }
        Ok(Some(address))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Reads a list, or one text with commas in it: the environment has nothing else.
fn listed<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<String>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Listed {
        One(String),
        Many(Vec<String>),
    }
    let texts = match Listed::deserialize(deserializer)? {
        Listed::One(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        Listed::Many(texts) => texts,
    };
    Ok(texts.into_iter().filter(|text| !text.is_empty()).map(T::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_can_be_one_text_with_commas() {
        let read = |text: &str| toml_of(text).secrets.len();
        assert_eq!(read("secrets = 'a, b,'"), 2);
        assert_eq!(read("secrets = ['a', 'b', 'c']"), 3);
        assert_eq!(read(""), 0);
    }

    fn toml_of(text: &str) -> WebhookSettings {
        service_kit::settings::defaults(text).unwrap()
    }

    #[test]
    fn pages_are_for_this_host_unless_they_are_exposed() {
        let settings = |text: &str| PagesSettings {
            listen_address: text.to_owned(),
            ..PagesSettings::default()
        };
        let at = |text: &str| {
            let settings = settings(text);
            settings.address().map_err(|error| error.to_string())
        };
        assert_eq!(at(""), Ok(None));
        assert_eq!(at("127.0.0.1:7107"), Ok(Some(([127, 0, 0, 1], 7107).into())));
        assert!(at("0.0.0.0:7107").unwrap_err().contains("is not on this host"));
        assert!(at("here").unwrap_err().contains("is no address"));
        let exposed = PagesSettings { exposed: true, ..settings("0.0.0.0:7107") };
        assert_eq!(exposed.address().unwrap(), Some(([0, 0, 0, 0], 7107).into()));
    }
}
