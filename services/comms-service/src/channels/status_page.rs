//! The client of a Statuspage-compatible API.

use std::collections::BTreeMap;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use contracts::comms::status_update::{Impact, Status};
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::channels::http::{self, Said};
use crate::channels::pace::Pace;
use crate::channels::{Answer, Outbound, id};
use crate::secret::Secret;
use crate::settings::StatusPageSettings;

const ANSWER_SIZE_MAX: usize = 2 * 1024 * 1024; // A list of incidents with all their updates.
const PER_SECOND: u32 = 1; // Statuspage's documented limit, for each token.
const OURS: &str = "softlaunch"; // Where in an incident's metadata we say which it is.
const TEXT_LENGTH_MAX: usize = 20_000;
const NAME_LENGTH_MAX: usize = 200;

/// A page on a Statuspage-compatible server.
#[derive(Debug)]
pub(crate) struct StatusPage {
    client: Client,
    incidents: Url,
    token: Secret,
    /// By name, in lower case.
    component_ids: BTreeMap<String, String>,
    pace: Pace,
}

#[derive(Debug, Deserialize)]
struct Incident {
    id: String,
    #[serde(default)]
    metadata: Json,
}

impl StatusPage {
    /// Checks the settings. The token is a secret: what is wrong is said without it.
    pub(crate) fn new(settings: &StatusPageSettings) -> Result<Self, String> {
        let base = http::checked(&settings.api_url, "https://api.statuspage.io")
            .map_err(|why| format!("api_url: {why}"))?;
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if settings.page_id.is_empty() || !settings.page_id.chars().all(fits) {
            let shown = vocab::excerpt(&settings.page_id);
            return Err(format!("page_id: `{shown}` is no id such as kctbh9vrtdwd"));
        }
        if settings.token.is_empty()
            || !settings.token.reveal().chars().all(|c| c.is_ascii_graphic())
        {
            return Err("token: expected a token".to_owned());
        }
        let mut incidents = base.clone();
        let path = base.path().trim_end_matches('/');
        incidents.set_path(&format!("{path}/v1/pages/{}/incidents", settings.page_id));
        let ids = settings.component_ids.iter();
        let component_ids = ids.map(|(name, id)| (name.to_lowercase(), id.clone())).collect();
        let client = http::client(&incidents, None)?;
        let (token, pace) = (settings.token.clone(), Pace::new(PER_SECOND));
        Ok(Self { client, incidents, token, component_ids, pace })
    }

    pub(crate) async fn send(&self, outbound: Outbound<'_>) -> Answer {
        let message = outbound.message;
        let update = match &message.content {
            Some(Content::StatusUpdate(update)) => update.clone(),
            Some(_) | None => pb::StatusUpdate::default(),
        };
        let answer = match self.tell(&update, outbound).await {
            Ok(answer) | Err(answer) => answer,
        };
        self.pace.heed(&answer);
        answer
    }

    async fn tell(
        &self,
        update: &pb::StatusUpdate,
        outbound: Outbound<'_>,
    ) -> Result<Answer, Answer> {
        let message = outbound.message;
        let key = if update.incident.is_empty() { id(message) } else { &update.incident };
        let may_be_there = outbound.may_be_there();
        let mut known = outbound.first_receipt.filter(|_| !may_be_there).map(str::to_owned);
        if may_be_there || known.is_none() {
            let found = self.find(key).await?;
            if let Some(incident) = &found
                && incident.metadata[OURS]["message"] == message.name.as_str()
            {
                let detail = "found on the page: an earlier attempt has told it";
                return Ok(sent(detail, incident.id.clone()));
            }
            known = found.map(|incident| incident.id);
        }
        let body = self.body(update, key, message);
        let Some(incident) = known else { return self.put(Method::POST, None, &body).await };
        match self.put(Method::PATCH, Some(&incident), &body).await {
            // Somebody has removed it: it is told anew.
            Err(gone) if gone.detail.starts_with("404") => {
                self.put(Method::POST, None, &body).await
            }
            told => told,
        }
    }

