//! `softlaunch comms`: what was told to whom, and who is told when somebody asks.

use contracts::comms as pb;
use contracts::comms::communication::State as Told;
use contracts::comms::message;

use super::rollout_name;
use crate::arguments::{CommsVerb, Output, RedriveArguments};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, short, table, time};

const PAGE: i32 = 1_000;

pub(crate) async fn run(
    verb: &CommsVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        CommsVerb::List => {
            let list = list(connection).await?;
            if output == Output::Json {
                return json("softlaunch.comms.v1.ListMessagesResponse", &list);
            }
            say(messages(&list));
            Ok(())
        }
        CommsVerb::Show { message } => {
            let request = pb::GetMessageRequest { name: message_name(message) };
            let message = connection.comms()?.get_message(request).await?.into_inner();
            if output == Output::Json {
                return json("softlaunch.comms.v1.Message", &message);
            }
            say(one(&message));
            Ok(())
        }
        CommsVerb::Status { id } => status(&id.rollout, connection, output).await,
        CommsVerb::Redrive(arguments) => redrive(arguments, connection, output).await,
        CommsVerb::Preview { event, channel, plan, rollout } => {
            let plan_source = match plan {
                Some(file) => super::plan::read(Some(file))?.into_bytes(),
                None => Vec::new(),
            };
            let (event, channel) = (event.clone(), channel.clone());
            let rollout = rollout_name(rollout);
            let request = pb::PreviewMessageRequest { rollout, plan_source, event, channel };
            previewed(request, connection, output).await
        }
        CommsVerb::TestChannel { channel, to, rollout } => {
            let request = pb::TestChannelRequest {
                rollout: rollout_name(rollout),
                channel: channel.clone(),
                destination: to.clone(),
            };
            let tested = connection.comms()?.test_channel(request).await?.into_inner();
            tested_channel(channel, &tested, output)
        }
        CommsVerb::Send { event, reason, rollout } => {
            let request = pb::SendCommunicationRequest {
                rollout: rollout_name(rollout),
                event: event.clone(),
                reason: reason.clone(),
                request_id: uuid::Uuid::new_v4().to_string(),
            };
            let made = connection.comms()?.send_communication(request).await?.into_inner();
            if output == Output::Json {
                return json("softlaunch.comms.v1.Communication", &made);
            }
            say(format!("{}: {} messages", made.name, made.message_count));
            Ok(())
        }
        CommsVerb::Acknowledge { id, reason } => {
            let (rollout, reason) = (rollout_name(&id.rollout), reason.clone());
            let request = pb::AcknowledgeReminderRequest { rollout, reason };
            let known = connection.comms()?.acknowledge_reminder(request).await?.into_inner();
            if output == Output::Json {
                return json("softlaunch.comms.v1.AcknowledgeReminderResponse", &known);
            }
            say(format!("review {} is acknowledged", known.number));
            Ok(())
        }
    }
}

async fn previewed(
    request: pb::PreviewMessageRequest,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    let shown = connection.comms()?.preview_message(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.comms.v1.PreviewMessageResponse", &shown);
    }
    say(preview(&shown));
    Ok(())
}

fn message_name(id: &str) -> String {
    if id.starts_with("messages/") { id.to_owned() } else { format!("messages/{id}") }
}

/// Who has not been told and why; fails where somebody was not who must be.
async fn status(rollout: &str, connection: &Connection, output: Output) -> Result<(), Failure> {
    let request = pb::ListCommunicationsRequest {
        page_size: PAGE,
        rollout: rollout_name(rollout),
        ..pb::ListCommunicationsRequest::default()
    };
    let list = connection.comms()?.list_communications(request).await?.into_inner();
    if output == Output::Json {
        json("softlaunch.comms.v1.ListCommunicationsResponse", &list)?;
    } else {
        say(communications(&list));
    }
    let incomplete =
        list.communications.iter().filter(|one| one.state() == Told::Incomplete).count();
    match incomplete {
        0 => Ok(()),
        1 => Err(Failure::refused("1 communication is incomplete")),
        more => Err(Failure::refused(format!("{more} communications are incomplete"))),
    }
}

async fn redrive(
    arguments: &RedriveArguments,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    let reason = arguments.reason.clone();
    let mut comms = connection.comms()?;
    if let Some(message) = &arguments.message {
        let request = pb::RedriveMessageRequest { name: message_name(message), reason };
        let message = comms.redrive_message(request).await?.into_inner();
        if output == Output::Json {
            return json("softlaunch.comms.v1.Message", &message);
        }
        say(format!("{}: {}", message.name, short(message.state().as_str_name())));
        return Ok(());
    }
    let state = if arguments.unknown { message::State::Unknown } else { message::State::Dead };
    let request = pb::RedriveMessagesRequest {
        rollout: arguments.rollout.as_deref().map_or_else(String::new, rollout_name),
        channel: arguments.channel.clone(),
        event: arguments.event.clone(),
        state: state.into(),
        since_time: None,
        reason,
        validate_only: arguments.dry_run,
    };
    let redriven = comms.redrive_messages(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.comms.v1.RedriveMessagesResponse", &redriven);
    }
    let done = if arguments.dry_run { "would be tried again" } else { "are tried again" };
    say(format!("{} messages {done}", redriven.message_count));
    if redriven.more {
        say("there are more: repeat it for those");
    }
    Ok(())
}

