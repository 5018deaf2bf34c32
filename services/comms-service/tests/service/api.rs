//! The rpcs, and what they refuse.

use contracts::comms as pb;
use contracts::comms::message::State;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::site::Site;

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn an_unknown_message_is_not_found() {
    let site = Site::new().await;
    let mut running = site.start().await;
    let name = "messages/nothing".to_owned();
    let get = pb::GetMessageRequest { name: name.clone() };
    let status = running.client.get_message(get).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "MESSAGE_NOT_FOUND"));
    let redrive = pb::RedriveMessageRequest { name, reason: "why not".to_owned() };
    let status = running.client.redrive_message(redrive).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "MESSAGE_NOT_FOUND"));
}

#[tokio::test]
async fn malformed_requests_are_refused_by_field() {
    let site = Site::new().await;
    let running = site.start().await;
    let mut client = running.client.clone();
    let refused = |status: Status, field: &str| {
        let named = status.get_error_details().bad_request().unwrap().field_violations[0].clone();
        assert_eq!((status.code(), named.field.as_str()), (Code::InvalidArgument, field));
    };
    let watch = pb::WatchMessagesRequest { after_revision: -1 };
    refused(client.watch_messages(watch).await.unwrap_err(), "after_revision");
    let get = pb::GetMessageRequest { name: "rollouts/x".to_owned() };
    refused(client.get_message(get).await.unwrap_err(), "name");
    let name = "messages/x".to_owned();
    let redrive = pb::RedriveMessageRequest { name, reason: String::new() };
    refused(client.redrive_message(redrive).await.unwrap_err(), "reason");
    let list = pb::ListMessagesRequest { state: 99, ..pb::ListMessagesRequest::default() };
    refused(client.list_messages(list).await.unwrap_err(), "state");
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page() {
    let site = Site::new().await;
    let mut running = site.start().await;
    site.create_rollout();
    site.enter_phase("P1");
    running.reaches("mail", State::Sent).await;
    site.pause("a look");
    running.reaches("slack-incidents", State::Sent).await;
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListMessagesRequest {
            page_size: 2,
            page_token,
            rollout: crate::site::ROLLOUT.to_owned(),
            state: State::Unspecified.into(),
        };
        let page = running.client.list_messages(request).await.unwrap().into_inner();
        names.extend(page.messages.into_iter().map(|message| message.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    // Two of the phase and two invitations; of the pause one in Slack and two by mail.
    assert_eq!(names.len(), 7, "{names:?}");
    assert!(names[..3].iter().all(|name| name.contains("rollout-3")), "{names:?}");
    assert!(names[3..].iter().all(|name| name.contains("rollout-2")), "{names:?}");
    let rollout = "rollouts/other".to_owned();
    let request = pb::ListMessagesRequest { rollout, ..pb::ListMessagesRequest::default() };
    let page = running.client.list_messages(request).await.unwrap().into_inner();
    assert!(page.messages.is_empty());
}
