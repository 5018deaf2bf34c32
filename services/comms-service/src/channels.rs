//! Where messages go: each channel by what it speaks.

mod http;
mod mail;
mod networks;
mod pace;
mod slack;
pub(crate) mod status_page;
mod webhook;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use plan::ChannelKind;
use service_kit::bootstrap::Error;
use service_kit::settings::SettingsError;

use crate::channels::mail::Mail;
use crate::channels::slack::Slack;
use crate::channels::status_page::StatusPage;
use crate::channels::webhook::Webhook;
use crate::settings::Settings;

const DETAIL_LENGTH_MAX: usize = 500; // What a channel says is kept for ever.

/// A message on its way to a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outbound<'a> {
    pub(crate) message: &'a pb::Message,
    /// What its channel speaks; `None` where its plan does not say.
    pub(crate) kind: Option<ChannelKind>,
    /// What the channel calls the first message of its thread; `None` where this is the first.
    pub(crate) first_receipt: Option<&'a str>,
    /// An attempt was begun of which nobody has recorded how it went.
    pub(crate) begun: bool,
}

impl Outbound<'_> {
    /// Whether an earlier attempt may have arrived: a channel that can looks before it sends again.
    fn may_be_there(&self) -> bool {
        let attempts = &self.message.attempts;
        self.begun || attempts.iter().any(|one| one.outcome() == pb::attempt::Outcome::Unknown)
    }
}

/// How an attempt ended, and what the channel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) outcome: AttemptOutcome,
    pub(crate) detail: String,
    /// What the channel calls the message; empty where it says nothing of the kind.
    pub(crate) receipt: String,
}

impl Answer {
    pub(crate) fn new(outcome: AttemptOutcome, detail: &str) -> Self {
        let clean = detail.chars().map(|c| if c.is_control() { ' ' } else { c });
        let detail = clean.take(DETAIL_LENGTH_MAX).collect();
        Self { outcome, detail, receipt: String::new() }
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
    webhooks: BTreeMap<String, Webhook>,
    mail: Option<Mail>,
    status_page: Option<StatusPage>,
}

impl Channels {
    /// Sets up what the settings name.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let mut slack = BTreeMap::new();
        for (id, channel) in &settings.channels {
            let one =
                Slack::new(channel).map_err(|why| SettingsError(format!("channels.{id}.{why}")))?;
            tracing::info!(channel = id, "a Slack channel is set up");
            slack.insert(id.clone(), one);
        }
        let mut webhooks = BTreeMap::new();
        for (id, webhook) in &settings.webhooks {
            let one = Webhook::new(webhook)
                .map_err(|why| SettingsError(format!("webhooks.{id}.{why}")))?;
            tracing::info!(channel = id, "a webhook is set up");
            webhooks.insert(id.clone(), one);
        }
        let mail = if settings.smtp.host.is_empty() {
            tracing::warn!("no mail server is set up: mail goes to the dead-letter list");
            None
        } else {
            Some(Mail::new(&settings.smtp)?)
        };
        let status_page = if settings.status_page.api_url.is_empty() {
            None
        } else {
            let one = StatusPage::new(&settings.status_page);
            Some(one.map_err(|why| SettingsError(format!("status_page.{why}")))?)
        };
        Ok(Self { slack, webhooks, mail, status_page })
    }

    /// Tries to deliver a message, once.
    pub(crate) async fn send(&self, outbound: Outbound<'_>) -> Answer {
        let message = outbound.message;
        let not_configured =
            || Answer::permanent(&format!("channel {} is not configured", message.channel));
        match outbound.kind {
            Some(ChannelKind::Slack) => match self.slack.get(&message.channel) {
                Some(slack) => slack.send(outbound).await,
                None => not_configured(),
            },
            Some(ChannelKind::Mail | ChannelKind::Meeting) => match &self.mail {
                Some(mail) => mail.send(message).await,
                None => not_configured(),
            },
            Some(ChannelKind::Webhook) => match self.webhooks.get(&message.channel) {
                Some(webhook) => webhook.send(message).await,
                None => not_configured(),
            },
            Some(ChannelKind::StatusPage) => match &self.status_page {
                Some(page) => page.send(outbound).await,
                None => published(message),
            },
            Some(ChannelKind::Banner | ChannelKind::Blog) => published(message),
            None => Answer::permanent(&format!("channel {} is not in the plan", message.channel)),
        }
    }
}

/// What our own pages show is told by being on record as sent: they are made from the record.
fn published(message: &pb::Message) -> Answer {
    let (what, receipt) = match &message.content {
        Some(Content::Banner(banner)) if banner.banner.is_empty() || banner.flag.is_empty() => {
            return Answer::permanent("a banner without a name or a flag: nobody can be shown it");
        }
        Some(Content::Banner(banner)) if banner.withdrawn => ("withdrawn", banner.banner.as_str()),
        Some(Content::Banner(banner)) => ("shown where the flag is on", banner.banner.as_str()),
        Some(Content::BlogPost(post)) => ("published", post.post.as_str()),
        Some(Content::StatusUpdate(update)) => ("published", update.incident.as_str()),
        Some(Content::Meeting(_) | Content::ChannelArchive(_)) | None => ("published", ""),
    };
    let receipt = if receipt.is_empty() { id(message) } else { receipt };
    Answer { receipt: receipt.to_owned(), ..Answer::new(AttemptOutcome::Sent, what) }
}

/// The part of a resource name that is stable over attempts, for `Message-ID` and the like.
fn id(message: &pb::Message) -> &str {
    message.name.strip_prefix("messages/").unwrap_or(&message.name)
}