/// What a channel's server said to a test; fails where it did not take it.
fn tested_channel(
    channel: &str,
    tested: &pb::TestChannelResponse,
    output: Output,
) -> Result<(), Failure> {
    let attempt = tested.attempt.clone().unwrap_or_default();
    let outcome = short(attempt.outcome().as_str_name());
    if output == Output::Json {
        json("softlaunch.comms.v1.TestChannelResponse", tested)?;
    } else {
        say(format!("{channel}: {outcome}: {}", attempt.detail));
    }
    if attempt.outcome() == pb::attempt::Outcome::Sent {
        return Ok(());
    }
    Err(Failure::refused(format!("the test was not taken by {channel}")))
}

/// The newest messages.
pub(crate) async fn list(connection: &Connection) -> Result<pb::ListMessagesResponse, Failure> {
    let request = pb::ListMessagesRequest { page_size: 100, ..pb::ListMessagesRequest::default() };
    Ok(connection.comms()?.list_messages(request).await?.into_inner())
}

/// Messages for people.
pub(crate) fn messages(list: &pb::ListMessagesResponse) -> comfy_table::Table {
    let mut table = table(["State", "Event", "To", "Subject", "Attempts", "Last word"]);
    for message in &list.messages {
        let last = message.attempts.last().map(|attempt| attempt.detail.clone());
        table.add_row([
            short(message.state().as_str_name()),
            message.event.clone(),
            message.destination.clone(),
            message.subject.clone(),
            message.attempts.len().to_string(),
            last.unwrap_or_default(),
        ]);
    }
    table
}

/// Communications for people: how far each is, and what is missing.
fn communications(list: &pb::ListCommunicationsResponse) -> comfy_table::Table {
    let mut table = table(["State", "Event", "Phase", "Told", "Deadline", "Missing"]);
    for one in &list.communications {
        table.add_row([
            short(one.state().as_str_name()),
            one.event.clone(),
            one.phase_id.clone(),
            format!("{} of {}", one.sent_count, one.message_count),
            time(one.deadline_time.as_ref()),
            one.detail.clone(),
        ]);
    }
    table
}

/// One message for people: its text, then every attempt.
fn one(message: &pb::Message) -> String {
    let mut lines = vec![
        format!("{}: {}", message.name, short(message.state().as_str_name())),
        format!("To:      {} in {} ({})", message.destination, message.channel, message.audience),
        format!("Subject: {}", message.subject),
        String::new(),
        message.body.clone(),
    ];
    if !message.state_reason.is_empty() {
        lines.push(format!("\nBecause: {}", message.state_reason));
    }
    if !message.attempts.is_empty() {
        lines.push("\nAttempts:".to_owned());
    }
    for attempt in &message.attempts {
        let outcome = short(attempt.outcome().as_str_name());
        lines.push(format!(
            "  {}  {outcome}  {}",
            time(attempt.occur_time.as_ref()),
            attempt.detail
        ));
    }
    lines.join("\n")
}

/// What would be sent, for people: each text once, with everybody it would go to.
fn preview(shown: &pb::PreviewMessageResponse) -> String {
    let mut texts: Vec<(&pb::Message, Vec<&str>)> = Vec::new();
    for message in &shown.messages {
        match texts.last_mut().filter(|(first, _)| first.channel == message.channel) {
            Some((_, destinations)) => destinations.push(&message.destination),
            None => texts.push((message, vec![&message.destination])),
        }
    }
    let mut blocks: Vec<_> = texts
        .into_iter()
        .map(|(message, destinations)| {
            let to = destinations.join(", ");
            format!("{}: {to}\nSubject: {}\n\n{}", message.channel, message.subject, message.body)
        })
        .collect();
    if !shown.detail.is_empty() {
        blocks.push(format!("Not told: {}", shown.detail));
    }
    blocks.join("\n\n---\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(channel: &str, destination: &str) -> pb::Message {
        pb::Message {
            name: "messages/m".to_owned(),
            channel: channel.to_owned(),
            destination: destination.to_owned(),
            audience: "Engineering".to_owned(),
            subject: "Subject".to_owned(),
            body: "Text".to_owned(),
            ..pb::Message::default()
        }
    }

    #[test]
    fn a_preview_shows_each_text_once_and_who_is_not_told() {
        let messages = vec![
            message("mail", "a@x.example"),
            message("mail", "b@x.example"),
            message("blog", "Blog"),
        ];
        let detail = "slack: template: undefined".to_owned();
        let shown = preview(&pb::PreviewMessageResponse { messages, detail });
        assert_eq!(
            shown,
            "mail: a@x.example, b@x.example\nSubject: Subject\n\nText\n\n---\n\nblog: Blog\n\
             Subject: Subject\n\nText\n\n---\n\nNot told: slack: template: undefined"
        );
    }

    #[test]
    fn a_message_is_shown_with_every_attempt() {
        let mut message = message("mail", "a@x.example");
        message.set_state(message::State::Dead);
        message.attempts.push(pb::Attempt {
            outcome: pb::attempt::Outcome::Permanent.into(),
            detail: "550 no such mailbox".to_owned(),
            ..pb::Attempt::default()
        });
        assert_eq!(
            one(&message),
            "messages/m: DEAD\nTo:      a@x.example in mail (Engineering)\nSubject: Subject\n\nText\n\
             \nAttempts:\n  -  PERMANENT  550 no such mailbox"
        );
    }

    #[test]
    fn the_status_says_what_is_missing() {
        let mut one = pb::Communication {
            event: "ga-announcement".to_owned(),
            message_count: 3,
            sent_count: 2,
            detail: "blog in blog: gone".to_owned(),
            ..pb::Communication::default()
        };
        one.set_state(Told::Incomplete);
        let list = pb::ListCommunicationsResponse {
            communications: vec![one],
            ..pb::ListCommunicationsResponse::default()
        };
        let shown = communications(&list).to_string();
        assert!(shown.contains("2 of 3") && shown.contains("blog in blog: gone"), "{shown}");
    }
}
