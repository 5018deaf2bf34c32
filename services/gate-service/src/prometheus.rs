//! Values from Prometheus: one instant query, one number, or the reason why there is none.
//!
//! A series is stale in three ways, all of them said: Prometheus leaves out what is older than its
//! look-back (`lookback_delta`, which newer versions take from us); what an expression makes of
//! nothing is nothing; and the sample of a bare selector has a time of its own, which
//! `timestamp(...)` tells and the criterion's `age_max` bounds.

use std::time::Duration;

use gate_core::Answer;
use plan::{PromQuery, Unit};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde_json::Value;
use service_kit::settings::SettingsError;
use vocab::{Timestamp, excerpt};

use crate::settings::PrometheusSettings;

const ANSWER_SIZE_MAX: usize = 256 * 1024; // One number, and labels of series that are too many.
const RETRY_DELAY: Duration = Duration::from_millis(200);
const AMOUNT_MAX: f64 = 1e13; // As of a gauge; and times in milliseconds are below it.

/// Where Prometheus is, if it was set.
#[derive(Debug)]
pub(crate) struct Prometheus {
    client: Client,
    address: Option<Url>,
    timeout: Duration,
    attempts: u32,
}

/// Why one attempt gave nothing, and whether another may.
struct Failed {
    why: String,
    again: bool,
}

impl Prometheus {
    pub(crate) fn new(settings: &PrometheusSettings) -> Result<Self, SettingsError> {
        let wrong = |key: &str, why: String| SettingsError(format!("prometheus.{key}: {why}"));
        let timeout = vocab::parse_duration(&settings.timeout)
            .map_err(|why| wrong("timeout", why.to_string()))?;
        let address = if settings.address.is_empty() {
            None
        } else {
            let read = Url::parse(&settings.address).ok();
            let read = read.filter(|url| ["http", "https"].contains(&url.scheme()));
            let why = || format!("`{}` is not an http address", excerpt(&settings.address));
            Some(read.ok_or_else(|| wrong("address", why()))?)
        };
        if !(1..=10).contains(&settings.attempts) {
            return Err(wrong("attempts", "expected 1 to 10".to_owned()));
        }
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Fails where another thread was faster, with the same: there is one in this workspace.
            rustls::crypto::ring::default_provider().install_default().unwrap_or_default();
        }
        let builder = Client::builder().timeout(timeout).redirect(redirect::Policy::none());
        let client = builder.no_proxy().build();
        let client = client.map_err(|error| wrong("address", error.to_string()))?;
        Ok(Self { client, address, timeout, attempts: settings.attempts })
    }

    /// Asks, as of `now`: again where it was not reached, and not again where it refused.
    pub(crate) async fn ask(
        &self,
        query: &PromQuery,
        unit: Unit,
        now: Timestamp,
    ) -> Result<Answer, String> {
        let value = self.number(&query.query, query.age_max, now).await?;
        let samples = match &query.samples_query {
            None => 1,
            Some(samples) => {
                let found = self.number(samples, query.age_max, now).await;
                let found = found.map_err(|why| format!("number of samples: {why}"))?;
                whole(found).ok_or_else(|| format!("number of samples: {found} is out of range"))?
            }
        };
        Ok(Answer { amount: amount(value, unit)?, samples, at: self.measured_at(query, now).await })
    }

    /// When the sample of a bare selector was taken; of an expression, the time of the question.
    async fn measured_at(&self, query: &PromQuery, now: Timestamp) -> Timestamp {
        let asked = format!("timestamp({})", query.query);
        let taken =
            self.number(&asked, query.age_max, now).await.ok().and_then(|it| whole(it * 1e3));
        let taken = taken.and_then(|millis| i64::try_from(millis).ok());
        taken.map_or(now, Timestamp::from_millis).min(now)
    }

    async fn number(&self, query: &str, age: Duration, now: Timestamp) -> Result<f64, String> {
        let Some(address) = &self.address else {
            return Err("no address is set: prometheus.address of the gate service".to_owned());
        };
        let mut url = address.clone();
        url.path_segments_mut()
            .map_err(|()| "the address takes no path".to_owned())?
            .pop_if_empty()
            .extend(["api", "v1", "query"]);
        url.query_pairs_mut()
            .append_pair("query", query)
            .append_pair("time", &format!("{:.3}", seconds(now)))
            .append_pair("timeout", &format!("{}ms", self.timeout.as_millis()))
            .append_pair("lookback_delta", &format!("{}ms", age.as_millis()));
        let mut attempt = 1;
        loop {
            match self.fetch(&url).await {
                Ok(body) => return read(&body, age),
                Err(Failed { why, again }) if !again || attempt >= self.attempts => {
                    let times =
                        if attempt > 1 { format!(" ({attempt} attempts)") } else { String::new() };
                    return Err(format!("{why}{times}"));
                }
                Err(_) => {
                    tokio::time::sleep(RETRY_DELAY * attempt).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn fetch(&self, url: &Url) -> Result<Value, Failed> {
        let answer = self.client.get(url.clone()).send().await.map_err(|error| {
            let why = if error.is_timeout() {
                format!("did not answer within {}", vocab::format_duration(self.timeout))
            } else {
                format!("cannot be reached: {}", chain(&error.without_url()))
            };
            Failed { why, again: true }
        })?;
        let status = answer.status();
        let body = body(answer).await.map_err(|why| Failed { why, again: true })?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|_e| Failed {
                why: "its answer is not JSON: is this the address of a Prometheus?".to_owned(),
                again: false,
            });
        }
        let said = serde_json::from_slice::<Value>(&body).ok();
        let said = said.and_then(|said| Some(excerpt(said.get("error")?.as_str()?)));
        let said = said.map_or_else(String::new, |said| format!(": {said}"));
        let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(Failed { why: format!("answered {status}{said}"), again })
    }
}

async fn body(mut answer: Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_SIZE_MAX => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => return Err("its answer is too long: expected one number".to_owned()),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(format!("broke off: {}", chain(&error.without_url()))),
        }
    }
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

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age are exact")]
fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1_000.0
}

