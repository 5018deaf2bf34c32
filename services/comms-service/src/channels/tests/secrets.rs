//! Whatever goes wrong, no secret is told: neither in an answer, which is kept for ever, nor in a log.

use std::io;
use std::sync::{Arc, Mutex};

use capture::{ApiAnswer, Slack, SlackAnswer, SlackApi, StatusPage};
use comms_core::AttemptOutcome;
use plan::ChannelKind;
use test_kit::Certificates;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::peers::MailServer;
use super::{Channels, message, settings};
use crate::secret::Secret;
use crate::settings::{ChannelSettings, Settings, Tls, WebhookSettings};

/// `hush-hush-hush-hush-hush-hush` in base64: the key of a webhook.
const KEY: &str = "whsec_aHVzaC1odXNoLWh1c2gtaHVzaC1odXNoLWh1c2g=";

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Channels of every kind at these places, each with a secret.
fn all_channels(hook: &str, api: &str, status_page: &str, smtp: u16) -> Settings {
    let mut settings = settings();
    let hush = || Secret::new("hush");
    let posted = ChannelSettings { webhook_url: Secret::new(hook), ..ChannelSettings::default() };
    settings.channels.insert("hook".to_owned(), posted);
    let bot = ChannelSettings {
        token: hush(),
        channel: "C1".to_owned(),
        api_url: api.to_owned(),
        ..ChannelSettings::default()
    };
    settings.channels.insert("bot".to_owned(), bot);
    let signed = WebhookSettings {
        url: Secret::new(hook),
        secrets: vec![Secret::new(KEY)],
        allow_networks: vec!["127.0.0.0/8".to_owned()],
    };
    settings.webhooks.insert("signed".to_owned(), signed);
    settings.status_page.api_url = status_page.to_owned();
    settings.status_page.page_id = "page1".to_owned();
    settings.status_page.token = hush();
    settings.smtp.host = "127.0.0.1".to_owned();
    settings.smtp.port = smtp;
    settings.smtp.from = "softlaunch@example.com".to_owned();
    (settings.smtp.username, settings.smtp.password) = ("softlaunch".to_owned(), hush());
    settings
}

/// Sends one message everywhere, and logs what came of it as deliveries do.
async fn tell_all(settings: &Settings) -> Vec<AttemptOutcome> {
    tracing::info!(?settings, "channels");
    let channels = Channels::new(settings).unwrap();
    tracing::info!(?channels, "channels");
    let mut outcomes = Vec::new();
    for (kind, id) in [
        (ChannelKind::Slack, "hook"),
        (ChannelKind::Slack, "bot"),
        (ChannelKind::Webhook, "signed"),
        (ChannelKind::StatusPage, "status-page"),
        (ChannelKind::Mail, "mail"),
    ] {
        let answer = channels.tell(kind, &message(id, "ada@example.com"), None).await;
        tracing::info!(id, ?answer, "told");
        outcomes.push(answer.outcome);
    }
    outcomes
}

#[tokio::test]
async fn no_secret_is_in_an_answer_or_a_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);

    // Nobody is there.
    let (nobody, hook) = ("http://127.0.0.1:9", "http://127.0.0.1:9/services/hush");
    let outcomes = tell_all(&all_channels(hook, nobody, nobody, 9)).await;
    let transient = AttemptOutcome::Transient { retry_after: None };
    assert_eq!(outcomes, vec![transient.clone(); 5]);

    // Somebody is there and refuses.
    let (slack, api) = (
        Slack::start().await.unwrap(),
        SlackApi::start(&["C1"], std::time::Duration::ZERO).await.unwrap(),
    );
    let page = StatusPage::start("page1", "another").await.unwrap();
    slack.answer_always(SlackAnswer::Gone);
    api.answer_next(ApiAnswer::Error("invalid_auth"));
    let outcomes = tell_all(&all_channels(&slack.url("hush"), &api.url(), &page.url(), 9)).await;
    assert_eq!(outcomes[..4], vec![AttemptOutcome::Permanent; 4]);
    assert_eq!(slack.attempts(), 1, "the other is no webhook of Slack's: refused before it counts");

    // Somebody is there with a certificate that nobody vouches for.
    let certificates = Certificates::new();
    let file = |name: &str| certificates.file(name).display().to_string();
    let (certificate, key) = (file("server.pem"), file("server.key"));
    if let Some(server) = MailServer::start(&["tls", &certificate, &key]).await {
        let url = format!("https://127.0.0.1:{}", server.port);
        let mut settings = all_channels(&format!("{url}/hush"), &url, &url, server.port);
        settings.smtp.tls = Tls::Implicit;
        assert_eq!(tell_all(&settings).await, vec![transient; 5]);
    }

    drop(logging);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.matches("told").count() >= 10, "{log}");
    for secret in ["hush", "aHVzaC"] {
        let at = log.find(secret).map(|at| &log[at.saturating_sub(300)..(at + 100).min(log.len())]);
        assert_eq!(at, None, "{secret} is in the log");
    }
}
