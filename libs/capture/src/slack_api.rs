//! A receiver that speaks the parts of Slack's Web API that write to a channel and read it.
//!
//! As strict as the real one: tokens, channels, membership, archived channels, texts, metadata and
//! the documented limit of one message a second for each channel.

mod request;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::inbox::Inbox;
use request::{arguments, bearer};

const BODY_SIZE_MAX: usize = 1024 * 1024;
const TEXT_LENGTH_MAX: usize = 40_000; // Longer texts are cut off without a word.
const METADATA_SIZE_MAX: usize = 8 * 1024;
const BURST: u32 = 4;

/// The only token that is taken.
pub const TOKEN: &str = "xoxb-captured";

/// A message in a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelMessage {
    /// Identifies it within its channel.
    pub ts: String,
    /// The message whose thread it is in; `None` where it is in none.
    pub thread_ts: Option<String>,
    /// Its text.
    pub text: String,
    /// Its metadata.
    pub metadata: Json,
    /// How often it was changed.
    pub edits: usize,
}

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiAnswer {
    /// As Slack would.
    Accept,
    /// `{"ok": false, "error": ...}`.
    Error(&'static str),
    /// A status with an empty body.
    Status(u16),
    /// 429 with this `Retry-After`.
    RateLimited(&'static str),
    /// Does what is asked, and never says so.
    StallAfterDoing,
    /// Does what is asked, and says 500.
    FailAfterDoing,
    /// More than anybody wants to read.
    Endless,
}

#[derive(Debug, Default)]
struct Room {
    archived: bool,
    /// The bot is no member.
    foreign: bool,
    messages: Vec<ChannelMessage>,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Team {
    rooms: Mutex<BTreeMap<String, Room>>,
    inbox: Inbox<String, ApiAnswer>,
    interval: Duration,
}

/// A Slack-compatible Web API on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct SlackApi {
    address: SocketAddr,
    team: Arc<Team>,
    serving: AbortHandle,
}

impl SlackApi {
    /// Starts on a free port with these channels, each taking one message in `interval` after a few
    /// at once; zero for no limit.
    ///
    /// # Errors
    /// Fails where no port can be bound.
    pub async fn start(channels: &[&str], interval: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let rooms = channels.iter().map(|id| ((*id).to_owned(), Room::default())).collect();
        let inbox = Inbox::new(ApiAnswer::Accept);
        let team = Arc::new(Team { rooms: Mutex::new(rooms), inbox, interval });
        let router = Router::new()
            .route("/api/{method}", any(call))
            .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
            .with_state(Arc::clone(&team));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, team, serving: serving.abort_handle() })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/api/", self.address)
    }

    /// Answers the next call so, once.
    pub fn answer_next(&self, answer: ApiAnswer) {
        self.team.inbox.answer_next(answer);
    }

    /// Archives a channel, as somebody else would.
    pub fn archive(&self, channel: &str) {
        self.with(channel, |room| room.archived = true);
    }

    /// Removes the bot from a channel.
    pub fn expel(&self, channel: &str) {
        self.with(channel, |room| room.foreign = true);
    }

    /// Deletes all messages of a channel.
    pub fn clear(&self, channel: &str) {
        self.with(channel, |room| room.messages.clear());
    }

    /// Whether a channel is archived.
    #[must_use]
    pub fn is_archived(&self, channel: &str) -> bool {
        self.team.rooms().get(channel).is_some_and(|room| room.archived)
    }

    /// What is in a channel, oldest first.
    #[must_use]
    pub fn messages(&self, channel: &str) -> Vec<ChannelMessage> {
        self.team.rooms().get(channel).map(|room| room.messages.clone()).unwrap_or_default()
    }

    /// The methods that were called, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.team.inbox.kept()
    }

    fn with(&self, channel: &str, change: impl FnOnce(&mut Room)) {
        if let Some(room) = self.team.rooms().get_mut(channel) {
            change(room);
        }
    }
}

impl Drop for SlackApi {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Slack's word for what is wrong.
type Refusal = &'static str;

async fn call(
    State(team): State<Arc<Team>>,
    Path(method): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    team.inbox.keep(method.clone());
    let done = || {
        bearer(&headers, &uri, &body)?;
        let arguments = arguments(&headers, &uri, &body)?;
        team.call(&method, &arguments)
    };
    let said = match team.inbox.decide() {
        ApiAnswer::Accept => done(),
        ApiAnswer::Error(word) => Err(word),
        ApiAnswer::Status(status) => {
            return StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY).into_response();
        }
        ApiAnswer::RateLimited(after) => return limited(after),
        ApiAnswer::StallAfterDoing => {
            drop(done());
            return std::future::pending().await;
        }
        ApiAnswer::FailAfterDoing => {
            drop(done());
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        ApiAnswer::Endless => Ok(json!({"noise": "x".repeat(16 * 1024 * 1024)})),
    };
    match said {
        Ok(mut reply) => {
            reply["ok"] = json!(true);
            axum::Json(reply).into_response()
        }
        Err("ratelimited") => limited("1"),
        Err(word) => axum::Json(json!({"ok": false, "error": word})).into_response(),
    }
}

fn limited(after: &'static str) -> Response {
    let body = axum::Json(json!({"ok": false, "error": "ratelimited"}));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, after)], body).into_response()
}

