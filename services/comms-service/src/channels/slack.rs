//! Slack: by an incoming webhook, or by the Web API with threads, updates and archiving.

mod text;
mod web_api;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use reqwest::{Client, StatusCode};
use serde::Serialize;

use crate::channels::http::{self, Said};
use crate::channels::pace::Pace;
use crate::channels::{Answer, Outbound};
use crate::secret::Secret;
use crate::settings::ChannelSettings;
use web_api::WebApi;

const ANSWER_SIZE_MAX: usize = 4 * 1024; // To a webhook Slack answers in a word.
const PER_SECOND: u32 = 1; // Slack's documented limit, for each channel.

/// One Slack channel.
#[derive(Debug)]
pub(crate) struct Slack {
    way: Way,
    pace: Pace,
}

#[derive(Debug)]
enum Way {
    Webhook { client: Client, url: Secret },
    Api(WebApi),
}

#[derive(Debug, Serialize)]
struct Payload {
    text: String,
    unfurl_links: bool,
    unfurl_media: bool,
}

impl Slack {
    /// Checks the settings. A URL and a token are secrets: what is wrong is said without them.
    pub(crate) fn new(settings: &ChannelSettings) -> Result<Self, String> {
        let pace = Pace::new(settings.messages_per_second.unwrap_or(PER_SECOND));
        let way = match (settings.webhook_url.is_empty(), settings.token.is_empty()) {
            (true, false) => Way::Api(WebApi::new(settings)?),
            (false, true) => {
                let example = "https://hooks.slack.com/services/...";
                let url = http::checked(settings.webhook_url.reveal(), example)
                    .map_err(|why| format!("webhook_url: {why}"))?;
                Way::Webhook {
                    client: http::client(&url, None)?,
                    url: settings.webhook_url.clone(),
                }
            }
            (true, true) | (false, false) => {
                return Err("webhook_url: expected it, or `token` and `channel`".to_owned());
            }
        };
        Ok(Self { way, pace })
    }

    pub(crate) async fn send(&self, outbound: Outbound<'_>) -> Answer {
        if let Err(not_now) = self.pace.turn().await {
            return not_now;
        }
        let answer = match &self.way {
            Way::Webhook { client, url } => post(client, url, outbound.message).await,
            Way::Api(api) => api.send(outbound).await,
        };
        self.pace.heed(&answer);
        answer
    }
}

async fn post(client: &Client, url: &Secret, message: &pb::Message) -> Answer {
    if matches!(message.content, Some(Content::ChannelArchive(_))) {
        return Answer::permanent(
            "a webhook cannot archive its channel: expected `token` and `channel`",
        );
    }
    let text = text::written(&message.subject, &message.body);
    let payload = Payload { text, unfurl_links: false, unfurl_media: false };
    match http::ask(client.post(url.reveal()).json(&payload), ANSWER_SIZE_MAX).await {
        Ok(said) => answered(&said),
        Err(answer) => answer,
    }
}

/// What the word means: `no_service`, `channel_is_archived`, `invalid_payload` and the like are for
/// good; the others pass.
fn answered(said: &Said) -> Answer {
    let word = said.text.trim();
    if said.status == StatusCode::OK && word == "ok" {
        Answer::new(AttemptOutcome::Sent, "ok")
    } else if said.status == StatusCode::TOO_MANY_REQUESTS
        || said.status == StatusCode::REQUEST_TIMEOUT
        || said.status.is_server_error()
    {
        said.transient()
    } else if said.status.is_success() {
        said.unknown() // Somebody answered, but not as Slack does.
    } else {
        said.permanent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, text: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        answered(&Said { status, retry_after: None, text: text.to_owned() })
    }

    #[test]
    fn every_documented_answer_of_a_webhook_has_its_outcome() {
        assert_eq!(said(200, "ok").outcome, AttemptOutcome::Sent);
        for (status, word) in [
            (400, "invalid_payload"),
            (400, "no_text"),
            (400, "user_not_found"),
            (400, "too_many_attachments"),
            (403, "action_prohibited"),
            (403, "posting_to_general_channel_denied"),
            (403, "invalid_token"),
            (403, "no_active_hooks"),
            (404, "channel_not_found"),
            (404, "no_service"),
            (404, "no_team"),
            (410, "channel_is_archived"),
            (302, ""),
        ] {
            assert_eq!(said(status, word).outcome, AttemptOutcome::Permanent, "{status} {word}");
        }
        for (status, word) in [(429, "rate_limited"), (500, "rollup_error"), (503, "")] {
            let transient = AttemptOutcome::Transient { retry_after: None };
            assert_eq!(said(status, word).outcome, transient, "{status} {word}");
        }
        assert_eq!(said(200, "<html>welcome").outcome, AttemptOutcome::Unknown);
    }

    #[test]
    fn what_is_half_set_or_set_twice_is_refused_without_being_shown() {
        let hush = Secret::new("https://hush");
        let channel = |webhook_url: &Secret, token: &Secret| ChannelSettings {
            webhook_url: webhook_url.clone(),
            token: token.clone(),
            ..ChannelSettings::default()
        };
        let none = Secret::default();
        for (settings, wanted) in [
            (channel(&none, &none), "expected it, or"),
            (channel(&hush, &hush), "expected it, or"),
            (channel(&none, &hush), "channel: "),
            (channel(&Secret::new("hush"), &none), "expected a URL"),
        ] {
            let why = Slack::new(&settings).unwrap_err();
            assert!(why.contains(wanted) && !why.contains("hush"), "{why}");
        }
        assert!(!format!("{:?}", Slack::new(&channel(&hush, &none)).unwrap()).contains("hush"));
    }
}
