//! Slack against receivers as strict as it is.

use std::time::Duration;

use capture::{ApiAnswer, SlackApi, TOKEN};
use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use plan::ChannelKind;
use serde_json::json;

use super::peers::read_by;
use super::{Answer, Channels, Outbound, doubtful, message, settings};
use crate::secret::Secret;
use crate::settings::ChannelSettings;

const ID: &str = "slack-incidents";
const NO_LIMIT: Duration = Duration::ZERO;

fn channels(api: &SlackApi, change: impl FnOnce(&mut ChannelSettings)) -> Channels {
    let mut settings = settings();
    let mut channel = ChannelSettings {
        token: Secret::new(TOKEN),
        channel: "C1".to_owned(),
        api_url: api.url(),
        messages_per_second: Some(0),
        ..ChannelSettings::default()
    };
    change(&mut channel);
    settings.channels.insert(ID.to_owned(), channel);
    Channels::new(&settings).unwrap()
}

async fn told(channels: &Channels, message: &pb::Message, first: Option<&str>) -> Answer {
    channels.tell(ChannelKind::Slack, message, first).await
}

fn named(name: &str) -> pb::Message {
    pb::Message { name: format!("messages/{name}"), ..message(ID, "#incidents") }
}

#[tokio::test]
async fn an_incident_is_one_thread_whose_first_message_says_how_it_is() {
    let api = SlackApi::start(&["C1"], NO_LIMIT).await.unwrap();
    let channels = channels(&api, |_| {});
    let first = told(&channels, &named("a"), None).await;
    assert_eq!(first.receipt, "C1/1355517523.000001", "{first:?}");
    let reply = told(&channels, &named("b"), Some(&first.receipt)).await;
    assert_eq!(reply.receipt, "C1/1355517523.000002");
    let resolved = pb::Message { replaces_first: true, subject: "over".to_owned(), ..named("c") };
    let update = told(&channels, &resolved, Some(&first.receipt)).await;
    assert_eq!((update.outcome, &update.receipt), (AttemptOutcome::Sent, &first.receipt));
    told(&channels, &resolved, Some(&first.receipt)).await; // Told twice, it is the same.
    let there = api.messages("C1");
    assert_eq!(there.len(), 2);
    assert_eq!(there[1].thread_ts.as_deref(), Some("1355517523.000001"));
    assert_eq!((there[0].edits, there[0].text.starts_with("*over*")), (2, true));
    // What was to be replaced is gone: it is told anew.
    api.clear("C1");
    let anew = told(&channels, &resolved, Some(&first.receipt)).await;
    assert_eq!(anew.outcome, AttemptOutcome::Permanent, "its thread is gone too: {anew:?}");
}

#[tokio::test]
async fn what_may_be_there_is_looked_for_before_it_is_sent_again() {
    let api = SlackApi::start(&["C1"], NO_LIMIT).await.unwrap();
    let channels = channels(&api, |_| {});
    for other in 0..150 {
        told(&channels, &named(&format!("other-{other}")), None).await;
    }
    let message = named("a");
    api.answer_next(ApiAnswer::FailAfterDoing);
    assert_eq!(told(&channels, &message, None).await.outcome, AttemptOutcome::Unknown);
    for other in 0..150 {
        told(&channels, &named(&format!("later-{other}")), None).await;
    }
    let again = told(&channels, &doubtful(&message), None).await;
    assert_eq!(
        (&again.outcome, again.receipt.as_str()),
        (&AttemptOutcome::Sent, "C1/1355517523.000151")
    );
    assert!(again.detail.contains("found in the channel"), "{again:?}");
    // So it is where the attempt was begun and its end was never recorded.
    let begun = Outbound {
        message: &message,
        kind: Some(ChannelKind::Slack),
        first_receipt: None,
        begun: true,
    };
    assert_eq!(channels.send(begun).await.receipt, "C1/1355517523.000151");
    // In a thread it is looked for in the thread.
    let first = "C1/1355517523.000001";
    let reply = named("reply");
    told(&channels, &reply, Some(first)).await;
    let again = told(&channels, &doubtful(&reply), Some(first)).await;
    assert!(again.detail.contains("found in the channel"), "{again:?}");
    assert_eq!(api.messages("C1").len(), 302, "nothing was sent twice");
    // What is not there is sent.
    assert_eq!(told(&channels, &doubtful(&named("new")), None).await.detail, "ok");
    // Where it may not be looked for, told twice beats not told, and is labelled.
    api.answer_next(ApiAnswer::Error("missing_scope"));
    let twice = told(&channels, &doubtful(&message), None).await;
    assert_eq!(twice.outcome, AttemptOutcome::Sent);
    assert!(twice.detail.contains("perhaps for the second time"), "{twice:?}");
    // Where it cannot be looked for just now, it waits.
    api.answer_next(ApiAnswer::RateLimited("30"));
    let later = told(&channels, &doubtful(&named("b")), None).await;
    let retry_after = Some(Duration::from_secs(30));
    assert_eq!(later.outcome, AttemptOutcome::Transient { retry_after });
}

