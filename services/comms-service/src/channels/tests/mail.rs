//! Mail against aiosmtpd, and against servers that are slow or no mail servers at all.

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use contracts::comms::message::Content;
use plan::ChannelKind;
use serde_json::json;
use test_kit::Certificates;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::peers::{MailServer, read_by};
use super::{Answer, Channels, message, settings};
use crate::secret::Secret;
use crate::settings::{SmtpSettings, Tls};

const PASSWORD: &str = "hush-hush";
const TRANSIENT: AttemptOutcome = AttemptOutcome::Transient { retry_after: None };

fn channels(smtp: impl FnOnce(&mut SmtpSettings)) -> Channels {
    let mut settings = settings();
    settings.smtp.host = "127.0.0.1".to_owned();
    settings.smtp.from = "Softlaunch <softlaunch@example.com>".to_owned();
    smtp(&mut settings.smtp);
    Channels::new(&settings).unwrap()
}

async fn mailed(channels: &Channels, to: &str) -> Answer {
    channels.tell(ChannelKind::Mail, &message("mail", to), None).await
}

fn path(certificates: &Certificates, name: &str) -> String {
    certificates.file(name).display().to_string()
}

#[tokio::test]
async fn a_mail_server_is_taken_at_its_word() {
    let Some(mut server) = MailServer::start(&["plain"]).await else { return };
    let channels = channels(|smtp| smtp.port = server.port);
    let kept = mailed(&channels, "ada@example.com").await;
    assert_eq!((kept.outcome, kept.detail.as_str()), (AttemptOutcome::Sent, "250 2.0.0 kept"));
    let mail = server.taken().await;
    assert_eq!(mail["to"], json!(["ada@example.com"]));
    assert_eq!(mail["message_id"], "<rollout-7.mail@softlaunch.invalid>");
    for word in ["451 4.7.1", "451 4.7.1"] {
        let later = mailed(&channels, "greylist+2@example.com").await;
        assert_eq!(later.outcome, TRANSIENT);
        assert!(later.detail.contains(&word[..3]), "{}", later.detail);
    }
    assert_eq!(mailed(&channels, "greylist+2@example.com").await.outcome, AttemptOutcome::Sent);
    assert_eq!(server.taken().await["to"], json!(["greylist+2@example.com"]));
    let never = mailed(&channels, "reject@example.com").await;
    assert_eq!(never.outcome, AttemptOutcome::Permanent);
    assert!(never.detail.contains("no such mailbox"), "{}", never.detail);
    let late = mailed(&channels, "late@example.com").await;
    assert_eq!((late.outcome, late.detail.contains("not just now")), (TRANSIENT, true));
}

#[tokio::test]
async fn what_is_lost_after_the_message_may_have_been_taken_and_what_is_lost_before_was_not() {
    let Some(mut server) = MailServer::start(&["plain"]).await else { return };
    let channels = channels(|smtp| smtp.port = server.port);
    let stalled = mailed(&channels, "stall@example.com").await;
    assert_eq!(stalled.outcome, TRANSIENT, "{stalled:?}");
    let lost = mailed(&channels, "drop@example.com").await;
    assert_eq!(lost.outcome, AttemptOutcome::Unknown, "{lost:?}");
    assert_eq!(server.taken().await["to"], json!(["drop@example.com"]), "it was taken indeed");
}

