//! Answers to readers: conditional, and with nothing in them that a browser could be talked into.

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::markup::style_hash;

const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// What a body is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Html,
    Json,
    Atom,
}

impl Kind {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
            Self::Atom => "application/atom+xml; charset=utf-8",
        }
    }
}

/// 200 with the body, or 304 where the reader has it.
pub(super) fn reply(asked: &HeaderMap, kind: Kind, body: String) -> Response<Body> {
    let etag = etag(&body);
    let known = asked.get_all(IF_NONE_MATCH).iter().any(|value| names(value, &etag));
    let mut response =
        if known { Response::new(Body::empty()) } else { Response::new(Body::from(body)) };
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    dress(response.headers_mut(), kind);
    if let Ok(value) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// A page that says why there is nothing.
pub(super) fn refuse(status: StatusCode, kind: Kind, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    dress(response.headers_mut(), kind);
    response
}

fn dress(headers: &mut HeaderMap, kind: Kind) {
    let policy = format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        style_hash()
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    headers.insert(CACHE_CONTROL, ASK_AGAIN); // Ask each time; mostly the answer is 304.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, HeaderValue::from_static("same-origin"));
}

/// The same body, the same etag: on every replica, and after a restart.
fn etag(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

/// Whether a list of etags names one; weak ones count as well (RFC 9110, 13.1.2).
fn names(value: &HeaderValue, etag: &str) -> bool {
    let text = value.to_str().unwrap_or_default();
    text.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_told_so() {
        let first = reply(&HeaderMap::new(), Kind::Json, "{}".to_owned());
        assert_eq!(first.status(), StatusCode::OK);
        let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
            let asked = HeaderMap::from_iter([(IF_NONE_MATCH, known.parse().unwrap())]);
            let again = reply(&asked, Kind::Json, "{}".to_owned());
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            let other = reply(&asked, Kind::Json, "{\"a\":1}".to_owned()).status();
            assert_eq!(other == StatusCode::OK, known != "*");
        }
    }
}
