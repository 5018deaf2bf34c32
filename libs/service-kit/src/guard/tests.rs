use std::fmt::Write as _;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::subscriber::with_default;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

use super::*;
use crate::access::Access;
use crate::tokens::{TokenEntry, TokenFile, mint};

const LIST: &str = "/softlaunch.flag.v1.FlagService/ListFlags";
const UPDATE: &str = "/softlaunch.flag.v1.FlagService/UpdateFlag";

/// What is said under the target `audit`.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "audit" {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

/// A guard that knows vic, who looks, by the returned token.
fn guard(calls_per_second: u32) -> (Guard, String) {
    let minted = mint().unwrap();
    let entry = TokenEntry {
        id: minted.id,
        sha256: minted.sha256,
        subject: "vic".to_owned(),
        access: vec![Access::Viewer],
        holding: Vec::new(),
        not_before: None,
        expires: None,
        note: String::new(),
    };
    let file = TokenFile { token: vec![entry] };
    let tokens = Followed::start("tokens", Vec::new(), move || file.check()).unwrap();
    (Guard::by(tokens, calls_per_second), minted.secret)
}

fn request(path: &str, authorization: &[&str]) -> Request<Body> {
    let mut request = Request::post(path);
    for value in authorization {
        request = request.header(AUTHORIZATION, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    let address = Some(([192, 0, 2, 1], 4_000).into());
    request.extensions_mut().insert(Peer { address, shown: Shown::Nothing });
    request
}

fn refused(guard: &Guard, path: &str, authorization: &[&str]) -> &'static str {
    match guard.admit(&mut request(path, authorization)) {
        Ok(_) => "let in",
        Err(fault) => fault.reason(),
    }
}

#[tokio::test]
async fn every_refusal_is_said_with_who_what_why_and_from_where_and_no_token() {
    let (guard, token) = guard(0);
    let (heard, bearer) = (Heard::default(), format!("Bearer {token}"));
    with_default(Registry::default().with(heard.clone()), || {
        assert_eq!(refused(&guard, LIST, &[]), "CREDENTIALS_MISSING");
        assert_eq!(refused(&guard, LIST, &[&format!("{bearer}x")]), "TOKEN_UNKNOWN");
        assert_eq!(refused(&guard, UPDATE, &[&bearer]), "ROLE_MISSING");
        assert_eq!(refused(&guard, "/made/up", &[&bearer]), "METHOD_UNKNOWN");
        assert_eq!(refused(&guard, LIST, &[&bearer]), "let in");
    });
    let said = heard.0.lock().unwrap().clone();
    assert_eq!(said.len(), 4, "{said:?}");
    let wanted = [
        ["somebody", LIST, "CREDENTIALS_MISSING"],
        ["somebody", LIST, "TOKEN_UNKNOWN"],
        ["vic (token ", UPDATE, "ROLE_MISSING"],
        ["vic (token ", "/made/up", "METHOD_UNKNOWN"],
    ];
    for (line, words) in said.iter().zip(wanted) {
        assert!(words.iter().all(|word| line.contains(word)), "{line}");
        assert!(line.contains("192.0.2.1:4000"), "{line}");
        let secret = token.rsplit('_').next().unwrap();
        assert!(!line.contains(secret), "{line}");
    }
}

#[tokio::test]
async fn whoever_is_let_in_is_known_behind_the_guard_and_the_token_stays_before_it() {
    let (guard, token) = guard(0);
    let mut request = request(LIST, &[&format!("Bearer {token}")]);
    guard.admit(&mut request).unwrap();
    assert!(request.headers().get(AUTHORIZATION).is_none());
    let Some(Caller::Holder(principal)) = request.extensions().get::<Caller>() else {
        panic!("nobody is known");
    };
    assert_eq!((&*principal.actor.subject, principal.actor.authenticated), ("vic", true));
}

#[tokio::test]
async fn two_tokens_are_none() {
    let (guard, token) = guard(0);
    let bearer = format!("Bearer {token}");
    assert_eq!(refused(&guard, LIST, &[&bearer, &bearer]), "TOKEN_UNKNOWN");
}

#[tokio::test]
async fn a_token_that_is_wrong_is_refused_however_good_the_certificate() {
    let (guard, _) = guard(0);
    let mut request = request("/softlaunch.flag.v1.FlagService/ApplyRolloutStep", &["Bearer x"]);
    let shown = Shown::Service(Noun::Rollout);
    request.extensions_mut().insert(Peer { address: None, shown: shown.clone() });
    assert_eq!(guard.admit(&mut request).err().unwrap().reason(), "TOKEN_UNKNOWN");
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(Peer { address: None, shown });
    assert!(guard.admit(&mut request).unwrap().is_none(), "a certificate needs no second look");
}

#[tokio::test]
async fn a_rate_is_counted_for_what_was_let_in_only() {
    let (guard, token) = guard(1);
    let bearer = format!("Bearer {token}");
    assert_eq!(refused(&guard, UPDATE, &[&bearer]), "ROLE_MISSING");
    assert_eq!(refused(&guard, LIST, &[&bearer]), "let in");
    assert_eq!(refused(&guard, LIST, &[&bearer]), "RATE_LIMITED");
}
