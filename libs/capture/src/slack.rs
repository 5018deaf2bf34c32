//! A receiver that speaks Slack's incoming webhooks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::inbox::Inbox;

const BODY_SIZE_MAX: usize = 256 * 1024; // More than Slack takes.

/// A post that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// What follows `/services/`.
    pub path: String,
    /// Its text, as sent.
    pub text: String,
}

/// How a post is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlackAnswer {
    /// 200 `ok`.
    Accept,
    /// 429 with `Retry-After` in seconds.
    RateLimited(u32),
    /// 500.
    Fail,
    /// 404 `no_service`: the webhook was removed.
    Gone,
    /// No answer at all.
    Stall,
}

/// A Slack-compatible receiver on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct Slack {
    address: SocketAddr,
    inbox: Arc<Inbox<Post, SlackAnswer>>,
    serving: AbortHandle,
}

impl Slack {
    /// Starts on a free port.
    ///
    /// # Errors
    /// Fails where no port can be bound.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let inbox = Arc::new(Inbox::new(SlackAnswer::Accept));
        let router = Router::new()
            .route("/services/{*path}", post(receive))
            .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
            .with_state(Arc::clone(&inbox));
        // Serving ends with this value, by abort.
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, inbox, serving: serving.abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A webhook URL of this receiver; `path` stands for the secret part.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/services/{path}", self.address)
    }

    /// Answers the next post so, once.
    pub fn answer_next(&self, answer: SlackAnswer) {
        self.inbox.answer_next(answer);
    }

    /// Answers every post so, from now on.
    pub fn answer_always(&self, answer: SlackAnswer) {
        self.inbox.answer_always(answer);
    }

    /// What was accepted, oldest first: the last 10,000.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        self.inbox.kept()
    }

    /// How many well-formed posts came in, accepted or not.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.inbox.attempts()
    }

    /// Waits until `count` posts were accepted. Has no end of its own: put a timeout around it.
    pub async fn wait_for(&self, count: usize) -> Vec<Post> {
        self.inbox.wait_for(count).await
    }

    /// Waits until `count` posts came in, accepted or not. Has no end of its own.
    pub async fn wait_for_attempts(&self, count: usize) {
        self.inbox.wait_for_attempts(count).await;
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn receive(
    State(inbox): State<Arc<Inbox<Post, SlackAnswer>>>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = match text(&headers, &body) {
        Ok(text) => text,
        Err(why) => return (StatusCode::BAD_REQUEST, why).into_response(),
    };
    match inbox.decide() {
        SlackAnswer::Accept => {
            inbox.keep(Post { path, text });
            "ok".into_response()
        }
        SlackAnswer::RateLimited(seconds) => {
            let retry_after = [(header::RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, retry_after, "rate_limited").into_response()
        }
        SlackAnswer::Fail => (StatusCode::INTERNAL_SERVER_ERROR, "rollup_error").into_response(),
        SlackAnswer::Gone => (StatusCode::NOT_FOUND, "no_service").into_response(),
        SlackAnswer::Stall => std::future::pending().await,
    }
}

/// Reads the text of a post, or says why not, in Slack's words.
fn text(headers: &HeaderMap, body: &[u8]) -> Result<String, &'static str> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|kind| kind.starts_with("application/json")) {
        return Err("invalid_payload");
    }
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|_e| "invalid_payload")?;
    let text = value.get("text").and_then(|text| text.as_str()).unwrap_or_default();
    if text.is_empty() { Err("no_text") } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::CONTENT_TYPE,
            axum::http::HeaderValue::from_static(content_type),
        )])
    }

    #[test]
    fn a_post_without_text_or_not_in_json_is_refused_in_slacks_words() {
        let json = headers("application/json");
        assert_eq!(text(&json, br#"{"text":"x"}"#), Ok("x".to_owned()));
        assert_eq!(text(&json, br#"{"text":""}"#), Err("no_text"));
        assert_eq!(text(&json, b"text=x"), Err("invalid_payload"));
        assert_eq!(text(&headers("text/plain"), br#"{"text":"x"}"#), Err("invalid_payload"));
    }
}
