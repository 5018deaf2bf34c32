//! What a rollback sets off: those whom it touches are told, and errors alone can begin one.

use contracts::comms as comms_pb;
use contracts::flag as flag_pb;
use contracts::gate as gate_pb;
use contracts::gate::upload_outcome::Result as UploadResult;
use contracts::rollout as pb;
use contracts::rollout::rollout::State;
use softlaunch_tests::{CLIENT, House, ask};
use test_kit::eventually;

use crate::going_back::{LINK, roll_back, step};
use crate::story::{ADA, BOB, PIA, ROLLOUT, SAM, outcome, outcomes, rollout, started};

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_told_the_clients_it_touches_by_the_flag_that_had_them_on() {
    // Given a phase with uploads of one client, whom only the directory beside the plan knows
    let house = House::start().await;
    started(&house).await;
    let uploads = outcomes("batch", vec![outcome(&house, "u-1"), outcome(&house, "u-2")]);
    house.signals().report_outcomes(ask(BOB, uploads)).await.unwrap();
    let name = "flags/ingestion_v2_enabled".to_owned();
    let get = || flag_pb::GetFlagRequest { name: name.clone() };
    let in_force = eventually("the phase has set the flag", async || {
        house.flags().get_flag(ask(ADA, get())).await.ok().map(|flag| flag.into_inner().revision)
    })
    .await;

    // When it is rolled back, which makes a new revision of the flag
    house.rollouts().roll_back_rollout(ask(SAM, roll_back("uploads vanish"))).await.unwrap();

    // Then that client is told, and the message says whom it is about and by which revision
    let told = eventually("the notice is delivered", async || {
        let request = comms_pb::ListMessagesRequest { page_size: 1_000, ..Default::default() };
        let all = house.comms().list_messages(request).await.unwrap().into_inner().messages;
        let mut sent = all.into_iter().filter(|one| one.state() == comms_pb::message::State::Sent);
        sent.find(|one| one.event == "rollback-notice" && one.destination == CLIENT)
    })
    .await;
    assert_eq!(told.workspaces, ["internal-test-workspace"]);
    assert_eq!(told.flag_revision, in_force);
    let mails = house.outlets.as_ref().unwrap().mail.messages();
    assert_eq!(mails.iter().filter(|mail| mail.to == [CLIENT]).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_that_go_on_pause_the_phase_then_roll_it_back_and_it_ramps_again() {
    // Given a rollout in its first phase, a quarter of an hour in three seconds
    let house = House::hurried(300).await;
    started(&house).await;
    let batch = std::cell::Cell::new(0);
    let fail = async || {
        batch.set(batch.get() + 1);
        let upload = |n: usize| gate_pb::UploadOutcome {
            result: UploadResult::Failed.into(),
            ..outcome(&house, &format!("u-{}-{n}", batch.get()))
        };
        let uploads = outcomes(&format!("batch-{}", batch.get()), (0..20).map(upload).collect());
        house.signals().report_outcomes(ask(BOB, uploads)).await.unwrap();
    };

    // When uploads fail, and go on failing
    eventually("the phase is paused", async || {
        fail().await;
        let now = rollout(&house).await;
        let fires = now.firing_triggers.iter().any(|one| one == "error-rate-over-10");
        (fires && now.state() == State::Paused).then_some(())
    })
    .await;
    let back = eventually("it is rolled back", async || {
        fail().await;
        let now = rollout(&house).await;
        (now.rollback.is_some() && now.state() == State::Paused && !now.reconciling).then_some(now)
    })
    .await;

    // Then the five steps of the system are done, by the trigger and once
    let rollback = back.rollback.as_ref().unwrap();
    assert_eq!(rollback.trigger, "error-rate-over-20");
    let done = rollback.steps.iter().filter(|one| one.complete_time.is_some());
    assert_eq!(done.count(), plan::SYSTEM_STEPS.len());

    // When people have done what is theirs
    for done in ["investigate-root-cause", "fix-and-verify"] {
        house.rollouts().complete_rollback_step(ask(ADA, step(done, LINK))).await.unwrap();
    }

    let resume = pb::ResumeRolloutRequest {
        name: ROLLOUT.to_owned(),
        reason: "fixed".to_owned(),
        evidence: LINK.to_owned(),
        ..Default::default()
    };

    // Then it ramps again from the phase before: whose root cause is fixed need not wait for a
    // window of uploads that a stopped pipeline does not have
    let resumed = eventually("it goes on", async || {
        let etag = rollout(&house).await.etag;
        let resume = pb::ResumeRolloutRequest { etag, ..resume.clone() };
        Some(house.rollouts().resume_rollout(ask(PIA, resume)).await.ok()?.into_inner())
    })
    .await;
    assert_eq!((resumed.state(), resumed.phase_id.as_str()), (State::Running, "P0"));
    let began = |one: &pb::Rollout| one.rollback.as_ref().and_then(|one| one.start_time);
    assert_eq!(began(&resumed), began(&back), "it was rolled back once");
}
