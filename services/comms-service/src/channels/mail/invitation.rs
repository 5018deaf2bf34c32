//! Invitations to meetings: RFC 5545 by mail, as RFC 6047 has it.
//!
//! `UID`, `SEQUENCE` and `DTSTAMP` come with the message: delivered twice, it changes nothing.

use contracts::comms as pb;
use icalendar::{Calendar, Component as _, Event, EventStatus, Property};
use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, SinglePart};
use service_kit::wire::time_of;

use crate::channels::id;

/// An invitation, a change of it or a cancellation.
#[derive(Debug)]
pub(super) struct Invitation {
    method: &'static str,
    text: String,
}

impl Invitation {
    /// Writes what `message` says of the meeting.
    ///
    /// # Errors
    /// Fails where the meeting lacks something, or an attendee is no mail address.
    pub(super) fn new(
        meeting: &pb::Meeting,
        message: &pb::Message,
        organizer: &Address,
    ) -> Result<Self, String> {
        let method = if meeting.cancelled { "CANCEL" } else { "REQUEST" };
        let uid = if meeting.uid.is_empty() { id(message) } else { &meeting.uid };
        if uid.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("uid: a blank or a control character in it".to_owned());
        }
        let (start, end) =
            (instant(meeting.start_time.as_ref()), instant(meeting.end_time.as_ref()));
        let (Some(start), Some(end)) = (start, end) else {
            return Err("a meeting without a start or an end".to_owned());
        };
        if end < start {
            return Err("a meeting that ends before it starts".to_owned());
        }
        let status =
            if meeting.cancelled { EventStatus::Cancelled } else { EventStatus::Confirmed };
        let made = instant(message.create_time.as_ref()).unwrap_or_else(|| start.clone());
        let mut event = Event::new();
        event
            .uid(uid)
            .sequence(u32::try_from(meeting.sequence).unwrap_or(0))
            .summary(&one_line(&message.subject))
            .description(&message.body.replace('\r', ""))
            .status(status)
            .add_property("DTSTAMP", made)
            .add_property("DTSTART", start)
            .add_property("DTEND", end)
            .add_property("ORGANIZER", format!("mailto:{organizer}"))
            .add_property("TRANSP", "OPAQUE");
        for attendee in &meeting.attendees {
            event.append_multi_property(invited(attendee)?);
        }
        let mut calendar = Calendar::empty();
        calendar
            .append_property(Property::new("VERSION", "2.0"))
            .append_property(Property::new("PRODID", "-//Softlaunch//comms//EN"))
            .append_property(Property::new("CALSCALE", "GREGORIAN"))
            .append_property(Property::new("METHOD", method))
            .push(event.done());
        let text = calendar.to_string();
        Ok(Self { method, text })
    }

    /// As a part of a mail.
    pub(super) fn part(self) -> Result<SinglePart, String> {
        let kind = format!("text/calendar; charset=utf-8; method={}", self.method);
        let kind = ContentType::parse(&kind).map_err(|error| error.to_string())?;
        // Base64: no relay folds or trims a line of it.
        let body = Body::new_with_encoding(self.text, ContentTransferEncoding::Base64)
            .map_err(|_body| "the invitation cannot be encoded".to_owned())?;
        Ok(SinglePart::builder().header(kind).body(body))
    }
}

fn invited(attendee: &str) -> Result<Property, String> {
    let address: Address = attendee
        .parse()
        .map_err(|_e| format!("attendees: `{}` is not a mail address", vocab::excerpt(attendee)))?;
    Ok(Property::new("ATTENDEE", format!("mailto:{address}"))
        .add_parameter("CUTYPE", "INDIVIDUAL")
        .add_parameter("ROLE", "REQ-PARTICIPANT")
        .add_parameter("PARTSTAT", "NEEDS-ACTION")
        .add_parameter("RSVP", "TRUE")
        .done())
}

/// An instant as calendars write it, e.g. `20261126T190000Z`; `None` where it has none of four digits.
fn instant(time: Option<&prost_types::Timestamp>) -> Option<String> {
    let text = time_of(Some(time?)).to_string();
    let seconds = text.get(..19)?;
    text.ends_with('Z').then(|| format!("{}Z", seconds.replace(['-', ':'], "")))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting() -> pb::Meeting {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 5_000_000 });
        pb::Meeting {
            uid: "gate-0@softlaunch".to_owned(),
            sequence: 2,
            cancelled: false,
            start_time: at(1_795_719_600),
            end_time: at(1_795_723_200),
            attendees: vec!["a@example.com".to_owned(), "b@example.com".to_owned()],
        }
    }

    fn written(meeting: &pb::Meeting) -> Result<String, String> {
        let message = pb::Message {
            subject: "Gate 0; review, please".to_owned(),
            body: "One\r\nTwo\nATTENDEE:mailto:evil@example.com".to_owned(),
            create_time: Some(prost_types::Timestamp { seconds: 1_795_700_000, nanos: 0 }),
            ..pb::Message::default()
        };
        let organizer = "s@example.com".parse().unwrap();
        Ok(Invitation::new(meeting, &message, &organizer)?.text.replace("\r\n ", ""))
    }

    #[test]
    fn an_invitation_has_all_that_calendars_ask_for() {
        let text = written(&meeting()).unwrap();
        for line in [
            "METHOD:REQUEST",
            "UID:gate-0@softlaunch",
            "SEQUENCE:2",
            "DTSTART:20261126T190000Z",
            "DTEND:20261126T200000Z",
            "STATUS:CONFIRMED",
            "ORGANIZER:mailto:s@example.com",
            "SUMMARY:Gate 0\\; review\\, please",
            "DESCRIPTION:One\\nTwo\\nATTENDEE:mailto:evil@example.com",
        ] {
            assert!(text.contains(&format!("\r\n{line}\r\n")), "{line}: {text}");
        }
        assert_eq!(text.matches("\r\nATTENDEE").count(), 2, "{text}");
        assert_eq!(text, written(&meeting()).unwrap(), "the same in every attempt");
    }

    #[test]
    fn a_meeting_can_be_called_off() {
        let text = written(&pb::Meeting { cancelled: true, ..meeting() }).unwrap();
        assert!(text.contains("METHOD:CANCEL") && text.contains("STATUS:CANCELLED"), "{text}");
    }

    #[test]
    fn a_meeting_that_cannot_be_is_refused() {
        let attendees = vec!["a@example.com\r\nX:y".to_owned()];
        for (meeting, wanted) in [
            (pb::Meeting { attendees, ..meeting() }, "not a mail address"),
            (pb::Meeting { uid: "a\r\nb".to_owned(), ..meeting() }, "control character"),
            (pb::Meeting { start_time: None, ..meeting() }, "without a start"),
            (
                pb::Meeting { end_time: Some(prost_types::Timestamp::default()), ..meeting() },
                "before",
            ),
        ] {
            assert!(written(&meeting).unwrap_err().contains(wanted), "{wanted}");
        }
    }
}
