//! Slack incoming webhooks.

use std::time::Duration;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use reqwest::{Client, Response, StatusCode, Url, header, redirect};
use serde::Serialize;

use crate::channels::Answer;
use crate::secret::Secret;

// Shorter than the whole: where both ran out at once, nobody could tell whether it was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_SIZE_MAX: usize = 4 * 1024; // Slack answers in a word.

/// One Slack channel.
#[derive(Debug)]
pub(crate) struct Slack {
    client: Client,
    webhook: Secret,
}

#[derive(Debug, Serialize)]
struct Payload {
    text: String,
}

impl Slack {
    /// Checks the URL of the webhook. It is a secret: what is wrong is said without it.
    pub(crate) fn new(webhook: &Secret) -> Result<Self, String> {
        let url = Url::parse(webhook.reveal())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let url = url.ok_or("expected a URL such as https://hooks.slack.com/services/...")?;
        let mut client = Client::builder()
            .redirect(redirect::Policy::none()) // A message goes where it was sent, or nowhere.
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .no_proxy();
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails where another thread was faster, with the same: there is one in this workspace.
            rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        }
        if url.scheme() == "http" {
            client = client.tls_certs_only([]); // Works where the host has no certificates.
        }
        let client = client.build().map_err(|error| error.without_url().to_string())?;
        Ok(Self { client, webhook: webhook.clone() })
    }

    pub(crate) async fn send(&self, message: &pb::Message) -> Answer {
        let text = format!("*{}*\n{}", escaped(&message.subject), escaped(&message.body));
        let request = self.client.post(self.webhook.reveal()).json(&Payload { text });
        match request.send().await {
            Ok(response) => answered(response).await,
            Err(error) => failed(error),
        }
    }
}

/// Slack's own escaping: with it, no text can mention or link.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Before the connection stood nothing was sent; after it, nobody knows.
fn failed(error: reqwest::Error) -> Answer {
    let is_before = error.is_connect();
    let is_ours = error.is_builder();
    let detail = chain(&error.without_url());
    if is_ours {
        Answer::permanent(&detail)
    } else if is_before {
        Answer::transient(&detail)
    } else {
        Answer::unknown(&detail)
    }
}

async fn answered(response: Response) -> Answer {
    let status = response.status();
    let retry_after = retry_after(&response);
    let text = match read(response).await {
        Ok(text) => text,
        Err(error) if status.is_success() => {
            return Answer::unknown(&chain(&error.without_url()));
        }
        Err(error) => chain(&error.without_url()),
    };
    let detail = format!("{}: {}", status.as_u16(), text.trim());
    if status == StatusCode::OK && text.trim() == "ok" {
        Answer::new(AttemptOutcome::Sent, "ok")
    } else if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        Answer::new(AttemptOutcome::Transient { retry_after }, &detail)
    } else {
        Answer::permanent(&detail)
    }
}

/// The delay that was asked for, in seconds as Slack gives it.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Reads the beginning of an answer.
async fn read(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_SIZE_MAX
        && let Some(chunk) = response.chunk().await?
    {
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(ANSWER_SIZE_MAX);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error with its causes; none of them knows the URL.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_mention_everybody() {
        assert_eq!(escaped("<!channel> & <@U1>"), "&lt;!channel&gt; &amp; &lt;@U1&gt;");
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for bad in ["hush", "ftp://host/hush", "http://", ""] {
            let why = Slack::new(&Secret::new(bad)).unwrap_err();
            assert!(why.contains("expected a URL") && !why.contains("hush"), "{why}");
        }
        let slack = Slack::new(&Secret::new("http://127.0.0.1/services/hush")).unwrap();
        assert!(!format!("{slack:?}").contains("hush"));
    }
}
