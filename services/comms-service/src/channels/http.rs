//! HTTP to others: bounded in time and size, redirects not followed, and no secret in what is said.

use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use comms_core::AttemptOutcome;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url, redirect};
use service_kit::clock::real_now;
use vocab::Timestamp;

use crate::channels::Answer;
use crate::channels::networks::{Forbidden, Networks};

// Shorter than the whole: where both ran out at once, nobody could tell whether it was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than anybody in earnest asks to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a server said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub(super) text: String,
}

impl Said {
    /// As it goes into the record.
    pub(super) fn detail(&self) -> String {
        format!("{}: {}", self.status.as_u16(), self.text.trim())
    }

    pub(super) fn transient(&self) -> Answer {
        let outcome = AttemptOutcome::Transient { retry_after: self.retry_after };
        Answer::new(outcome, &self.detail())
    }

    pub(super) fn permanent(&self) -> Answer {
        Answer::permanent(&self.detail())
    }

    pub(super) fn unknown(&self) -> Answer {
        Answer::unknown(&self.detail())
    }
}

/// Checks an address that may be a secret: what is wrong is said without it.
pub(super) fn checked(url: &str, example: &str) -> Result<Url, String> {
    let url = Url::parse(url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.ok_or_else(|| format!("expected a URL such as {example}"))
}

/// A client for one server. With `networks` it connects only where they allow.
pub(super) fn client(url: &Url, networks: Option<Networks>) -> Result<Client, String> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Fails where another thread was faster, with the same: there is one in this workspace.
        rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
    }
    let mut client: ClientBuilder = Client::builder()
        .redirect(redirect::Policy::none()) // A message goes where it was sent, or nowhere.
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .user_agent(concat!("softlaunch/", env!("CARGO_PKG_VERSION")))
        .no_proxy();
    if let Some(networks) = networks {
        client = client.dns_resolver(Arc::new(networks));
    }
    if url.scheme() == "http" {
        client = client.tls_certs_only([]); // Works where the host has no certificates.
    }
    client.build().map_err(|error| error.without_url().to_string())
}

/// Sends a request and reads at most `size_max` bytes of what comes back.
///
/// # Errors
/// The answer to give where nothing was said: before the connection stood nothing was sent; after
/// it, nobody knows.
pub(super) async fn ask(request: RequestBuilder, size_max: usize) -> Result<Said, Answer> {
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let retry_after = retry_after(response.headers(), real_now());
    let mut bytes = Vec::new();
    while bytes.len() < size_max {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) if status.is_success() => {
                return Err(Answer::unknown(&chain(&error.without_url())));
            }
            Err(_) => break, // The status says enough.
        }
    }
    bytes.truncate(size_max);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { status, retry_after, text })
}

fn failed(error: reqwest::Error) -> Answer {
    let is_forbidden = causes(&error).any(|cause| cause.is::<Forbidden>());
    let (is_before, is_ours) = (error.is_connect(), error.is_builder());
    let detail = chain(&error.without_url());
    if is_ours || is_forbidden {
        Answer::permanent(&detail)
    } else if is_before {
        Answer::transient(&detail)
    } else {
        Answer::unknown(&detail)
    }
}

/// The delay that was asked for, in seconds or until a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = httpdate::parse_http_date(value).ok()?;
            let until = until.duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::EPOCH.plus(until).since(now) // Zero where it is over.
        }
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

/// An error with its causes; none of them knows the URL.
fn chain(error: &reqwest::Error) -> String {
    causes(error).fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let now = Timestamp::from_millis(784_111_777_000); // 1994-11-06 08:49:37
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]), now)
    }

    #[test]
    fn a_delay_is_given_in_seconds_or_as_a_date() {
        assert_eq!(asked("30"), Some(Duration::from_secs(30)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Sunday, 06-Nov-94 08:50:37 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("99999999999"), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for bad in ["hush", "ftp://host/hush", "http://", ""] {
            let why = checked(bad, "https://example.com").unwrap_err();
            assert!(why.contains("expected a URL") && !why.contains("hush"), "{why}");
        }
    }
}
