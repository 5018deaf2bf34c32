//! Where messages go: each channel by what it speaks.

mod mail;
mod slack;

use std::collections::BTreeMap;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use plan::ChannelKind;
use service_kit::bootstrap::Error;
use service_kit::settings::SettingsError;

use crate::channels::mail::Mail;
use crate::channels::slack::Slack;
use crate::settings::Settings;
use crate::state::Stored;

const DETAIL_LENGTH_MAX: usize = 500; // What a channel says is kept for ever.

/// How an attempt ended, and what the channel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) detail: String,
}

impl Answer {
    pub(crate) fn new(outcome: AttemptOutcome, detail: &str) -> Self {
        let clean = detail.chars().map(|c| if c.is_control() { ' ' } else { c });
        Self { outcome, detail: clean.take(DETAIL_LENGTH_MAX).collect() }
    }

    pub(crate) fn permanent(detail: &str) -> Self {
        Self::new(AttemptOutcome::Permanent, detail)
    }

    pub(crate) fn transient(detail: &str) -> Self {
        Self::new(AttemptOutcome::Transient { retry_after: None }, detail)
    }

    pub(crate) fn unknown(detail: &str) -> Self {
        Self::new(AttemptOutcome::Unknown, detail)
    }
}

/// The channels that are set up.
#[derive(Debug)]
pub(crate) struct Channels {
    slack: BTreeMap<String, Slack>,
    mail: Option<Mail>,
}

impl Channels {
    /// Sets up what the settings name.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let mut slack = BTreeMap::new();
        for (id, channel) in &settings.channels {
            let one = Slack::new(&channel.webhook_url)
                .map_err(|why| SettingsError(format!("channels.{id}.webhook_url: {why}")))?;
            tracing::info!(channel = id, "a Slack channel is set up");
            slack.insert(id.clone(), one);
        }
        let mail = if settings.smtp.host.is_empty() {
            tracing::warn!("no mail server is set up: mail goes to the dead-letter list");
            None
        } else {
            Some(Mail::new(&settings.smtp)?)
        };
        Ok(Self { slack, mail })
    }

    /// Tries to deliver a message, once.
    pub(crate) async fn send(&self, stored: &Stored) -> Answer {
        let message = &stored.message;
        let not_configured =
            || Answer::permanent(&format!("channel {} is not configured", message.channel));
        match stored.kind {
            Some(ChannelKind::Slack) => match self.slack.get(&message.channel) {
                Some(slack) => slack.send(message).await,
                None => not_configured(),
            },
            Some(ChannelKind::Mail) => match &self.mail {
                Some(mail) => mail.send(message).await,
                None => not_configured(),
            },
            Some(
                other @ (ChannelKind::Meeting
                | ChannelKind::Banner
                | ChannelKind::Blog
                | ChannelKind::StatusPage
                | ChannelKind::Webhook),
            ) => Answer::permanent(&format!(
                "channel kind {} is not delivered by this version",
                other.name()
            )),
            None => Answer::permanent(&format!("channel {} is not in the plan", message.channel)),
        }
    }
}

/// The part of a resource name that is stable over attempts, for `Message-ID` and the like.
fn id(message: &pb::Message) -> &str {
    message.name.strip_prefix("messages/").unwrap_or(&message.name)
}
