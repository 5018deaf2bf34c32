//! The channels against servers of others, and against our own where those can be told to fail.

mod mail;
mod peers;
mod secrets;
mod slack;
mod status_page;
mod webhook;

use contracts::comms as pb;
use plan::ChannelKind;

use super::{Answer, Channels, Outbound};
use crate::settings::Settings;
use service_kit::bootstrap::ServiceSettings as _;

fn settings() -> Settings {
    service_kit::settings::defaults(Settings::DEFAULTS).unwrap()
}

fn message(channel: &str, destination: &str) -> pb::Message {
    pb::Message {
        name: format!("messages/rollout-7.{channel}"),
        event: "phase-start".to_owned(),
        channel: channel.to_owned(),
        destination: destination.to_owned(),
        subject: "P1 has started".to_owned(),
        body: "The first clients are on.".to_owned(),
        create_time: Some(prost_types::Timestamp { seconds: 1_795_719_600, nanos: 0 }),
        ..pb::Message::default()
    }
}

/// The message after an attempt of which nobody knows how it ended.
fn doubtful(message: &pb::Message) -> pb::Message {
    let outcome = pb::attempt::Outcome::Unknown.into();
    let occur_time = message.create_time;
    let attempts = vec![pb::Attempt { outcome, occur_time, ..pb::Attempt::default() }];
    pb::Message { attempts, ..message.clone() }
}

impl Channels {
    async fn tell(&self, kind: ChannelKind, message: &pb::Message, first: Option<&str>) -> Answer {
        self.send(Outbound { message, kind: Some(kind), first_receipt: first, begun: false }).await
    }
}
