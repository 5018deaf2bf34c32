//! What a call brings: a token, and arguments in one of the three ways that Slack takes.

use axum::http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json, json};

use super::{Refusal, TOKEN};

/// Checks the token, in the header or among the arguments.
pub(super) fn bearer(headers: &HeaderMap, uri: &Uri, body: &[u8]) -> Result<(), Refusal> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = match header.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) => token.to_owned(),
        None => {
            let arguments = arguments(headers, uri, body)?;
            arguments["token"].as_str().ok_or("not_authed")?.to_owned()
        }
    };
    if token == TOKEN { Ok(()) } else { Err("invalid_auth") }
}

/// The arguments: of the query, and of a body that is JSON or a form.
pub(super) fn arguments(headers: &HeaderMap, uri: &Uri, body: &[u8]) -> Result<Json, Refusal> {
    let mut all = form(uri.query().unwrap_or_default());
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default();
    if kind.starts_with("application/json") {
        let Ok(Json::Object(fields)) = serde_json::from_slice(body) else {
            return Err("invalid_json");
        };
        all.extend(fields);
    } else if kind.starts_with("application/x-www-form-urlencoded") {
        all.extend(form(std::str::from_utf8(body).map_err(|_e| "invalid_form_data")?));
    } else if !body.is_empty() {
        return Err("invalid_post_type");
    }
    Ok(Json::Object(all))
}

fn form(text: &str) -> Map<String, Json> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), json!(decoded(value)))).collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_call_without_the_token_is_refused_in_slacks_words() {
        let uri = Uri::from_static("/api/auth.test");
        let with = |token: &str| headers(&[(header::AUTHORIZATION, token)]);
        assert_eq!(bearer(&HeaderMap::new(), &uri, b""), Err("not_authed"));
        assert_eq!(bearer(&with("Bearer xoxb-other"), &uri, b""), Err("invalid_auth"));
        assert_eq!(bearer(&with(&format!("Bearer {TOKEN}")), &uri, b""), Ok(()));
    }

    #[test]
    fn arguments_come_in_three_ways_and_no_fourth() {
        let uri = Uri::from_static("/api/x?channel=C1&cursor=a%20b");
        let json = headers(&[(header::CONTENT_TYPE, "application/json; charset=utf-8")]);
        let read = arguments(&json, &uri, br#"{"text":"x"}"#).unwrap();
        assert_eq!(read, json!({"channel": "C1", "cursor": "a b", "text": "x"}));
        let form = headers(&[(header::CONTENT_TYPE, "application/x-www-form-urlencoded")]);
        assert_eq!(arguments(&form, &uri, b"text=a+b").unwrap()["text"], "a b");
        assert_eq!(arguments(&json, &uri, b"text=a"), Err("invalid_json"));
        assert_eq!(arguments(&HeaderMap::new(), &uri, b"text=a"), Err("invalid_post_type"));
    }
}
