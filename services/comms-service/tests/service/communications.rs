//! Whether everybody has been told who must be.

use capture::{MailAnswer, SlackAnswer};
use contracts::comms as pb;
use contracts::comms::communication::State as Told;
use contracts::comms::message::State;
use contracts::rollout as ro;
use contracts::rollout::rollout_event::Kind;
use service_kit::identity::claim;
use test_kit::eventually;
use tonic::{Code, IntoRequest, Request};
use tonic_types::StatusExt as _;
use vocab::Role;

use crate::site::{ROLLOUT, Running, Site, within};

impl Running {
    async fn communications(&self) -> Vec<pb::Communication> {
        let request = pb::ListCommunicationsRequest::default();
        self.client.clone().list_communications(request).await.unwrap().into_inner().communications
    }

    /// Waits for the newest communication of an event to come to a state.
    async fn comes_to(&self, event: &str, state: Told) -> pb::Communication {
        eventually(&format!("{event} is {state:?}"), async || {
            let all = self.communications().await;
            all.into_iter().find(|one| one.event == event).filter(|one| one.state() == state)
        })
        .await
    }
}

/// A request of somebody in the plan.
fn as_lead<T>(request: T) -> Request<T> {
    let mut request = request.into_request();
    let role = Role::new("engineering_lead").unwrap();
    claim(request.metadata_mut(), "ada", &[role]).unwrap();
    request
}

#[tokio::test]
async fn a_communication_is_complete_once_every_message_of_it_was_sent() {
    let site = Site::new().await;
    site.mail.answer_next(MailAnswer::Greylist);
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    let complete = running.comes_to("phase-start", Told::Complete).await;
    assert_eq!((complete.message_count, complete.sent_count), (2, 2));
    assert_eq!((complete.phase_id.as_str(), complete.rollout.as_str()), ("P4", ROLLOUT));
    assert!(complete.complete_time.is_some() && complete.detail.is_empty(), "{complete:?}");
}

#[tokio::test]
async fn one_that_cannot_be_told_is_incomplete_alerted_and_complete_after_a_redrive() {
    let site = Site::new().await;
    site.engineering.answer_always(SlackAnswer::Gone);
    let mut running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    let incomplete = running.comes_to("phase-start", Told::Incomplete).await;
    assert!(incomplete.detail.contains("#engineering in slack-engineering: 404"), "{incomplete:?}");
    let posts = within("an alert is posted", site.incidents.wait_for(1)).await;
    assert!(posts[0].text.contains("not everybody has been told: phase-start"), "{posts:?}");
    site.engineering.answer_always(SlackAnswer::Accept);
    let request = pb::RedriveMessagesRequest {
        channel: "slack-engineering".to_owned(),
        reason: "made again".to_owned(),
        ..pb::RedriveMessagesRequest::default()
    };
    let dry = pb::RedriveMessagesRequest { validate_only: true, ..request.clone() };
    let counted = running.client.redrive_messages(dry).await.unwrap().into_inner();
    assert_eq!(counted.message_count, 1);
    assert_eq!(running.list(State::Dead).await.len(), 1, "a dry run changes nothing");
    let redriven = running.client.redrive_messages(request).await.unwrap().into_inner();
    assert_eq!(redriven.message_count, 1);
    running.comes_to("phase-start", Told::Complete).await;
}

#[tokio::test]
async fn a_refused_incident_is_told_where_the_plan_falls_back_to() {
    let site = Site::new().await;
    site.incidents.answer_always(SlackAnswer::Gone);
    let plan =
        plan::SHIPPED.replace("channels: [slack-incidents, mail]", "channels: [slack-incidents]");
    *site.fakes.plan.lock().unwrap() = plan;
    let running = site.start().await;
    site.create_rollout();
    site.pause("a look");
    let complete = running.comes_to("incident", Told::Complete).await;
    assert_eq!((complete.message_count, complete.sent_count), (1, 1));
    let all = running.list(State::Sent).await;
    let instead: Vec<_> = all.iter().filter(|one| !one.fallback_for.is_empty()).collect();
    assert_eq!(instead.len(), 2, "{all:?}");
    assert!(instead.iter().all(|one| one.channel == "mail"), "{instead:?}");
}

