//! A message as a mail.

use contracts::comms as pb;
use contracts::comms::message::Content;
use lettre::address::Address;
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};

use super::invitation::Invitation;
use crate::channels::id;

const DOMAIN: &str = "softlaunch.invalid";
/// More than any server takes.
const BODY_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Says that nobody wrote this by hand (RFC 3834): no answering machine answers.
#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Writes the mail. Its `Message-ID` is the same in every attempt, so that readers can drop what
/// came twice; mails of one thread refer to the same id, so that readers keep them together.
pub(super) fn write(message: &pb::Message, from: &Mailbox) -> Result<Message, String> {
    let headers = [
        ("To", &message.destination),
        ("Subject", &message.subject),
        ("name", &message.name),
        ("thread", &message.thread),
    ];
    for (name, value) in headers {
        if value.chars().any(char::is_control) {
            return Err(format!("{name}: a control character in a header"));
        }
    }
    if message.body.len() + message.html_body.len() > BODY_SIZE_MAX {
        return Err(format!("the text is longer than {BODY_SIZE_MAX} bytes"));
    }
    let to: Address = message.destination.parse().map_err(|_e| {
        format!("To: `{}` is not a mail address", vocab::excerpt(&message.destination))
    })?;
    let mut mail = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&message.subject)
        .message_id(Some(format!("<{}@{DOMAIN}>", atom(id(message)))))
        .header(AutoSubmitted);
    if !message.thread.is_empty() {
        mail = mail.references(format!("<thread.{}@{DOMAIN}>", atom(&message.thread)));
    }
    let text = part(&message.body, ContentType::TEXT_PLAIN)?;
    let html = (!message.html_body.is_empty())
        .then(|| part(&message.html_body, ContentType::TEXT_HTML))
        .transpose()?;
    let invitation = match &message.content {
        Some(Content::Meeting(meeting)) => {
            Some(Invitation::new(meeting, message, &from.email)?.part()?)
        }
        Some(
            Content::Banner(_)
            | Content::BlogPost(_)
            | Content::StatusUpdate(_)
            | Content::ChannelArchive(_),
        )
        | None => None,
    };
    let written = match (html, invitation) {
        (None, None) => mail.singlepart(text),
        // The richest comes last (RFC 2046).
        (html, invitation) => {
            let parts = MultiPart::alternative().singlepart(text);
            let parts = html.into_iter().chain(invitation).fold(parts, MultiPart::singlepart);
            mail.multipart(parts)
        }
    };
    written.map_err(|error| error.to_string())
}

/// Encoded whatever it is: no line of a text is ever a line of the protocol.
fn part(text: &str, kind: ContentType) -> Result<SinglePart, String> {
    let encoding = ContentTransferEncoding::QuotedPrintable;
    let body = Body::new_with_encoding(text.to_owned(), encoding)
        .map_err(|_body| "the body cannot be encoded".to_owned())?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// What may stand to the left of the `@` of an id.
fn atom(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.+=".contains(c);
    text.chars().map(|c| if fits(c) { c } else { '=' }).collect()
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
            |message: &mut pb::Message| message.thread.push_str("\n\nhello"),
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
        assert!(text.contains("Auto-Submitted: auto-generated"), "{text}");
    }

    #[test]
    fn a_text_in_two_forms_is_one_mail_with_two_parts() {
        let html_body = "<p>ä body</p>".to_owned();
        let thread = "incidents/1 <x>".to_owned();
        let text = written(&pb::Message { html_body, thread, ..message() }).unwrap();
        assert!(text.contains("multipart/alternative"), "{text}");
        assert!(text.find("text/plain").unwrap() < text.find("text/html").unwrap(), "{text}");
        assert!(text.contains("References: <thread.incidents=1==x=@softlaunch.invalid>"), "{text}");
    }

    #[test]
    fn what_is_no_address_or_too_long_is_refused() {
        for destination in ["", "a", "a@", "a@b@c", "a@example.com, b@example.com", "<a@b>"] {
            let destination = destination.to_owned();
            let refused = written(&pb::Message { destination, ..message() }).unwrap_err();
            assert!(refused.contains("is not a mail address"), "{refused}");
        }
        let body = "x".repeat(BODY_SIZE_MAX + 1);
        assert!(written(&pb::Message { body, ..message() }).unwrap_err().contains("longer than"));
    }
}
