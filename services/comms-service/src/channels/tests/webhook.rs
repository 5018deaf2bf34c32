//! Webhooks: signed so that others can verify them, and sent nowhere they must not go.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use comms_core::AttemptOutcome;
use plan::ChannelKind;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::peers::read_by;
use super::{Answer, Channels, message, settings};
use crate::secret::Secret;
use crate::settings::WebhookSettings;

const ID: &str = "audit";
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD1234abcd";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What came in: headers and body.
type Came = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A receiver that answers with a status, where 2xx means that it keeps what came.
async fn receiver(status: u16) -> (u16, Came) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Came::default();
    let kept = Arc::clone(&came);
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let body = String::from_utf8(body.to_vec()).unwrap();
        kept.lock().unwrap().push((headers, body));
        let status = StatusCode::from_u16(status).unwrap();
        // Round and round, if anybody followed it.
        (status, [(header::LOCATION, "/hook")], "x".repeat(64 * 1024)).into_response() as Response
    };
    let router = Router::new().route("/hook", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, came)
}

fn channels(url: &str, networks: &[&str]) -> Channels {
    let mut settings = settings();
    let webhook = WebhookSettings {
        url: Secret::new(url),
        secrets: vec![Secret::new(NEW), Secret::new(OLD)],
        allow_networks: networks.iter().map(|one| (*one).to_owned()).collect(),
    };
    settings.webhooks.insert(ID.to_owned(), webhook);
    Channels::new(&settings).unwrap()
}

async fn told(channels: &Channels) -> Answer {
    channels.tell(ChannelKind::Webhook, &message(ID, "https://example.com"), None).await
}

#[tokio::test]
async fn others_verify_what_we_sign_with_the_old_key_and_the_new() {
    let (port, came) = receiver(204).await;
    let channels = channels(&format!("http://127.0.0.1:{port}/hook"), &["127.0.0.0/8"]);
    for _attempt in 0..2 {
        assert_eq!(told(&channels).await.outcome, AttemptOutcome::Sent);
    }
    let came = came.lock().unwrap().clone();
    let id = |place: usize| came[place].0["webhook-id"].clone();
    assert_eq!(id(0), id(1), "the same message, the same id");
    let (headers, body) = &came[0];
    let headers: Json = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let given = json!({"secrets": [OLD, NEW, OTHER], "headers": headers, "body": body});
    let Some(read) = read_by("webhook", &given.to_string()).await else { return };
    assert_eq!(read["verdicts"], json!(["good", "good", "No matching signature found"]));
    let forged = json!({"secrets": [OLD], "headers": headers, "body": body.replace("P1", "P2")});
    let read = read_by("webhook", &forged.to_string()).await.unwrap();
    assert_eq!(read["verdicts"], json!(["No matching signature found"]));
    let read = read_by("cloudevent", &given.to_string()).await.unwrap();
    assert_eq!(read["type"], "dev.softlaunch.comms.phase-start");
    assert_eq!(read["time"], "2026-11-26T19:00:00+00:00");
    assert_eq!(read["data"]["subject"], "P1 has started");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again_and_a_redirect_is_not_followed() {
    let (port, came) = receiver(410).await;
    let url = format!("http://127.0.0.1:{port}/hook");
    let gone = channels(&url, &["127.0.0.0/8"]);
    for _attempt in 0..3 {
        assert_eq!(told(&gone).await.outcome, AttemptOutcome::Permanent);
    }
    assert_eq!(came.lock().unwrap().len(), 1);
    for status in [301, 302, 307, 308] {
        let (port, came) = receiver(status).await;
        let channels = channels(&format!("http://127.0.0.1:{port}/hook"), &["127.0.0.0/8"]);
        let answer = told(&channels).await;
        assert_eq!(answer.outcome, AttemptOutcome::Permanent, "{answer:?}");
        assert_eq!(came.lock().unwrap().len(), 1, "{status} was followed");
    }
}

#[tokio::test]
async fn a_name_that_stands_for_a_forbidden_network_is_not_connected_to() {
    let (port, came) = receiver(204).await;
    // Plain http needs the network named; https needs it named where it is not public.
    for url in [format!("http://localhost:{port}/hook"), format!("https://localhost:{port}/hook")] {
        let answer = told(&channels(&url, &["10.0.0.0/8"])).await;
        assert_eq!(answer.outcome, AttemptOutcome::Permanent, "{answer:?}");
        assert!(answer.detail.contains("is not connected to"), "{answer:?}");
    }
    assert!(came.lock().unwrap().is_empty());
    let allowed = channels(&format!("http://localhost:{port}/hook"), &["127.0.0.0/8"]);
    assert_eq!(told(&allowed).await.outcome, AttemptOutcome::Sent);
}

#[tokio::test]
async fn an_address_in_a_forbidden_network_is_refused_at_start_without_its_secret() {
    let mut settings = settings();
    let url = Secret::new("http://169.254.169.254/hush");
    let secrets = vec![Secret::new(NEW)];
    let webhook = WebhookSettings { url, secrets, ..WebhookSettings::default() };
    settings.webhooks.insert(ID.to_owned(), webhook);
    let why = Channels::new(&settings).unwrap_err().to_string();
    assert!(why.contains("webhooks.audit.allow_networks"), "{why}");
    assert!(!why.contains("hush"), "{why}");
}
