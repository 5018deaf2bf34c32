//! A message that is marked as a test: what a channel's server says to it.

use std::time::Duration;

use contracts::comms as pb;
use contracts::comms::message::{Content, State, Urgency};
use contracts::comms::status_update::{Impact, Status as IncidentState};
use plan::ChannelKind;
use service_kit::fault::Fault;
use service_kit::wire::wire_time;
use uuid::Uuid;
use vocab::{Actor, Timestamp};

use super::App;
use super::asked::{applied, channel, known_role};
use crate::channels::{Answer, Channels, Outbound};
use crate::convert::wire_outcome;
use crate::error::DOMAIN;

const PATIENCE: Duration = Duration::from_secs(15);
const SUBJECT: &str = "[TEST] Softlaunch can reach this channel";
const BODY: &str = "This is a test of a communication channel. Nothing has happened and nothing is to \
                    be done.";

impl App {
    /// Sends a test, at once and once.
    pub(crate) async fn test_channel(
        &self,
        channels: &Channels,
        request: &pb::TestChannelRequest,
        actor: &Actor,
    ) -> Result<pb::TestChannelResponse, Fault> {
        let (kind, label) = {
            let snapshot = self.state();
            let plan = &applied(&snapshot.state, &request.rollout)?.plan;
            known_role(plan, &actor.roles, &actor.subject)?;
            let channel = channel(plan, &request.channel)?;
            (channel.kind, channel.label.clone())
        };
        let destination = match kind {
            ChannelKind::Mail | ChannelKind::Meeting => address(&request.destination)?,
            ChannelKind::Slack
            | ChannelKind::Banner
            | ChannelKind::Blog
            | ChannelKind::StatusPage
            | ChannelKind::Webhook => label,
        };
        let now = self.clock.now();
        let message = pb::Message {
            name: format!("messages/test-{}", Uuid::new_v4()),
            event: "test".to_owned(),
            rollout: request.rollout.clone(),
            channel: request.channel.clone(),
            audience: "a test".to_owned(),
            subject: SUBJECT.to_owned(),
            body: BODY.to_owned(),
            html_body: comms_core::html_of(BODY),
            urgency: Urgency::Normal.into(),
            state: State::Pending.into(),
            create_time: Some(wire_time(now)),
            content: content(kind, &destination, now),
            destination,
            test: true,
            ..pb::Message::default()
        };
        let outbound =
            Outbound { message: &message, kind: Some(kind), first_receipt: None, begun: false };
        let answer = tokio::time::timeout(PATIENCE, channels.send(outbound)).await;
        let answer = answer.unwrap_or_else(|_e| Answer::unknown("no answer within 15 s"));
        tracing::info!(channel = request.channel, outcome = ?answer.outcome, "tested a channel");
        let attempt = pb::Attempt {
            occur_time: Some(wire_time(now)),
            outcome: wire_outcome(&answer.outcome).into(),
            detail: answer.detail,
            receipt: answer.receipt,
        };
        Ok(pb::TestChannelResponse { message: Some(message), attempt: Some(attempt) })
    }
}

/// A mail address that a server may be asked to take.
fn address(text: &str) -> Result<String, Fault> {
    let checked: Result<lettre::Address, _> = text.parse();
    checked.map(|address| address.to_string()).map_err(|error| {
        let why = format!("`{}` is not a mail address: {error}", vocab::excerpt(text));
        Fault::field(DOMAIN, "destination", why)
    })
}

fn content(kind: ChannelKind, destination: &str, now: Timestamp) -> Option<Content> {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    const LENGTH: Duration = Duration::from_secs(15 * 60);
    match kind {
        ChannelKind::Meeting => Some(Content::Meeting(pb::Meeting {
            uid: format!("test-{}@softlaunch.invalid", now.as_millis()),
            sequence: 0,
            cancelled: false,
            start_time: Some(wire_time(now.plus(DAY))),
            end_time: Some(wire_time(now.plus(DAY).plus(LENGTH))),
            attendees: vec![destination.to_owned()],
        })),
        ChannelKind::StatusPage => Some(Content::StatusUpdate(pb::StatusUpdate {
            incident: format!("test-{}", now.as_millis()),
            status: IncidentState::Resolved.into(),
            impact: Impact::None.into(),
            components: Vec::new(),
        })),
        ChannelKind::Blog => Some(Content::BlogPost(pb::BlogPost { post: "test".to_owned() })),
        ChannelKind::Banner => Some(Content::Banner(pb::BannerContent {
            banner: "test".to_owned(),
            flag: "flags/test".to_owned(),
            withdrawn: true,
        })),
        ChannelKind::Slack | ChannelKind::Mail | ChannelKind::Webhook => None,
    }
}
