//! What becomes of messages when channels do as they please.

use capture::{MailAnswer, SlackAnswer};
use contracts::comms as pb;
use contracts::comms::attempt::Outcome;
use contracts::comms::message::State;

use crate::site::{HUSH, Site, within};

fn outcomes(message: &pb::Message) -> Vec<Outcome> {
    message.attempts.iter().map(pb::Attempt::outcome).collect()
}

/// A service that has been told of a phase: one without a gate, whose review nobody is invited to.
async fn with_a_phase_begun(site: &Site) -> crate::site::Running {
    site.create_rollout();
    site.enter_phase("P4");
    site.start().await
}

#[tokio::test]
async fn a_phase_start_arrives_once_in_slack_and_by_mail() {
    let site = Site::new().await;
    let running = with_a_phase_begun(&site).await;
    let posts = within("Slack has it", site.engineering.wait_for(1)).await;
    assert!(
        posts[0].text.starts_with("*ingestion_v2: P4 General Availability has started*\n"),
        "{posts:?}"
    );
    let mails = within("mail has it", site.mail.wait_for(1)).await;
    assert_eq!(mails[0].to, ["engineering@example.com"]);
    assert_eq!(
        mails[0].header("Subject").as_deref(),
        Some("ingestion_v2: P4 General Availability has started")
    );
    running.reaches("slack-engineering", State::Sent).await;
    let message = running.reaches("mail", State::Sent).await;
    let id = mails[0].header("Message-ID").unwrap();
    let name = message.name.strip_prefix("messages/").unwrap();
    assert_eq!(id, format!("<{}@softlaunch.invalid>", name.replace('@', "=")));
    running.stop().await;
    assert_eq!((site.engineering.attempts(), site.mail.attempts()), (1, 1));
}

#[tokio::test]
async fn a_channel_that_asks_for_quiet_gets_it() {
    let site = Site::new().await;
    site.engineering.answer_next(SlackAnswer::RateLimited(3));
    let running = with_a_phase_begun(&site).await;
    let message = running.reaches("slack-engineering", State::Sent).await;
    assert_eq!(outcomes(&message), [Outcome::Transient, Outcome::Sent]);
    let times: Vec<_> =
        message.attempts.iter().map(|attempt| attempt.occur_time.unwrap()).collect();
    let seconds = times[1].seconds - times[0].seconds;
    assert!(seconds >= 2, "tried again after {seconds} s"); // 3 s less the rounding of both.
    assert_eq!(site.engineering.attempts(), 2);
}

#[tokio::test]
async fn a_failing_channel_is_tried_again() {
    let site = Site::new().await;
    site.engineering.answer_next(SlackAnswer::Fail);
    site.engineering.answer_next(SlackAnswer::Fail);
    let running = with_a_phase_begun(&site).await;
    let message = running.reaches("slack-engineering", State::Sent).await;
    assert_eq!(outcomes(&message), [Outcome::Transient, Outcome::Transient, Outcome::Sent]);
    assert_eq!(message.attempts[0].detail, "500: rollup_error");
}

#[tokio::test]
async fn a_channel_that_does_not_answer_is_told_again_and_stops_no_other() {
    let site = Site::new().await;
    site.engineering.answer_next(SlackAnswer::Stall);
    let running = with_a_phase_begun(&site).await;
    within("mail has it", site.mail.wait_for(1)).await;
    running.reaches("mail", State::Sent).await;
    assert!(site.engineering.posts().is_empty(), "mail waited for Slack");
    let message = running.reaches("slack-engineering", State::Sent).await;
    assert_eq!(outcomes(&message), [Outcome::Unknown, Outcome::Sent]);
}

#[tokio::test]
async fn a_message_to_a_removed_webhook_is_dead_until_it_is_redriven() {
    let site = Site::new().await;
    site.engineering.answer_always(SlackAnswer::Gone);
    let mut running = with_a_phase_begun(&site).await;
    let dead = running.reaches("slack-engineering", State::Dead).await;
    assert_eq!(outcomes(&dead), [Outcome::Permanent]);
    assert_eq!(dead.attempts[0].detail, "404: no_service");
    site.engineering.answer_always(SlackAnswer::Accept);
    let (name, reason) = (dead.name, "webhook made again".to_owned());
    let redrive = pb::RedriveMessageRequest { name, reason };
    running.client.redrive_message(redrive.clone()).await.unwrap();
    let sent = running.reaches("slack-engineering", State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Permanent, Outcome::Sent]);
    let again = running.client.redrive_message(redrive).await.unwrap().into_inner();
    assert_eq!(again, sent, "a message that is not dead is left as it is");
}