    /// The newest incident with our key: among the unresolved, then among all on the first page.
    async fn find(&self, key: &str) -> Result<Option<Incident>, Answer> {
        for rest in ["/unresolved", ""] {
            let said = self.ask(self.request(Method::GET, rest)).await?;
            if said.status != StatusCode::OK {
                return Err(refused(&said, false));
            }
            let incidents: Vec<Incident> = serde_json::from_str(&said.text)
                .map_err(|_e| Answer::transient("a list of incidents that cannot be read"))?;
            let ours = |one: &Incident| one.metadata[OURS]["incident"] == key;
            if let Some(found) = incidents.into_iter().find(ours) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn put(
        &self,
        method: Method,
        incident: Option<&str>,
        body: &Json,
    ) -> Result<Answer, Answer> {
        let rest = incident.map(|id| format!("/{id}")).unwrap_or_default();
        let said = self.ask(self.request(method, &rest).json(body)).await?;
        if !said.status.is_success() {
            return Err(refused(&said, true));
        }
        let detail = said.status.as_u16().to_string();
        match serde_json::from_str::<Incident>(&said.text) {
            Ok(incident) => Ok(sent(&detail, incident.id)),
            Err(_) => {
                Err(Answer::unknown(&format!("{detail}: an answer that is not Statuspage's")))
            }
        }
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Said, Answer> {
        self.pace.turn().await?;
        http::ask(request, ANSWER_SIZE_MAX).await
    }

    fn request(&self, method: Method, rest: &str) -> RequestBuilder {
        let mut url = self.incidents.clone();
        url.set_path(&format!("{}{rest}", self.incidents.path()));
        let request = self.client.request(method, url);
        request.header(AUTHORIZATION, format!("OAuth {}", self.token.reveal()))
    }

    fn body(&self, update: &pb::StatusUpdate, key: &str, message: &pb::Message) -> Json {
        let is_over = update.status() == Status::Resolved;
        let state = if is_over { "operational" } else { component_state(update.impact()) };
        let ids = update
            .components
            .iter()
            .filter_map(|name| self.component_ids.get(&name.to_lowercase()));
        let components: BTreeMap<_, _> = ids.map(|id| (id, state)).collect();
        let mut incident = json!({
            "name": cut(&message.subject, NAME_LENGTH_MAX),
            "status": status_name(update.status()),
            "impact_override": impact_name(update.impact()),
            "body": cut(&message.body, TEXT_LENGTH_MAX),
            "deliver_notifications": !message.test,
            "metadata": {OURS: {"incident": key, "message": message.name}},
        });
        if !components.is_empty() {
            incident["component_ids"] = json!(components.keys().collect::<Vec<_>>());
            incident["components"] = json!(components);
        }
        json!({"incident": incident})
    }
}

fn sent(detail: &str, receipt: String) -> Answer {
    Answer { receipt, ..Answer::new(AttemptOutcome::Sent, detail) }
}

/// 420 is Statuspage's own word for 429. After a 5xx nobody knows whether it was written.
fn refused(said: &Said, wrote: bool) -> Answer {
    match said.status.as_u16() {
        408 | 420 | 429 | 503 => said.transient(),
        500.. if wrote => said.unknown(),
        500.. => said.transient(),
        _ => said.permanent(),
    }
}

fn cut(text: &str, length_max: usize) -> String {
    if text.chars().nth(length_max).is_none() {
        return text.to_owned();
    }
    text.chars().take(length_max - 1).chain(['…']).collect()
}

/// As Statuspage calls it.
pub(crate) const fn status_name(status: Status) -> &'static str {
    match status {
        Status::Unspecified | Status::Investigating => "investigating",
        Status::Identified => "identified",
        Status::Monitoring => "monitoring",
        Status::Resolved => "resolved",
    }
}

/// As Statuspage calls it.
pub(crate) const fn impact_name(impact: Impact) -> &'static str {
    match impact {
        Impact::None => "none",
        Impact::Unspecified | Impact::Minor => "minor",
        Impact::Major => "major",
        Impact::Critical => "critical",
    }
}

/// How a component stands under an incident, as Statuspage calls it.
pub(crate) const fn component_state(impact: Impact) -> &'static str {
    match impact {
        Impact::None => "operational",
        Impact::Unspecified | Impact::Minor => "degraded_performance",
        Impact::Major => "partial_outage",
        Impact::Critical => "major_outage",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_answer_has_its_outcome() {
        let outcome = |status, wrote| {
            let status = StatusCode::from_u16(status).unwrap();
            refused(&Said { status, retry_after: None, text: String::new() }, wrote).outcome
        };
        let transient = AttemptOutcome::Transient { retry_after: None };
        for status in [420, 429, 503] {
            assert_eq!(outcome(status, true), transient, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 422] {
            assert_eq!(outcome(status, true), AttemptOutcome::Permanent, "{status}");
        }
        assert_eq!((outcome(500, true), outcome(502, false)), (AttemptOutcome::Unknown, transient));
    }

    #[test]
    fn what_is_half_set_is_refused_without_its_secret() {
        let whole = StatusPageSettings {
            api_url: "https://api.example.com".to_owned(),
            token: Secret::new("hush"),
            page_id: "abc".to_owned(),
            ..StatusPageSettings::default()
        };
        assert!(!format!("{:?}", StatusPage::new(&whole).unwrap()).contains("hush"));
        for (settings, wanted) in [
            (StatusPageSettings { page_id: "a/b".to_owned(), ..whole.clone() }, "page_id"),
            (StatusPageSettings { token: Secret::new("hush\r\n"), ..whole.clone() }, "token"),
            (StatusPageSettings { api_url: "hush".to_owned(), ..whole }, "api_url"),
        ] {
            let why = StatusPage::new(&settings).unwrap_err();
            assert!(why.starts_with(wanted) && !why.contains("hush"), "{why}");
        }
    }
}