#[tokio::test]
async fn a_watcher_sees_communications_on_every_change_from_its_cursor_on() {
    let site = Site::new().await;
    let running = site.start().await;
    let mut client = running.client.clone();
    let request = pb::WatchCommunicationsRequest::default();
    let mut stream = client.watch_communications(request).await.unwrap().into_inner();
    site.create_rollout();
    site.enter_phase("P4");
    let mut states = Vec::new();
    let mut revision = 0;
    while states.last() != Some(&Told::Complete) {
        let next = within("it changes", stream.message()).await.unwrap().unwrap();
        let communication = next.communication.unwrap();
        assert!(communication.revision > revision);
        revision = communication.revision;
        states.push(communication.state());
    }
    assert!(states[..states.len() - 1].iter().all(|state| *state == Told::Pending), "{states:?}");
    let after = pb::WatchCommunicationsRequest { after_revision: revision };
    let mut later = client.watch_communications(after).await.unwrap().into_inner();
    site.pause("a look");
    let next = within("it goes on", later.message()).await.unwrap().unwrap();
    assert_eq!(next.communication.unwrap().event, "incident");
}

#[tokio::test]
async fn a_rollback_overtakes_what_was_not_sent_yet() {
    let site = Site::new().await;
    site.engineering.answer_always(SlackAnswer::RateLimited(30));
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P2");
    within("Slack was tried", site.engineering.wait_for_attempts(1)).await;
    running.reaches("slack-engineering", State::Pending).await;
    site.happens(Kind::RollbackStarted(ro::RollbackStarted {
        from_phase_id: "P2".to_owned(),
        to_phase_id: "P1".to_owned(),
        ..ro::RollbackStarted::default()
    }));
    let cancelled = running.reaches("slack-engineering", State::Cancelled).await;
    assert_eq!(cancelled.state_reason, "P2 was left by a rollback");
    running.comes_to("rollback-notice", Told::Complete).await;
}

#[tokio::test]
async fn canaries_are_invited_before_their_phase_and_it_can_be_seen_that_they_were() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P0");
    for role in ["engineering_lead", "product_manager"] {
        let role = role.to_owned();
        site.happens(Kind::GateApproved(ro::GateApproved { role, ..ro::GateApproved::default() }));
    }
    let told = running.comes_to("canary-invitation", Told::Complete).await;
    assert_eq!((told.message_count, told.phase_id.as_str()), (2, "P0"));
}

#[tokio::test]
async fn canaries_invited_by_hand_are_not_invited_again_by_the_approvals() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P0");
    running.comes_to("phase-start", Told::Complete).await;
    let request = pb::SendCommunicationRequest {
        rollout: ROLLOUT.to_owned(),
        event: "canary-invitation".to_owned(),
        reason: "they have been chosen".to_owned(),
        request_id: String::new(),
    };
    running.client.clone().send_communication(as_lead(request)).await.unwrap();
    running.comes_to("canary-invitation", Told::Complete).await;
    for role in ["engineering_lead", "product_manager"] {
        let role = role.to_owned();
        site.happens(Kind::GateApproved(ro::GateApproved { role, ..ro::GateApproved::default() }));
    }
    // Read after the approvals: by then they have been answered.
    site.pause("a look");
    running.comes_to("incident", Told::Complete).await;
    let all = running.communications().await;
    assert_eq!(all.iter().filter(|one| one.event == "canary-invitation").count(), 1);
}