#[tokio::test]
async fn slack_is_taken_at_its_word() {
    let api = SlackApi::start(&["C1", "C2"], NO_LIMIT).await.unwrap();
    let unknown = AttemptOutcome::Unknown;
    let permanent = AttemptOutcome::Permanent;
    let transient = |seconds: u64| AttemptOutcome::Transient {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let open = AttemptOutcome::Transient { retry_after: None };
    for (answer, wanted) in [
        (ApiAnswer::Error("channel_not_found"), permanent.clone()),
        (ApiAnswer::Error("msg_too_long"), permanent.clone()),
        (ApiAnswer::Error("internal_error"), unknown.clone()),
        (ApiAnswer::Error("service_unavailable"), open.clone()),
        (ApiAnswer::Status(404), permanent.clone()),
        (ApiAnswer::Status(302), permanent.clone()),
        (ApiAnswer::Status(503), open),
        (ApiAnswer::Status(500), unknown.clone()),
        (ApiAnswer::Status(200), unknown.clone()),
        (ApiAnswer::RateLimited("2"), transient(2)),
        (ApiAnswer::RateLimited("Fri, 01 Jan 2100 00:00:00 GMT"), transient(7 * 24 * 60 * 60)),
        (ApiAnswer::Endless, unknown.clone()),
    ] {
        let channels = channels(&api, |_| {}); // Each begins anew: quiet is kept.
        api.answer_next(answer);
        let told = told(&channels, &named("a"), None).await;
        assert_eq!(told.outcome, wanted, "{answer:?}: {told:?}");
    }
    assert!(api.messages("C1").is_empty());
    api.expel("C2");
    let elsewhere = |id: &str| channels(&api, |channel| channel.channel = id.to_owned());
    assert_eq!(told(&elsewhere("C2"), &named("a"), None).await.detail, "not_in_channel");
    assert_eq!(told(&elsewhere("C3"), &named("a"), None).await.detail, "channel_not_found");
    let stranger = channels(&api, |channel| channel.token = Secret::new("xoxb-hush"));
    let refused = told(&stranger, &named("a"), None).await;
    assert_eq!((refused.outcome, refused.detail.as_str()), (permanent, "invalid_auth"));
    api.answer_next(ApiAnswer::StallAfterDoing);
    let stalled = told(&elsewhere("C1"), &named("a"), None).await;
    assert_eq!((stalled.outcome, api.messages("C1").len()), (unknown, 1), "it is there, unsaid");
}

#[tokio::test]
async fn a_channel_is_archived_once_and_then_takes_nothing_more() {
    let api = SlackApi::start(&["C1"], NO_LIMIT).await.unwrap();
    let channels = channels(&api, |_| {});
    let content = Some(Content::ChannelArchive(pb::ChannelArchive {}));
    let archive = pb::Message { content, ..named("end") };
    for detail in ["ok: archived", "it was archived already"] {
        let answer = told(&channels, &archive, None).await;
        assert_eq!((answer.outcome, answer.detail.as_str()), (AttemptOutcome::Sent, detail));
    }
    assert!(api.is_archived("C1"));
    let late = told(&channels, &named("late"), None).await;
    assert_eq!((late.outcome, late.detail.as_str()), (AttemptOutcome::Permanent, "is_archived"));
}

#[tokio::test]
async fn we_stay_within_the_limit_that_slack_documents() {
    let api = SlackApi::start(&["C1"], Duration::from_secs(1)).await.unwrap();
    let channels = channels(&api, |channel| channel.messages_per_second = None);
    for number in 0..6 {
        let answer = told(&channels, &named(&format!("m{number}")), None).await;
        assert_eq!(answer.outcome, AttemptOutcome::Sent, "{answer:?}");
    }
    // Quiet that was asked for is kept without asking again.
    api.answer_next(ApiAnswer::RateLimited("60"));
    let asked = AttemptOutcome::Transient { retry_after: Some(Duration::from_secs(60)) };
    assert_eq!(told(&channels, &named("a"), None).await.outcome, asked);
    let calls = api.calls().len();
    let quiet = told(&channels, &named("b"), None).await;
    assert!(quiet.detail.contains("wants quiet"), "{quiet:?}");
    assert_eq!(api.calls().len(), calls);
}

#[tokio::test]
async fn no_text_becomes_markup_and_a_long_one_says_that_it_is_cut() {
    let api = SlackApi::start(&["C1"], NO_LIMIT).await.unwrap();
    let channels = channels(&api, |_| {});
    let subject = "<!channel> <https://evil.example|fine>".to_owned();
    let body = "<@U1> & ".repeat(1024 * 1024);
    told(&channels, &pb::Message { subject, body, ..named("a") }, None).await;
    let text = &api.messages("C1")[0].text;
    assert!(!text.contains(['<', '>']) && text.ends_with("is in the record of messages)"));
    assert!(text.chars().count() <= 40_000);
}

#[tokio::test]
async fn a_server_that_says_nothing_may_have_taken_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/services/hush", listener.local_addr().unwrap());
    let mut settings = settings();
    let channel = ChannelSettings { webhook_url: Secret::new(url), ..ChannelSettings::default() };
    settings.channels.insert(ID.to_owned(), channel);
    let channels = Channels::new(&settings).unwrap();
    let sent = told(&channels, &named("a"), None).await;
    assert_eq!(sent.outcome, AttemptOutcome::Unknown, "{sent:?}");
    drop(listener); // Open until now: it took the connection and said nothing.
}

#[tokio::test]
async fn slacks_own_client_agrees_with_the_receiver() {
    let api = SlackApi::start(&["C1"], NO_LIMIT).await.unwrap();
    let given = json!({"token": TOKEN, "url": api.url()}).to_string();
    let Some(read) = read_by("slack", &given).await else { return };
    let said = json!([
        "1355517523.000001",
        ["changed"],
        2,
        "is_archived",
        "channel_not_found",
        "already_archived",
        "invalid_auth"
    ]);
    assert_eq!(read["said"], said);
}
