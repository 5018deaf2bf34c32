//! Slack's Web API.

mod errors;

use std::collections::BTreeSet;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::text;
use crate::channels::http::{self, Said};
use crate::channels::{Answer, Outbound};
use crate::secret::Secret;
use crate::settings::ChannelSettings;

const API_URL: &str = "https://slack.com/api/";
const EVENT_TYPE: &str = "softlaunch_message";
const ANSWER_SIZE_MAX: usize = 4 * 1024 * 1024; // A page of history, with texts of 40,000.
const PAGES_MAX: usize = 5; // Of history, newest first: what is further back was not just sent.
const PAGE_SIZE: &str = "100";
const EARLIER_SECONDS: i64 = 600; // Clocks differ: a search begins before the message was made.

/// A channel by its id, and a bot in it.
#[derive(Debug)]
pub(super) struct WebApi {
    client: Client,
    api: Url,
    token: Secret,
    channel: String,
}

/// An answer of the API that could be read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reply {
    ok: bool,
    error: String,
    channel: Json,
    ts: String,
    messages: Vec<Posted>,
    response_metadata: Option<Cursor>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cursor {
    next_cursor: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Posted {
    ts: String,
    metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    event_payload: Json,
}

/// Where a message stands: `channel/ts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place<'a> {
    channel: &'a str,
    ts: &'a str,
}

impl<'a> Place<'a> {
    fn parse(receipt: &'a str) -> Option<Self> {
        let (channel, ts) = receipt.split_once('/')?;
        (!channel.is_empty() && !ts.is_empty()).then_some(Self { channel, ts })
    }

    fn receipt(self) -> String {
        format!("{}/{}", self.channel, self.ts)
    }
}

