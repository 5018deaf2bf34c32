//! Commands without an etag, given to all replicas at once: carried out once, with one answer.

use std::collections::BTreeMap;

use contracts::comms as comms_pb;
use contracts::comms::comms_event::Kind;
use contracts::gate as pb;
use contracts::rollout as rollout_pb;
use prost::Message as _;
use softlaunch_tests::{House, ask};
use test_kit::eventually;
use tonic::Code;

use super::{ROLLOUT, at_once, current, houses, kinds, settled};
use crate::clients::{ADA, batch, engage, prepare};
use crate::installation::Addresses;
use crate::truth::records;
use test_kit::rounds;

/// Makes the rollout known to every replica.
async fn prepared(houses: &[House]) {
    prepare(&Addresses::of(&houses[0])).await;
    for house in houses {
        eventually("the gate of every replica to know the rollout", async || {
            let request = pb::GetGatePlanRequest { name: format!("{ROLLOUT}/gatePlan") };
            house.gates().get_gate_plan(request).await.is_ok()
        })
        .await;
    }
}

fn attestation(criterion: &str, statement: &str, request_id: &str) -> pb::AttestCriterionRequest {
    pb::AttestCriterionRequest {
        name: format!("{ROLLOUT}/criteria/{criterion}"),
        role: "engineering_lead".to_owned(),
        evidence: "https://wiki.example.com/evidence".to_owned(),
        statement: statement.to_owned(),
        request_id: request_id.to_owned(),
    }
}

/// A rollout in its first phase, known to every replica.
pub(super) async fn started(houses: &[House]) {
    prepared(houses).await;
    for criterion in
        ["p0-workers-deployed", "p0-guardrails-configured", "p0-dashboard-live", "p0-alerts-active"]
    {
        let request = ask(ADA, attestation(criterion, "seen", ""));
        houses[0].gates().attest_criterion(request).await.expect("an attestation is taken");
    }
    houses[0].approve_plan("plans/ingestion_v2/versions/1.0").await;
    let request =
        rollout_pb::StartRolloutRequest { name: ROLLOUT.to_owned(), ..Default::default() };
    houses[0].rollouts().start_rollout(ask(ADA, request)).await.expect("P0 is entered");
    settled(&houses[0]).await;
    for house in houses {
        eventually("every replica to know that P0 was entered", async || {
            settled(house).await.phase_id == "P0"
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_given_one_request_id_or_batch_carry_it_out_once_with_one_answer() {
    for count in [2, 3] {
        let (_redis, houses) = houses(count).await;
        prepared(&houses).await;
        for round in 0..rounds(6) {
            let request_id = uuid::Uuid::new_v4().to_string();
            let attested = at_once(&houses, |_, house| {
                let statement = format!("round {round}");
                let mut gates = house.gates();
                let request = ask(ADA, attestation("p0-dashboard-live", &statement, &request_id));
                async move { gates.attest_criterion(request).await }
            });
            let mut answers = attested.await.into_iter().map(|one| one.expect("attested"));
            let first = answers.next();
            assert!(answers.all(|one| Some(one) == first), "RACE: two answers to one request");

            let taken = batch(&format!("batch-{round}"));
            let counted = at_once(&houses, |_, house| {
                let (mut signals, request) = (house.signals(), ask(ADA, taken.clone()));
                async move { signals.report_outcomes(request).await }
            });
            let counted = counted.await.into_iter().map(|one| one.expect("a batch is taken"));
            let new = counted.filter(|one| !one.duplicate).count();
            assert_eq!(new, 1, "RACE: {new} of {count} replicas counted the batch");
        }
        let records = records(&houses[0].store, "gate").await;
        assert_eq!(kinds(&records).get("CriterionAttested"), Some(&rounds(6)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_generation_is_aborted_on_every_replica_with_the_one_applied() {
    let (_redis, houses) = houses(3).await;
    started(&houses).await;
    let answers = at_once(&houses, |_, house| {
        let request = pb::ApplyGatePlanRequest {
            rollout: ROLLOUT.to_owned(),
            plan_source: plan::SHIPPED.as_bytes().to_vec(),
            generation: 1,
            phase_generation: 1,
            ..Default::default()
        };
        let mut gates = house.gates();
        async move { gates.apply_gate_plan(ask(ADA, request)).await }
    });
    let rollout = settled(&houses[0]).await;
    for answer in answers.await {
        let status = answer.expect_err("generation 1 is over");
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
        let applied = current(&status, "STALE_GENERATION", "applied");
        assert_eq!(applied, rollout.generation.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_comms_handle_each_event_once_and_attempt_each_message_once() {
    for count in [2, 3] {
        let (_redis, houses) = houses(count).await;
        prepared(&houses).await;
        let kills = rounds(6);
        for number in 0..kills {
            let tag = format!("ws-told-{number:05}-x");
            engage(&Addresses::of(&houses[number % count]), &tag).await.expect("it is engaged");
        }
        // Nothing is set up to deliver to: every message is given up at its first attempt. That they
        // are is told as well, and is no kill.
        let messages = eventually("every kill to be told of", async || {
            let mut messages = listed(&houses[0]).await?;
            messages.retain(|one| {
                one.channel == "slack-incidents" && one.subject.contains("kill switch engaged")
            });
            let settled = |one: &comms_pb::Message| one.state() == comms_pb::message::State::Dead;
            (messages.len() >= kills && messages.iter().all(settled)).then_some(messages)
        })
        .await;
        assert_eq!(messages.len(), kills, "RACE: {} messages of {kills} kills", messages.len());

        let (mut handled, mut attempted) = (BTreeMap::new(), BTreeMap::new());
        for record in records(&houses[0].store, "comms").await {
            let event = comms_pb::CommsEvent::decode(record.payload.as_slice());
            match event.expect("an event of comms").kind {
                Some(Kind::SourceHandled(event)) => {
                    *handled.entry((event.source, event.revision)).or_insert(0) += 1;
                }
                Some(Kind::DeliveryAttempted(event)) => {
                    *attempted.entry(event.message).or_insert(0) += 1;
                }
                Some(
                    Kind::Redriven(_)
                    | Kind::MessagesMade(_)
                    | Kind::DeliveryBegun(_)
                    | Kind::ReminderAcknowledged(_),
                )
                | None => {}
            }
        }
        assert!(handled.values().all(|times| *times == 1), "RACE: {handled:?}");
        assert!(attempted.values().all(|times| *times == 1), "RACE: {attempted:?}");
        let known = |one: &comms_pb::Message| attempted.contains_key(&one.name);
        assert!(messages.iter().all(known), "RACE: {attempted:?}");
    }
}

/// Every message there is.
async fn listed(house: &House) -> Option<Vec<comms_pb::Message>> {
    let (mut messages, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            comms_pb::ListMessagesRequest { page_size: 1_000, page_token, ..Default::default() };
        let page = house.comms().list_messages(request).await.ok()?.into_inner();
        messages.extend(page.messages);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Some(messages);
        }
    }
}
