//! `softlaunch comms`: what was told to whom.

use contracts::comms as pb;

use crate::arguments::{CommsVerb, Output};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, short, table};

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
        CommsVerb::Redrive { message, reason } => {
            let name = if message.starts_with("messages/") {
                message.clone()
            } else {
                format!("messages/{message}")
            };
            let request = pb::RedriveMessageRequest { name, reason: reason.clone() };
            let message = connection.comms()?.redrive_message(request).await?.into_inner();
            if output == Output::Json {
                return json("softlaunch.comms.v1.Message", &message);
            }
            say(format!("{}: {}", message.name, short(message.state().as_str_name())));
            Ok(())
        }
    }
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