#[tokio::test]
async fn greylisted_mail_is_tried_again_and_rejected_mail_is_dead() {
    let site = Site::new().await;
    site.mail.answer_next(MailAnswer::Greylist);
    let running = with_a_phase_begun(&site).await;
    let sent = running.reaches("mail", State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Transient, Outcome::Sent]);
    site.mail.answer_always(MailAnswer::Reject);
    site.enter_phase("P2");
    let dead = running.reaches("mail", State::Dead).await;
    assert_eq!(outcomes(&dead), [Outcome::Permanent]);
    assert!(dead.attempts[0].detail.contains("no such mailbox"), "{dead:?}");
}

#[tokio::test]
async fn mail_that_was_taken_without_a_word_is_sent_again_under_the_same_id() {
    let site = Site::new().await;
    site.mail.answer_next(MailAnswer::StallAfterData);
    let running = with_a_phase_begun(&site).await;
    let sent = running.reaches("mail", State::Sent).await;
    assert_eq!(outcomes(&sent), [Outcome::Unknown, Outcome::Sent]);
    let ids: Vec<_> = site.mail.messages().iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_message_to_a_channel_that_is_not_set_up_is_dead_and_says_so() {
    let mut site = Site::new().await;
    site.settings.channels.remove("slack-engineering");
    let running = with_a_phase_begun(&site).await;
    let dead = running.reaches("slack-engineering", State::Dead).await;
    assert_eq!(dead.attempts[0].detail, "channel slack-engineering is not configured");
    running.reaches("mail", State::Sent).await;
}

#[tokio::test]
async fn a_restart_before_delivery_loses_nothing_and_handles_nothing_twice() {
    let site = Site::new().await;
    site.engineering.answer_always(SlackAnswer::RateLimited(1));
    let running = with_a_phase_begun(&site).await;
    within("Slack was tried", site.engineering.wait_for_attempts(1)).await;
    running.reaches("mail", State::Sent).await;
    running.stop().await;
    site.engineering.answer_always(SlackAnswer::Accept);
    let running = site.start().await;
    running.reaches("slack-engineering", State::Sent).await;
    site.pause("a look");
    running.reaches("slack-incidents", State::Sent).await;
    assert_eq!(site.fakes.rollouts.cursors(), [0, 2]);
    let told = running.list(State::Unspecified).await;
    let starts = told.iter().filter(|message| message.event == "phase-start").count();
    assert_eq!((starts, site.engineering.posts().len()), (2, 1));
}

#[tokio::test]
async fn of_two_replicas_one_tells_and_the_other_takes_over() {
    let site = Site::new().await;
    let dependencies = site.connect().await;
    let first = site.start_on(dependencies.clone()).await;
    let second = site.start_on(dependencies).await;
    site.create_rollout();
    for phase in ["P0", "P1", "P2"] {
        site.enter_phase(phase);
    }
    within("Slack has all three", site.engineering.wait_for(3)).await;
    within("mail has all three", site.mail.wait_for(3)).await;
    first.stop().await;
    site.pause("a look");
    second.reaches("slack-incidents", State::Sent).await;
    assert_eq!((site.engineering.attempts(), site.incidents.attempts()), (3, 1));
    // Three phases, with two invitations each; P2 has a banner; and three of the pause.
    assert_eq!(second.list(State::Unspecified).await.len(), 16);
}

#[tokio::test]
async fn a_line_break_in_a_reason_makes_no_header_and_no_mention() {
    let site = Site::new().await;
    let running = site.start().await;
    site.create_rollout();
    site.pause("<!channel>\r\nBcc: mallory@example.com\r\n\r\n.\r\nQUIT");
    let mails = within("mail has it", site.mail.wait_for(2)).await;
    for mail in &mails {
        assert!(mail.header("Bcc").is_none(), "{mail:?}");
        assert_eq!(mail.to.len(), 1);
        assert!(mail.body().contains("QUIT"), "{mail:?}");
    }
    let posts = within("Slack has it", site.incidents.wait_for(1)).await;
    assert!(posts[0].text.contains("&lt;!channel&gt;"), "{posts:?}");
    running.stop().await;
}

#[tokio::test]
async fn no_secret_is_in_what_is_on_record() {
    let mut site = Site::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook_url = comms_service::Secret::new(format!("http://{closed}/services/{HUSH}"));
    let channel = comms_service::ChannelSettings { webhook_url, ..Default::default() };
    site.settings.channels.insert("slack-engineering".to_owned(), channel);
    let running = with_a_phase_begun(&site).await;
    let tried = test_kit::eventually("Slack was tried", async || {
        let pending = running.list(State::Pending).await;
        pending.into_iter().find(|message| !message.attempts.is_empty())
    });
    let tried = tried.await;
    assert_eq!(outcomes(&tried)[0], Outcome::Transient);
    assert!(!format!("{tried:?}").contains("hush"), "{tried:?}");
}