#[tokio::test]
async fn that_an_alert_was_not_told_raises_no_further_alert() {
    // Given channels of which none takes anything
    let site = Site::new().await;
    site.engineering.answer_always(SlackAnswer::Gone);
    site.incidents.answer_always(SlackAnswer::Gone);
    site.mail.answer_always(MailAnswer::Reject);
    let running = site.start().await;
    site.create_rollout();

    // When something cannot be told to anybody, nor that it could not
    site.enter_phase("P0");
    let alerts = async || {
        let all = running.communications().await;
        let alerts = all.into_iter().filter(|one| one.name.contains("/alert."));
        alerts.collect::<Vec<_>>()
    };
    let first = eventually("the alerts to be given up", async || {
        let alerts = alerts().await;
        let given_up = alerts.iter().all(|one| one.state() == Told::Incomplete);
        (!alerts.is_empty() && given_up).then_some(alerts.len())
    })
    .await;

    // Then that is the end of it: what is alerted of next is what happens next
    site.pause("a look");
    let all = eventually("the pause to be alerted of", async || {
        Some(alerts().await).filter(|alerts| alerts.len() > first)
    })
    .await;
    assert!(all.iter().all(|one| !one.name.contains("alert.alert")), "{all:?}");
}

#[tokio::test]
async fn what_a_person_asks_for_is_told_once_for_one_request_and_only_to_whom_the_plan_knows() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    running.comes_to("phase-start", Told::Complete).await;
    let request = pb::SendCommunicationRequest {
        rollout: ROLLOUT.to_owned(),
        event: "ga-declaration".to_owned(),
        reason: "asked to".to_owned(),
        request_id: "0d9b5a35-9d1c-4a57-8a3c-b1f1ec1f2c11".to_owned(),
    };
    let mut client = running.client.clone();
    let stranger = client.send_communication(request.clone()).await.unwrap_err();
    assert_eq!(stranger.code(), Code::PermissionDenied);
    let made = client.send_communication(as_lead(request.clone())).await.unwrap().into_inner();
    let again = client.send_communication(as_lead(request.clone())).await.unwrap().into_inner();
    assert_eq!(made.name, again.name);
    running.comes_to("ga-declaration", Told::Complete).await;
    let told = running.communications().await;
    assert_eq!(told.iter().filter(|one| one.event == "ga-declaration").count(), 1);
    let unknown = pb::SendCommunicationRequest { event: "x".to_owned(), ..request };
    let unknown = pb::SendCommunicationRequest { request_id: String::new(), ..unknown };
    let status = client.send_communication(as_lead(unknown)).await.unwrap_err();
    let reason = status.get_error_details().error_info().unwrap().reason.clone();
    assert_eq!((status.code(), reason.as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));
}

#[tokio::test]
async fn a_preview_shows_what_would_be_sent_and_sends_nothing() {
    let site = Site::new().await;
    let running = site.start().await;
    let request = pb::PreviewMessageRequest {
        plan_source: plan::SHIPPED.as_bytes().to_vec(),
        event: "ga-announcement".to_owned(),
        ..pb::PreviewMessageRequest::default()
    };
    let mut client = running.client.clone();
    let shown = client.preview_message(request.clone()).await.unwrap().into_inner();
    let blog = shown.messages.iter().find(|one| one.channel == "blog").unwrap();
    assert!(blog.html_body.starts_with("<p>"), "{blog:?}");
    assert!(!blog.template_digest.is_empty());
    let mistaken = plan::SHIPPED.replace("title: GA Soft", "titel: GA Soft").into_bytes();
    let mistaken = pb::PreviewMessageRequest { plan_source: mistaken, ..request };
    let status = client.preview_message(mistaken).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(running.list(State::Unspecified).await.is_empty());
}