/// The one number of an answer.
fn read(body: &Value, age: Duration) -> Result<f64, String> {
    let data = body.get("data").ok_or("its answer has no data")?;
    let kind = data.get("resultType").and_then(Value::as_str).unwrap_or("nothing");
    let result = data.get("result").ok_or("its answer has no result")?;
    let sample = match kind {
        "scalar" => result,
        "vector" => match result.as_array().map(Vec::as_slice) {
            Some([one]) => one.get("value").ok_or("its answer has a series without a value")?,
            Some([]) | None => {
                let age = vocab::format_duration(age);
                return Err(format!("no series: nothing matches, or nothing newer than {age}"));
            }
            Some(many) => {
                let count = many.len();
                return Err(format!("{count} series: expected one; aggregate them, e.g. sum(...)"));
            }
        },
        other => return Err(format!("answered with a {other}: expected one number")),
    };
    let text = sample.get(1).and_then(Value::as_str).ok_or("its answer has no value")?;
    let value: f64 = match text {
        "NaN" => return Err("NaN: perhaps nothing divided by nothing".to_owned()),
        "+Inf" | "-Inf" | "Inf" => {
            return Err(format!("{text}: perhaps something divided by nothing"));
        }
        text => text.parse().map_err(|_e| format!("`{}` is not a number", excerpt(text)))?,
    };
    if value.is_finite() { Ok(value) } else { Err(format!("{value} is not a number")) }
}

/// A value in the smallest part of its unit.
fn amount(value: f64, unit: Unit) -> Result<u64, String> {
    if value < 0.0 {
        return Err(format!("{value} is negative"));
    }
    let amount = match unit {
        Unit::Rate if value > 1.0 => {
            return Err(format!("{value} is no share: expected 0 to 1"));
        }
        Unit::Rate => value * 1e6,
        Unit::Time => value * 1e3,
        Unit::Count => value,
    };
    whole(amount).ok_or_else(|| format!("{value} is enormous"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the range just checked"
)]
fn whole(value: f64) -> Option<u64> {
    (0.0..=AMOUNT_MAX).contains(&value).then(|| value.round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(data: &Value) -> String {
        read(&json!({ "status": "success", "data": data }), Duration::from_secs(300))
            .map_or_else(|why| why, |value| value.to_string())
    }

    fn vector(values: &[&str]) -> Value {
        let series: Vec<_> =
            values.iter().map(|value| json!({ "metric": {}, "value": [1.5, value] })).collect();
        json!({ "resultType": "vector", "result": series })
    }

    #[test]
    fn one_number_is_an_answer_and_everything_else_is_said() {
        assert_eq!(said(&vector(&["0.25"])), "0.25");
        assert_eq!(said(&json!({ "resultType": "scalar", "result": [1.5, "3"] })), "3");
        for (data, expected) in [
            (vector(&[]), "no series"),
            (vector(&["1", "2"]), "2 series: expected one"),
            (vector(&["NaN"]), "NaN"),
            (vector(&["+Inf"]), "+Inf"),
            (vector(&["-Inf"]), "-Inf"),
            (vector(&["one"]), "`one` is not a number"),
            (json!({ "resultType": "matrix", "result": [] }), "answered with a matrix"),
            (json!({ "resultType": "string", "result": [1.5, "x"] }), "answered with a string"),
            (json!({}), "no result"),
        ] {
            assert!(said(&data).contains(expected), "{data}: {}", said(&data));
        }
        assert!(read(&json!({ "status": "error" }), Duration::ZERO).is_err());
    }

    #[test]
    fn values_are_read_in_the_units_of_prometheus() {
        assert_eq!(amount(0.0125, Unit::Rate), Ok(12_500));
        assert_eq!(amount(1.5, Unit::Time), Ok(1_500));
        assert_eq!(amount(41.7, Unit::Count), Ok(42));
        for (value, unit) in [(-0.1, Unit::Rate), (1.1, Unit::Rate), (1e14, Unit::Count)] {
            assert!(amount(value, unit).is_err(), "{value}");
        }
    }
}