impl WebApi {
    pub(super) fn new(settings: &ChannelSettings) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric();
        if settings.channel.is_empty() || !settings.channel.chars().all(fits) {
            let shown = vocab::excerpt(&settings.channel);
            return Err(format!("channel: `{shown}` is no id such as C024BE91L"));
        }
        if !settings.token.reveal().chars().all(|c| c.is_ascii_graphic()) {
            return Err("token: expected a token such as xoxb-...".to_owned());
        }
        let set = Some(settings.api_url.as_str()).filter(|url| !url.is_empty());
        let slashed = format!("{}/", set.unwrap_or(API_URL).trim_end_matches('/'));
        let api = http::checked(&slashed, API_URL).map_err(|why| format!("api_url: {why}"))?;
        let client = http::client(&api, None)?;
        Ok(Self { client, api, token: settings.token.clone(), channel: settings.channel.clone() })
    }

    pub(super) async fn send(&self, outbound: Outbound<'_>) -> Answer {
        let message = outbound.message;
        if matches!(message.content, Some(Content::ChannelArchive(_))) {
            return self.archive().await;
        }
        let first = outbound.first_receipt.and_then(Place::parse);
        if let Some(first) = first
            && message.replaces_first
        {
            let answer = self.update(message, first).await;
            if !errors::is_gone(&answer.detail) {
                return answer;
            } // There is nothing left to replace: it is told anew.
        }
        let may_be_there = outbound.may_be_there();
        if may_be_there {
            match self.find(message, first).await {
                Ok(Some(receipt)) => {
                    let detail = "found in the channel: an earlier attempt has told it";
                    return sent(detail, receipt);
                }
                Ok(None) => {}
                // Told twice beats not told.
                Err(answer) if answer.outcome == AttemptOutcome::Permanent => {
                    let answer_of_post = self.post(message, first).await;
                    let detail = format!(
                        "{} (perhaps for the second time: cannot look: {})",
                        answer_of_post.detail, answer.detail
                    );
                    let receipt = answer_of_post.receipt;
                    return Answer { receipt, ..Answer::new(answer_of_post.outcome, &detail) };
                }
                Err(answer) => {
                    let detail =
                        format!("not sent again before it was looked for: {}", answer.detail);
                    let retry_after = match answer.outcome {
                        AttemptOutcome::Transient { retry_after } => retry_after,
                        AttemptOutcome::Sent
                        | AttemptOutcome::Permanent
                        | AttemptOutcome::Unknown => None,
                    };
                    return Answer::new(AttemptOutcome::Transient { retry_after }, &detail);
                }
            }
        }
        self.post(message, first).await
    }

    async fn post(&self, message: &pb::Message, first: Option<Place<'_>>) -> Answer {
        let mut body = self.body(message);
        body["channel"] = json!(self.channel);
        if let Some(first) = first.filter(|first| first.channel == self.channel) {
            body["thread_ts"] = json!(first.ts);
        }
        match self.call(self.posting("chat.postMessage").json(&body)).await {
            Ok(reply) => {
                let channel = reply.channel.as_str().unwrap_or(&self.channel);
                sent("ok", Place { channel, ts: &reply.ts }.receipt())
            }
            Err(answer) => answer,
        }
    }

    async fn update(&self, message: &pb::Message, first: Place<'_>) -> Answer {
        let mut body = self.body(message);
        body["channel"] = json!(first.channel);
        body["ts"] = json!(first.ts);
        match self.call(self.posting("chat.update").json(&body)).await {
            Ok(_) => sent("ok: in place of the first of its thread", first.receipt()),
            Err(answer) => answer,
        }
    }

    async fn archive(&self) -> Answer {
        let body = json!({"channel": self.channel});
        match self.call(self.posting("conversations.archive").json(&body)).await {
            Ok(_) => sent("ok: archived", self.channel.clone()),
            Err(answer) if errors::is_archived_already(&answer.detail) => {
                sent("it was archived already", self.channel.clone())
            }
            Err(answer) => answer,
        }
    }

    /// Looks for a message that may have been posted, by the name it carries.
    async fn find(
        &self,
        message: &pb::Message,
        first: Option<Place<'_>>,
    ) -> Result<Option<String>, Answer> {
        let made = message.create_time.as_ref().map_or(0, |time| time.seconds);
        let tried = message.attempts.iter().filter_map(|one| one.occur_time.as_ref());
        let oldest = tried.map(|time| time.seconds).chain([made]).min().unwrap_or(0);
        let oldest = oldest.saturating_sub(EARLIER_SECONDS).max(0).to_string();
        let mut cursors = BTreeSet::from([String::new()]);
        let mut cursor = String::new();
        for _page in 0..PAGES_MAX {
            let method =
                if first.is_some() { "conversations.replies" } else { "conversations.history" };
            let mut url = self.url(method);
            url.query_pairs_mut()
                .append_pair("channel", &self.channel)
                .append_pair("oldest", &oldest)
                .append_pair("limit", PAGE_SIZE)
                .append_pair("include_all_metadata", "true")
                .append_pair("cursor", &cursor);
            if let Some(first) = first {
                url.query_pairs_mut().append_pair("ts", first.ts);
            }
            let request = self.client.get(url).bearer_auth(self.token.reveal());
            let reply = self.call(request).await?;
            let ours =
                |one: &&Posted| one.metadata.event_payload["message"] == message.name.as_str();
            if let Some(found) = reply.messages.iter().find(ours) {
                return Ok(Some(Place { channel: &self.channel, ts: &found.ts }.receipt()));
            }
            cursor = reply.response_metadata.unwrap_or_default().next_cursor;
            if !cursors.insert(cursor.clone()) {
                break; // The end, or round in a circle.
            }
        }
        Ok(None)
    }

    fn body(&self, message: &pb::Message) -> Json {
        json!({
            "text": text::written(&message.subject, &message.body),
            "unfurl_links": false,
            "unfurl_media": false,
            "link_names": false,
            "metadata": {
                "event_type": EVENT_TYPE,
                "event_payload": {"message": message.name, "event": message.event},
            },
        })
    }

    fn url(&self, method: &str) -> Url {
        let mut url = self.api.clone();
        url.set_path(&format!("{}{method}", self.api.path()));
        url
    }

    fn posting(&self, method: &str) -> RequestBuilder {
        self.client.post(self.url(method)).bearer_auth(self.token.reveal())
    }

    async fn call(&self, request: RequestBuilder) -> Result<Reply, Answer> {
        let said = http::ask(request, ANSWER_SIZE_MAX).await?;
        read(&said)
    }
}

fn sent(detail: &str, receipt: String) -> Answer {
    Answer { receipt, ..Answer::new(AttemptOutcome::Sent, detail) }
}

fn read(said: &Said) -> Result<Reply, Answer> {
    if !said.status.is_success() {
        return Err(errors::of_status(said));
    }
    match serde_json::from_str::<Reply>(&said.text) {
        Ok(reply) if reply.ok => Ok(reply),
        Ok(reply) => Err(errors::of_word(&reply.error, said.retry_after)),
        // Somebody answered, but not as Slack does: the text is theirs and may hold anything.
        Err(_) => Err(Answer::unknown("an answer that is not Slack's")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_channel_and_time() {
        let place = Place::parse("C024BE91L/1355517523.000005").unwrap();
        assert_eq!((place.channel, place.ts), ("C024BE91L", "1355517523.000005"));
        assert_eq!(place.receipt(), "C024BE91L/1355517523.000005");
        assert!(["", "C1", "/1", "C1/"].iter().all(|bad| Place::parse(bad).is_none()));
    }
}
