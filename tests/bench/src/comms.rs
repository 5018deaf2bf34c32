//! What a dead channel costs the others: delivery in one channel while another does not answer, beside
//! the same with all of them well.

use std::time::Duration;

use capture::SlackAnswer;
use contracts::comms as pb;
use contracts::rollout as rollout_pb;
use softlaunch_tests::{House, Outlets, Person, ask};
use tokio::time::{Instant, sleep};

use crate::Error;
use crate::measure::{Samples, report};

const TURNS: usize = 201; // Of a few milliseconds each.
const BACKLOG: usize = 20; // Messages to the channel that is dead in one of the houses.
const TARGET: f64 = 1.2; // Of the latency with a dead channel to that without.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const ROLLOUT: &str = "rollouts/bench";
const EVE: Person =
    Person { name: "eve", roles: &["engineering_lead", "product_manager", "sre_lead"] };
/// A message to the channel that is well in both houses, and one to the other.
const PROBE: &str = "ga-declaration";
const NOISE: &str = "advisory";

/// Prints how much longer a delivery takes beside a channel that takes in everything and never answers.
pub(crate) async fn beside_channels_that_are_well() -> Result<(), Error> {
    println!("comms: {TURNS} turns, {BACKLOG} messages waiting for a channel that does not answer");
    let (well, ill) = (begin(SlackAnswer::Accept).await?, begin(SlackAnswer::Stall).await?);
    let (mut of_well, mut of_ill) = (Samples::default(), Samples::default());
    for _turn in 0..TURNS {
        of_well.push(deliver(&well).await?);
        of_ill.push(deliver(&ill).await?);
    }
    let waiting = pending(&ill).await?;
    if waiting < BACKLOG {
        return Err(format!("only {waiting} messages wait: the channel was not dead").into());
    }
    report("delivery beside a dead channel", of_ill.median(), of_well.median(), TARGET);
    report("the same, 95th percentile", of_ill.quantile(95), of_well.quantile(95), TARGET);
    Ok(())
}

/// A house whose Slack answers like this, with a backlog for it.
async fn begin(answer: SlackAnswer) -> Result<House, Error> {
    let house = House::start().await;
    outlets(&house)?.slack.answer_always(answer);
    let mail_only = ("channels: [mail, slack-engineering]", "channels: [mail]");
    let source = plan::SHIPPED.replace(mail_only.0, mail_only.1).into_bytes();
    let stored = rollout_pb::CreatePlanVersionRequest { source, ..Default::default() };
    let stored = house.rollouts().create_plan_version(ask(EVE, stored)).await?.into_inner();
    let created = rollout_pb::CreateRolloutRequest {
        rollout_id: "bench".to_owned(),
        plan_version: stored.name,
        demo: true,
        ..Default::default()
    };
    house.rollouts().create_rollout(ask(EVE, created)).await?;
    let patience = Instant::now() + PATIENCE;
    while send(&house, NOISE).await.is_err() {
        if Instant::now() > patience {
            return Err("comms does not hear of the rollout".into());
        }
        sleep(POLL).await; // Until it follows.
    }
    for _message in 1..BACKLOG {
        send(&house, NOISE).await?;
    }
    let wanted = if answer != SlackAnswer::Accept { BACKLOG } else { 0 };
    while pending(&house).await? > wanted {
        if Instant::now() > patience {
            return Err("the backlog is not delivered".into());
        }
        sleep(POLL).await;
    }
    Ok(house)
}

async fn send(house: &House, event: &str) -> Result<(), tonic::Status> {
    let request = pb::SendCommunicationRequest {
        rollout: ROLLOUT.to_owned(),
        event: event.to_owned(),
        reason: "a measurement".to_owned(),
        ..Default::default()
    };
    house.comms().send_communication(ask(EVE, request)).await.map(drop)
}

/// How long it takes from the call to the arrival.
async fn deliver(house: &House) -> Result<Duration, Error> {
    let channel = &outlets(house)?.mail; // Slack is paced, one a second.
    let before = channel.attempts();
    let begun = Instant::now();
    send(house, PROBE).await?;
    tokio::time::timeout(PATIENCE, channel.wait_for_attempts(before + 1)).await?;
    Ok(begun.elapsed())
}

fn outlets(house: &House) -> Result<&Outlets, Error> {
    house.outlets.as_ref().ok_or_else(|| "a house without channels".into())
}

async fn pending(house: &House) -> Result<usize, Error> {
    let request = pb::ListMessagesRequest {
        page_size: 1_000,
        state: pb::message::State::Pending.into(),
        ..Default::default()
    };
    let listed = house.comms().list_messages(request).await?.into_inner().messages;
    Ok(listed.iter().filter(|message| message.event == NOISE).count())
}
