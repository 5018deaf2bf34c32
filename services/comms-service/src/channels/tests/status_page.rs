//! A Statuspage-compatible API, driven.

use std::time::Duration;

use capture::{StatusPage, StatusPageAnswer};
use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use contracts::comms::status_update::{Impact, Status};
use plan::ChannelKind;
use serde_json::json;

use super::{Answer, Channels, doubtful, message, settings};
use crate::secret::Secret;

fn channels(page: &StatusPage, token: &str) -> Channels {
    let mut settings = settings();
    settings.status_page.api_url = page.url();
    settings.status_page.token = Secret::new(token);
    settings.status_page.page_id = "page1".to_owned();
    settings.status_page.component_ids = [("Uploads".to_owned(), "c1".to_owned())].into();
    Channels::new(&settings).unwrap()
}

fn update(name: &str, status: Status) -> pb::Message {
    let update = pb::StatusUpdate {
        incident: "incident-1".to_owned(),
        status: status.into(),
        impact: Impact::Major.into(),
        components: vec!["uploads".to_owned(), "unheard of".to_owned()],
    };
    pb::Message {
        name: format!("messages/{name}"),
        content: Some(Content::StatusUpdate(update)),
        ..message("status-page", "Status page")
    }
}

async fn told(channels: &Channels, message: &pb::Message, first: Option<&str>) -> Answer {
    channels.tell(ChannelKind::StatusPage, message, first).await
}

#[tokio::test]
async fn an_incident_is_opened_once_and_goes_through_its_life() {
    let page = StatusPage::start("page1", "hush").await.unwrap();
    let channels = channels(&page, "hush");
    let first = told(&channels, &update("a", Status::Investigating), None).await;
    assert_eq!((first.outcome, first.receipt.as_str()), (AttemptOutcome::Sent, "inc1"));
    // With its receipt, and without it as after a loss: the same incident.
    told(&channels, &update("b", Status::Identified), Some("inc1")).await;
    told(&channels, &update("c", Status::Resolved), None).await;
    let [incident] = page.incidents().try_into().unwrap_or_else(|all| panic!("one: {all:?}"));
    assert_eq!((&incident["status"], &incident["impact"]), (&json!("resolved"), &json!("major")));
    assert_eq!(incident["components"], json!({"c1": "operational"}));
    assert_eq!(incident["incident_updates"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_may_be_there_is_looked_for_before_it_is_told_again() {
    let page = StatusPage::start("page1", "hush").await.unwrap();
    let channels = channels(&page, "hush");
    let message = update("a", Status::Investigating);
    page.answer_next(StatusPageAnswer::Accept); // It looks, once in each list,
    page.answer_next(StatusPageAnswer::Accept);
    page.answer_next(StatusPageAnswer::FailAfterDoing); // and writes.
    assert_eq!(told(&channels, &message, None).await.outcome, AttemptOutcome::Unknown);
    let again = told(&channels, &doubtful(&message), None).await;
    assert_eq!((again.outcome, again.receipt.as_str()), (AttemptOutcome::Sent, "inc1"));
    let [incident] = page.incidents().try_into().unwrap_or_else(|all| panic!("one: {all:?}"));
    assert_eq!(incident["incident_updates"].as_array().unwrap().len(), 1, "told once");
}

#[tokio::test]
async fn the_page_is_taken_at_its_word() {
    let page = StatusPage::start("page1", "hush").await.unwrap();
    let retry_after = Some(Duration::from_secs(60));
    for (answer, wanted) in [
        (StatusPageAnswer::Limited("60"), AttemptOutcome::Transient { retry_after }),
        (StatusPageAnswer::Status(429), AttemptOutcome::Transient { retry_after: None }),
        (StatusPageAnswer::Status(422), AttemptOutcome::Permanent),
        (StatusPageAnswer::Status(500), AttemptOutcome::Unknown),
    ] {
        let channels = channels(&page, "hush");
        page.answer_next(answer);
        let answer = told(&channels, &update("a", Status::Identified), Some("inc9")).await;
        assert_eq!(answer.outcome, wanted, "{answer:?}");
    }
    let refused = told(&channels(&page, "hush-no"), &update("a", Status::Identified), None).await;
    assert_eq!(refused.outcome, AttemptOutcome::Permanent);
    assert!(!format!("{refused:?}").contains("hush"), "{refused:?}");
}