#[tokio::test]
async fn mail_is_protected_and_logged_in_both_ways() {
    let certificates = Certificates::new();
    let (certificate, key) = (path(&certificates, "server.pem"), path(&certificates, "server.key"));
    for (mode, tls) in [("starttls", Tls::Starttls), ("tls", Tls::Implicit)] {
        let arguments = [mode, &certificate, &key, "--auth", "softlaunch", PASSWORD];
        let Some(mut server) = MailServer::start(&arguments).await else { return };
        let port = server.port;
        let with = |password: &str, ca: &str| {
            channels(|smtp| {
                (smtp.port, smtp.tls) = (port, tls);
                (smtp.username, smtp.password) = ("softlaunch".to_owned(), Secret::new(password));
                smtp.ca_file = ca.to_owned();
            })
        };
        let ca = path(&certificates, "ca.pem");
        let sent = mailed(&with(PASSWORD, &ca), "ada@example.com").await;
        assert_eq!(sent.outcome, AttemptOutcome::Sent, "{mode}: {sent:?}");
        let mail = server.taken().await;
        assert_eq!((&mail["tls"], &mail["authenticated"]), (&json!(true), &json!(true)), "{mode}");
        let refused = mailed(&with("wrong-hush", &ca), "ada@example.com").await;
        assert_eq!(refused.outcome, AttemptOutcome::Permanent, "{mode}: {refused:?}");
        assert!(!format!("{refused:?}").contains("hush"), "{refused:?}");
        // Neither the system nor another authority vouches for it.
        let other = Certificates::new();
        for ca in [String::new(), path(&other, "ca.pem")] {
            let refused = mailed(&with(PASSWORD, &ca), "ada@example.com").await;
            assert_eq!(refused.outcome, TRANSIENT, "{mode}: {refused:?}");
            assert!(refused.detail.contains("certificate"), "{mode}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_without_starttls() {
    let Some(server) = MailServer::start(&["plain"]).await else { return };
    let channels = channels(|smtp| (smtp.port, smtp.tls) = (server.port, Tls::Starttls));
    let refused = mailed(&channels, "ada@example.com").await;
    assert_eq!(refused.outcome, AttemptOutcome::Permanent);
    assert!(refused.detail.contains("no STARTTLS"), "{refused:?}");
}

/// A server that greets so, and then says nothing more.
async fn greeting(words: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(words).await.unwrap_or_default();
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).await.map(drop).unwrap_or_default();
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_cannot_be_understood_or_says_nothing_ends_the_attempt_and_nothing_else() {
    for words in
        [&b""[..], b"220 \r\n250 \r\n", b"220 x\r\n250-\r\n250 \r\n", b"HTTP/1.1 400\r\n\r\n"]
    {
        let port = greeting(words).await;
        let answer = mailed(&channels(|smtp| smtp.port = port), "ada@example.com").await;
        assert_eq!(answer.outcome, TRANSIENT, "{answer:?}");
    }
}

#[tokio::test]
async fn an_invitation_is_read_by_others_as_it_was_meant_and_can_be_called_off() {
    let Some(mut server) = MailServer::start(&["plain"]).await else { return };
    let channels = channels(|smtp| smtp.port = server.port);
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    for (sequence, cancelled) in [(0, false), (1, false), (2, true)] {
        let meeting = pb::Meeting {
            uid: "gate-0@softlaunch".to_owned(),
            sequence,
            cancelled,
            start_time: at(1_795_719_600 + 3_600 * i64::from(sequence)),
            end_time: at(1_795_723_200 + 3_600 * i64::from(sequence)),
            attendees: vec!["ada@example.com".to_owned(), "pia@example.com".to_owned()],
        };
        let invitation = pb::Message {
            subject: "Review of gate 0; über, alles".to_owned(),
            body: "One\nTwo; three, \\four".to_owned(),
            html_body: "<p>One</p>".to_owned(),
            content: Some(Content::Meeting(meeting)),
            ..message("meeting", "ada@example.com")
        };
        let sent = channels.tell(ChannelKind::Meeting, &invitation, None).await;
        assert_eq!(sent.outcome, AttemptOutcome::Sent, "{sent:?}");
        let mail = server.taken().await;
        let method = if cancelled { "CANCEL" } else { "REQUEST" };
        assert_eq!(mail["methods"], json!([method]));
        assert_eq!(
            (&mail["type"], &mail["subject"]),
            (&json!("multipart/alternative"), &json!(invitation.subject))
        );
        let kinds: Vec<_> = mail["parts"].as_array().unwrap().iter().map(|part| &part[0]).collect();
        assert_eq!(kinds, ["text/plain", "text/html", "text/calendar"]);
        let Some(read) = read_by("icalendar", mail["parts"][2][1].as_str().unwrap()).await else {
            return;
        };
        assert_eq!((&read["method"], &read["sequence"]), (&json!(method), &json!(sequence)));
        assert_eq!(read["uid"], "gate-0@softlaunch");
        assert_eq!(read["start"], format!("2026-11-26T{}:00:00+00:00", 19 + sequence));
        assert_eq!(
            (&read["summary"], &read["description"]),
            (&json!(invitation.subject), &json!(invitation.body))
        );
        assert_eq!(read["status"], if cancelled { "CANCELLED" } else { "CONFIRMED" });
        assert_eq!(read["attendees"], json!(["mailto:ada@example.com", "mailto:pia@example.com"]));
        assert_eq!((&read["rsvp"], &read["errors"]), (&json!(["TRUE", "TRUE"]), &json!([])));
        assert_eq!(read["organizer"], "mailto:softlaunch@example.com");
    }
}
