//! Signed webhooks: Standard Webhooks around a CloudEvents body.

mod signature;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode};
use serde_json::json;
use service_kit::clock::real_now;
use service_kit::wire::time_of;

use crate::channels::http::{self, Said};
use crate::channels::networks::Networks;
use crate::channels::{Answer, id};
use crate::secret::Secret;
use crate::settings::WebhookSettings;
use signature::Keys;

const ANSWER_SIZE_MAX: usize = 1024; // Only the status counts.
const CONTENT: HeaderValue =
    HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
/// Receivers are asked to take 20 kB; a text longer than this is shortened, and says so.
const TEXT_LENGTH_MAX: usize = 12_000;

/// A receiver of webhooks.
#[derive(Debug)]
pub(crate) struct Webhook {
    client: Client,
    url: Secret,
    keys: Keys,
    /// The receiver has said that it is no more.
    is_gone: AtomicBool,
}

impl Webhook {
    /// Checks the settings. The address may hold a secret: what is wrong is said without it.
    pub(crate) fn new(settings: &WebhookSettings) -> Result<Self, String> {
        let url = http::checked(settings.url.reveal(), "https://hooks.example.com/softlaunch")
            .map_err(|why| format!("url: {why}"))?;
        let networks = Networks::new(&settings.allow_networks, &url)
            .map_err(|why| format!("allow_networks: {why}"))?;
        let client = http::client(&url, Some(networks))?;
        let keys = Keys::new(&settings.secrets).map_err(|why| format!("secrets: {why}"))?;
        let url = settings.url.clone();
        Ok(Self { client, url, keys, is_gone: AtomicBool::new(false) })
    }

    pub(crate) async fn send(&self, message: &pb::Message) -> Answer {
        if self.is_gone.load(Relaxed) {
            return Answer::permanent("disabled: the receiver has said that it is gone");
        }
        let body = event(message).to_string();
        let webhook_id = header_value(id(message));
        let timestamp = real_now().as_seconds().to_string();
        let signature = self.keys.sign(&webhook_id, &timestamp, &body);
        let request = self
            .client
            .post(self.url.reveal())
            .header(CONTENT_TYPE, CONTENT)
            .header("webhook-id", &webhook_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        let answer = match http::ask(request, ANSWER_SIZE_MAX).await {
            Ok(said) => {
                self.is_gone.fetch_or(said.status == StatusCode::GONE, Relaxed);
                answered(&said)
            }
            Err(answer) => answer,
        };
        Answer { receipt: webhook_id, ..answer }
    }
}

/// Only 2xx is success; what cannot pass by itself is for good, redirects too: they are not followed.
fn answered(said: &Said) -> Answer {
    let passes =
        [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    let status = said.status;
    if status.is_success() {
        Answer::new(AttemptOutcome::Sent, &status.as_u16().to_string())
    } else if status.is_server_error() || passes.contains(&status) {
        said.transient()
    } else {
        said.permanent()
    }
}

/// The message as a CloudEvent.
fn event(message: &pb::Message) -> serde_json::Value {
    let kind: String =
        message.event.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let kind = if kind.is_empty() { "message" } else { kind.as_str() };
    let shortened = message.body.chars().nth(TEXT_LENGTH_MAX).is_some();
    let body: String = message.body.chars().take(TEXT_LENGTH_MAX).collect();
    json!({
        "specversion": "1.0",
        "id": header_value(id(message)),
        "source": "softlaunch/comms",
        "type": format!("dev.softlaunch.comms.{kind}"),
        "time": time_of(message.create_time.as_ref()).to_string(),
        "subject": if message.rollout.is_empty() { &message.name } else { &message.rollout },
        "datacontenttype": "application/json",
        "data": {
            "message": message.name,
            "event": message.event,
            "rollout": message.rollout,
            "channel": message.channel,
            "audience": message.audience,
            "urgency": message.urgency().as_str_name(),
            "thread": message.thread,
            "subject": message.subject,
            "body": body,
            "shortened": shortened,
            "test": message.test,
        },
    })
}

/// What may stand in a header, and in the text that is signed: neither blanks nor dots.
fn header_value(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_@".contains(c);
    let escaped = text.chars().map(|c| if fits(c) { c } else { '_' });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_success_is_success() {
        let outcome = |status| {
            let status = StatusCode::from_u16(status).unwrap();
            answered(&Said { status, retry_after: None, text: String::new() }).outcome
        };
        assert!([200, 202, 204].iter().all(|one| outcome(*one) == AttemptOutcome::Sent));
        for status in [301, 302, 307, 308, 400, 401, 404, 410, 413] {
            assert_eq!(outcome(status), AttemptOutcome::Permanent, "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let transient = AttemptOutcome::Transient { retry_after: None };
            assert_eq!(outcome(status), transient, "{status}");
        }
    }

    #[test]
    fn nothing_in_a_message_makes_an_event_that_is_too_long_or_malformed() {
        let message = pb::Message {
            name: "messages/a\r\nX: y".to_owned(),
            event: "phase start\r\n".to_owned(),
            body: "é\u{0}".repeat(TEXT_LENGTH_MAX),
            ..pb::Message::default()
        };
        let event = event(&message);
        assert_eq!(event["id"], "a__X__y");
        assert_eq!(event["type"], "dev.softlaunch.comms.phase-start--");
        assert_eq!(event["data"]["shortened"], true);
        let text = event.to_string();
        assert!(text.len() < 5 * TEXT_LENGTH_MAX && text.is_ascii() || !text.contains('\n'));
    }
}