impl Team {
    fn rooms(&self) -> MutexGuard<'_, BTreeMap<String, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, method: &str, arguments: &Json) -> Result<Json, Refusal> {
        if method == "auth.test" {
            return Ok(json!({"team": "captured", "user": "softlaunch"}));
        }
        let id = arguments["channel"].as_str().unwrap_or_default();
        let mut rooms = self.rooms();
        let room = rooms.get_mut(id).ok_or("channel_not_found")?;
        if room.foreign {
            return Err("not_in_channel");
        }
        match method {
            "chat.postMessage" => room.post(id, arguments, self.interval),
            "chat.update" => room.update(id, arguments),
            "conversations.archive" if room.archived => Err("already_archived"),
            "conversations.archive" => {
                room.archived = true;
                Ok(json!({}))
            }
            "conversations.history" => Ok(room.listed(arguments, None)),
            "conversations.replies" => Ok(room.listed(arguments, arguments["ts"].as_str())),
            _ => Err("unknown_method"),
        }
    }
}

impl Room {
    fn post(&mut self, id: &str, arguments: &Json, interval: Duration) -> Result<Json, Refusal> {
        let (text, metadata) = self.checked(arguments)?;
        let thread_ts = arguments["thread_ts"].as_str().map(str::to_owned);
        if let Some(parent) = &thread_ts
            && !self.messages.iter().any(|one| one.ts == *parent)
        {
            return Err("thread_not_found");
        }
        self.take_turn(interval)?;
        let ts = format!("1355517523.{:06}", self.messages.len() + 1);
        self.messages.push(ChannelMessage { ts: ts.clone(), thread_ts, text, metadata, edits: 0 });
        Ok(json!({"channel": id, "ts": ts}))
    }

    fn update(&mut self, id: &str, arguments: &Json) -> Result<Json, Refusal> {
        let (text, metadata) = self.checked(arguments)?;
        let ts = arguments["ts"].as_str().unwrap_or_default();
        let known = self.messages.iter_mut().find(|one| one.ts == ts).ok_or("message_not_found")?;
        (known.text, known.metadata) = (text, metadata);
        known.edits += 1;
        Ok(json!({"channel": id, "ts": ts}))
    }

    fn checked(&self, arguments: &Json) -> Result<(String, Json), Refusal> {
        if self.archived {
            return Err("is_archived");
        }
        let text = arguments["text"].as_str().unwrap_or_default();
        if text.is_empty() {
            return Err("no_text");
        }
        let metadata = arguments["metadata"].clone();
        if !metadata.is_null() {
            if metadata["event_type"].as_str().is_none() || !metadata["event_payload"].is_object() {
                return Err("invalid_metadata_format");
            }
            if metadata.to_string().len() > METADATA_SIZE_MAX {
                return Err("metadata_too_large");
            }
        }
        Ok((text.chars().take(TEXT_LENGTH_MAX).collect(), metadata))
    }

    fn take_turn(&mut self, interval: Duration) -> Result<(), Refusal> {
        let now = Instant::now();
        let due = self.due.map_or(now, |due| due.max(now));
        if due.duration_since(now) > interval * (BURST - 1) {
            return Err("ratelimited");
        }
        self.due = Some(due + interval);
        Ok(())
    }

    /// Newest first, as history is; a page of `limit`.
    fn listed(&self, arguments: &Json, thread: Option<&str>) -> Json {
        let number = |name: &str| {
            let value = &arguments[name];
            value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
        };
        let limit = usize::try_from(number("limit").unwrap_or(100)).unwrap_or(100).max(1);
        let start = usize::try_from(number("cursor").unwrap_or(0)).unwrap_or(0);
        let with_metadata = arguments["include_all_metadata"].as_str() == Some("true")
            || arguments["include_all_metadata"] == json!(true);
        let fits = |one: &&ChannelMessage| match thread {
            Some(ts) => one.ts == ts || one.thread_ts.as_deref() == Some(ts),
            None => one.thread_ts.is_none(),
        };
        let all: Vec<_> = self.messages.iter().rev().filter(fits).collect();
        let page = all.iter().skip(start).take(limit).map(|one| {
            let mut shown = json!({"ts": one.ts, "text": one.text});
            if with_metadata && !one.metadata.is_null() {
                shown["metadata"] = one.metadata.clone();
            }
            shown
        });
        let end = start.saturating_add(limit);
        let next = if end < all.len() { end.to_string() } else { String::new() };
        json!({
            "messages": page.collect::<Vec<_>>(),
            "has_more": !next.is_empty(),
            "response_metadata": {"next_cursor": next},
        })
    }
}