#[tokio::test]
async fn a_test_is_marked_as_one_and_says_what_the_server_said() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    running.comes_to("phase-start", Told::Complete).await;
    let test = |channel: &str, destination: &str| pb::TestChannelRequest {
        rollout: ROLLOUT.to_owned(),
        channel: channel.to_owned(),
        destination: destination.to_owned(),
    };
    let mut client = running.client.clone();
    let done =
        client.test_channel(as_lead(test("slack-incidents", ""))).await.unwrap().into_inner();
    assert_eq!(done.attempt.unwrap().outcome(), pb::attempt::Outcome::Sent);
    let posts = within("it is posted", site.incidents.wait_for(1)).await;
    assert!(posts[0].text.contains("[TEST]"), "{posts:?}");
    site.incidents.answer_always(SlackAnswer::Gone);
    let done =
        client.test_channel(as_lead(test("slack-incidents", ""))).await.unwrap().into_inner();
    assert_eq!(done.attempt.unwrap().detail, "404: no_service");
    let injected = test("mail", "a@example.com\r\nBcc: b@example.com");
    let status = client.test_channel(as_lead(injected)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = client.test_channel(test("mail", "a@example.com")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn there_is_nothing_to_acknowledge_before_a_reminder() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    running.comes_to("phase-start", Told::Complete).await;
    let request = pb::AcknowledgeReminderRequest {
        rollout: ROLLOUT.to_owned(),
        ..pb::AcknowledgeReminderRequest::default()
    };
    let status = running.client.clone().acknowledge_reminder(as_lead(request)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_review_is_reminded_of_and_somebody_can_say_that_they_know() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P1"); // Long ago: a review is due.
    let reminder = eventually("a reminder is made", async || {
        let all = running.list(State::Unspecified).await;
        all.into_iter().find(|one| one.event == "review-reminder-canary")
    })
    .await;
    assert_eq!(reminder.urgency(), pb::message::Urgency::Low); // It waits for its kind.
    let request = pb::AcknowledgeReminderRequest {
        rollout: ROLLOUT.to_owned(),
        reason: "looked at the graphs".to_owned(),
    };
    let mut client = running.client.clone();
    let first = client.acknowledge_reminder(as_lead(request.clone())).await.unwrap().into_inner();
    let again = client.acknowledge_reminder(as_lead(request)).await.unwrap().into_inner();
    assert!(first.number > 0);
    assert_eq!(first, again);
}

#[tokio::test]
async fn a_communication_whose_audience_has_no_address_is_incomplete_and_says_so() {
    let site = Site::new().await;
    let plan = plan::SHIPPED.replace("contacts: [everybody]", "contacts: []");
    *site.fakes.plan.lock().unwrap() = plan;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    site.happens(Kind::GaDeclared(ro::GaDeclared::default()));
    let incomplete = running.comes_to("ga-declaration", Told::Incomplete).await;
    assert!(incomplete.detail.contains("nobody in the audience"), "{incomplete:?}");
}

#[tokio::test]
async fn what_can_wait_is_told_together_and_each_of_it_is_on_record() {
    let site = Site::new().await;
    let plan = plan::SHIPPED
        .replace("digest_every: 30m", "digest_every: 6s")
        .replace(r#"  quiet_hours: { utc_offset: "+00:00", from: "22:00", to: "06:00" }"#, "  #");
    *site.fakes.plan.lock().unwrap() = plan;
    let running = site.start().await;
    site.create_rollout();
    site.enter_phase("P4");
    running.comes_to("phase-start", Told::Complete).await;
    let mails_before = site.mail.messages().len();
    for number in 0..3 {
        let request = pb::SendCommunicationRequest {
            rollout: ROLLOUT.to_owned(),
            event: "review-reminder-ga".to_owned(),
            reason: format!("reminder {number}"),
            ..pb::SendCommunicationRequest::default()
        };
        running.client.clone().send_communication(as_lead(request)).await.unwrap();
    }

    let sent = eventually("they are sent", async || {
        let all = running.list(State::Sent).await;
        let reminders: Vec<_> =
            all.into_iter().filter(|one| one.event == "review-reminder-ga").collect();
        (reminders.len() == 4).then_some(reminders)
    })
    .await;

    // Three by hand and one by the clock, which may lie on both sides of a multiple of six seconds.
    let mails: Vec<_> = site.mail.messages().split_off(mails_before);
    assert!(mails.len() < 4, "each came by itself: {mails:?}");
    let together = mails
        .iter()
        .find(|mail| mail.header("Subject").is_some_and(|it| it.contains(" updates: ")));
    assert!(together.is_some(), "{mails:?}");
    let in_digest = sent.iter().filter(|one| one.attempts[0].detail.starts_with("in a digest of "));
    assert!(in_digest.count() >= 2, "{sent:?}");
}
