//! Mail over SMTP: one recipient a message.

use std::time::Duration;

use comms_core::AttemptOutcome;
use contracts::comms as pb;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, Message};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use service_kit::settings::SettingsError;

use crate::channels::{Answer, id};
use crate::settings::SmtpSettings;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10); // The rest is bounded as a whole.

/// The mail server.
#[derive(Debug)]
pub(crate) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Mail {
    pub(crate) fn new(settings: &SmtpSettings) -> Result<Self, SettingsError> {
        settings.check()?;
        let from = settings.from.parse().map_err(|_e| {
            let shown = vocab::excerpt(&settings.from);
            SettingsError(format!("smtp.from: `{shown}` is not an address such as a@example.com"))
        })?;
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
            .port(settings.port)
            .timeout(Some(CONNECT_TIMEOUT));
        if !settings.username.is_empty() {
            let password = settings.password.reveal().to_owned();
            transport =
                transport.credentials(Credentials::new(settings.username.clone(), password));
        }
        Ok(Self { transport: transport.build(), from })
    }

    pub(crate) async fn send(&self, message: &pb::Message) -> Answer {
        let mail = match write(message, &self.from) {
            Ok(mail) => mail,
            Err(why) => return Answer::permanent(&why),
        };
        match self.transport.send(mail).await {
            Ok(response) => {
                let said: Vec<_> = response.message().collect();
                Answer::new(
                    AttemptOutcome::Sent,
                    &format!("{} {}", response.code(), said.join(" ")),
                )
            }
            Err(error) => failed(&error),
        }
    }
}

fn failed(error: &SmtpError) -> Answer {
    let detail = match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    if error.is_permanent() {
        Answer::permanent(&detail)
    } else if error.is_timeout() {
        Answer::unknown(&detail)
    } else {
        Answer::transient(&detail)
    }
}

/// Writes the mail. Its `Message-ID` is the same in every attempt, so that readers can drop what
/// came twice.
fn write(message: &pb::Message, from: &Mailbox) -> Result<Message, String> {
    let headers =
        [("To", &message.destination), ("Subject", &message.subject), ("name", &message.name)];
    for (name, value) in headers {
        if value.chars().any(char::is_control) {
            return Err(format!("{name}: a control character in a header"));
        }
    }
    let to = message.destination.parse().map_err(|_e| {
        format!("To: `{}` is not a mail address", vocab::excerpt(&message.destination))
    })?;
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = Body::new_with_encoding(message.body.clone(), encoding)
        .map_err(|_body| "the body cannot be encoded".to_owned())?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&message.subject)
        .message_id(Some(format!("<{}@softlaunch.invalid>", id(message).replace('@', "="))))
        .header(ContentType::TEXT_PLAIN)
        .body(body)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> pb::Message {
        pb::Message {
            name: "messages/rollout-1.mail.a@example.com".to_owned(),
            destination: "a@example.com".to_owned(),
            subject: "ä subject".to_owned(),
            body: "ä body\r\n.\r\nBcc: x@example.com".to_owned(),
            ..pb::Message::default()
        }
    }

    fn written(message: &pb::Message) -> Result<String, String> {
        let mail = write(message, &"s@example.com".parse().unwrap())?;
        Ok(String::from_utf8(mail.formatted()).unwrap())
    }

    #[test]
    fn a_line_break_cannot_become_a_header() {
        for change in [
            |message: &mut pb::Message| message.subject.push_str("\r\nBcc: x@example.com"),
            |message: &mut pb::Message| message.destination.push_str("\nBcc: x@example.com"),
            |message: &mut pb::Message| message.name.push('\r'),
        ] {
            let mut message = message();
            change(&mut message);
            assert!(written(&message).unwrap_err().contains("control character"));
        }
        let text = written(&message()).unwrap();
        assert!(!text.split("\r\n\r\n").next().unwrap().contains("Bcc"), "{text}");
    }

    #[test]
    fn the_message_id_is_stable_and_the_body_encoded() {
        let text = written(&message()).unwrap();
        assert!(text.contains("Message-ID: <rollout-1.mail.a=example.com@softlaunch.invalid>"));
        assert!(text.contains("Content-Transfer-Encoding: quoted-printable"), "{text}");
        assert!(text.contains("=C3=A4 body"), "{text}");
    }
}
