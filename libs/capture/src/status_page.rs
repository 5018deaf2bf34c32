//! A receiver that speaks the part of Statuspage's API that keeps incidents.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch};
use axum::{Json as Body, Router};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::inbox::Inbox;

const STATUSES: [&str; 4] = ["investigating", "identified", "monitoring", "resolved"];
const IMPACTS: [&str; 4] = ["none", "minor", "major", "critical"];

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusPageAnswer {
    /// As Statuspage would.
    Accept,
    /// This status, and nothing done.
    Status(u16),
    /// 420 with this `Retry-After`.
    Limited(&'static str),
    /// Does what is asked, and says 500.
    FailAfterDoing,
}

#[derive(Debug)]
struct Kept {
    token: String,
    page: String,
    incidents: Mutex<Vec<Json>>,
    inbox: Inbox<String, StatusPageAnswer>,
}

/// A Statuspage-compatible API on a loopback port of its own, until it is dropped.
#[derive(Debug)]
pub struct StatusPage {
    address: SocketAddr,
    kept: Arc<Kept>,
    serving: AbortHandle,
}

impl StatusPage {
    /// Starts on a free port with one page.
    ///
    /// # Errors
    /// Fails where no port can be bound.
    pub async fn start(page: &str, token: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let kept = Arc::new(Kept {
            token: token.to_owned(),
            page: page.to_owned(),
            incidents: Mutex::default(),
            inbox: Inbox::new(StatusPageAnswer::Accept),
        });
        let router = Router::new()
            .route("/v1/pages/{page}/incidents", get(list).post(create))
            .route("/v1/pages/{page}/incidents/unresolved", get(unresolved))
            .route("/v1/pages/{page}/incidents/{incident}", patch(update))
            .with_state(Arc::clone(&kept));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, kept, serving: serving.abort_handle() })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next call so, once.
    pub fn answer_next(&self, answer: StatusPageAnswer) {
        self.kept.inbox.answer_next(answer);
    }

    /// The incidents as Statuspage would show them, oldest first.
    #[must_use]
    pub fn incidents(&self) -> Vec<Json> {
        self.kept.incidents().clone()
    }

    /// The calls that were made, e.g. `POST`, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.kept.inbox.kept()
    }
}

impl Drop for StatusPage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Kept {
    fn incidents(&self) -> MutexGuard<'_, Vec<Json>> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks who asks and for what, then does it as told.
    fn answer(
        &self,
        call: &str,
        page: &str,
        headers: &HeaderMap,
        act: impl FnOnce() -> Result<(StatusCode, Json), StatusCode>,
    ) -> Response {
        self.inbox.keep(call.to_owned());
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let done = || {
            if sent != Some(&format!("OAuth {}", self.token)) {
                return Err(StatusCode::UNAUTHORIZED);
            }
            if page != self.page { Err(StatusCode::NOT_FOUND) } else { act() }
        };
        match self.inbox.decide() {
            StatusPageAnswer::Accept => match done() {
                Ok((status, body)) => (status, Body(body)).into_response(),
                Err(status) => (status, Body(json!({"error": status.as_str()}))).into_response(),
            },
            StatusPageAnswer::Status(status) => {
                StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY).into_response()
            }
            StatusPageAnswer::Limited(after) => {
                let status = StatusCode::from_u16(420).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
                (status, [(header::RETRY_AFTER, after)]).into_response()
            }
            StatusPageAnswer::FailAfterDoing => {
                drop(done());
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

async fn list(
    State(kept): State<Arc<Kept>>,
    Path(page): Path<String>,
    headers: HeaderMap,
) -> Response {
    kept.answer("GET", &page, &headers, || Ok((StatusCode::OK, json!(*kept.incidents()))))
}

async fn unresolved(
    State(kept): State<Arc<Kept>>,
    Path(page): Path<String>,
    headers: HeaderMap,
) -> Response {
    kept.answer("GET unresolved", &page, &headers, || {
        let all = kept.incidents();
        let open: Vec<_> = all.iter().filter(|one| one["status"] != "resolved").collect();
        Ok((StatusCode::OK, json!(open)))
    })
}

async fn create(
    State(kept): State<Arc<Kept>>,
    Path(page): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    kept.answer("POST", &page, &headers, || {
        let asked = checked(&body)?;
        let mut all = kept.incidents();
        let mut incident = json!({"id": format!("inc{}", all.len() + 1), "incident_updates": []});
        apply(&mut incident, &asked);
        all.push(incident.clone());
        Ok((StatusCode::CREATED, incident))
    })
}

async fn update(
    State(kept): State<Arc<Kept>>,
    Path((page, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    kept.answer("PATCH", &page, &headers, || {
        let asked = checked(&body)?;
        let mut all = kept.incidents();
        let known = all.iter_mut().find(|one| one["id"] == id.as_str());
        let incident = known.ok_or(StatusCode::NOT_FOUND)?;
        apply(incident, &asked);
        Ok((StatusCode::OK, incident.clone()))
    })
}

/// What Statuspage asks of an incident; 422 where it is something else.
fn checked(body: &[u8]) -> Result<Json, StatusCode> {
    let body: Json = serde_json::from_slice(body).map_err(|_e| StatusCode::BAD_REQUEST)?;
    let incident = &body["incident"];
    let one_of = |field: &str, known: &[&str]| {
        incident[field].as_str().is_some_and(|word| known.contains(&word))
    };
    let named = incident["name"].as_str().is_some_and(|name| !name.is_empty());
    let metadata = incident["metadata"].as_object();
    let nested = metadata.is_none_or(|fields| fields.values().all(Json::is_object));
    let fits =
        named && nested && one_of("status", &STATUSES) && one_of("impact_override", &IMPACTS);
    if fits { Ok(incident.clone()) } else { Err(StatusCode::UNPROCESSABLE_ENTITY) }
}

fn apply(incident: &mut Json, asked: &Json) {
    for field in ["name", "status", "metadata", "components"] {
        if !asked[field].is_null() {
            incident[field] = asked[field].clone();
        }
    }
    incident["impact"] = asked["impact_override"].clone();
    if let Some(updates) = incident["incident_updates"].as_array_mut() {
        updates.insert(0, json!({"status": asked["status"], "body": asked["body"]}));
    }
}
