//! A rollback survives anything: cut before and after every single effect, it goes on where it was,
//! and its record says that every step was done once.

use contracts::rollout as pb;
use contracts::rollout::rollout::State;

use crate::fakes::Cut;
use crate::site::{LINK, ROLLOUT, Site, by};

/// Calls of a rollback that change something elsewhere: the kill switch, then gate, flag and rules
/// before it goes back and after.
const EFFECTS: usize = 7;

fn rolled_back(rollout: &pb::Rollout) -> bool {
    rollout.state() == State::Paused && !rollout.reconciling
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_stops_work_first_and_ends_in_the_phase_before() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P1").await;
    let before = site.fakes.world().told.len();
    conductor.roll_back(false).await;
    let rollout = conductor.becomes("the rollback to be over", rolled_back).await;
    assert_eq!((rollout.phase_id.as_str(), rollout.pause_global), ("P0", true));
    let told = site.fakes.world().told[before..].to_vec();
    assert_eq!(told.len(), EFFECTS, "{told:?}");
    assert_eq!(told[0], "kill switch: engaged");
    assert_eq!(
        (told[2].as_str(), told[5].as_str()),
        ("flag: P1 at 0, paused", "flag: P0 at 0, paused")
    );
    assert!(conductor.steps_done().await.iter().all(|(_, count)| *count == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_cut_before_or_after_any_effect_is_finished_by_the_next_process() {
    for cut in (1..=EFFECTS).flat_map(|place| [Cut::Before(place), Cut::After(place)]) {
        // Given a rollback that is cut, and whose process ends
        let site = Site::new().await;
        let conductor = site.conductor().await;
        conductor.enter("P1").await;
        site.fakes.cut(Some(cut));
        conductor.roll_back(false).await;
        let rollout = conductor.rollout().await;
        assert!(!rolled_back(&rollout), "{cut:?} cut nothing");
        conductor.end().await;

        // When another begins where it was
        site.fakes.cut(None);
        let conductor = site.conductor().await;

        // Then it goes on, and no step is recorded twice
        let rollout = conductor.becomes("the rollback to be over", rolled_back).await;
        assert_eq!(rollout.phase_id, "P0", "{cut:?}");
        let done = conductor.steps_done().await;
        assert!(done.iter().all(|(_, count)| *count == 1), "{cut:?}: {done:?}");
        let last = site.fakes.world().told.iter().rfind(|told| told.starts_with("flag:")).cloned();
        assert_eq!(last.as_deref(), Some("flag: P0 at 0, paused"), "{cut:?}");
        conductor.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_names_what_could_not_be_had_and_carries_the_rest() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P1").await;
    conductor.roll_back(false).await;
    conductor.becomes("the rollback to be over", rolled_back).await;
    let records = conductor.records().await;
    let captured = records.iter().find_map(|record| {
        use contracts::rollout::rollout_event::Kind;
        use prost::Message as _;
        let event = pb::RolloutEvent::decode(record.payload.as_slice()).unwrap();
        let Some(Kind::RollbackStepDone(done)) = event.kind else { return None };
        (done.step_id == "capture-state").then_some(done)
    });
    let captured = captured.expect("the state was captured");
    let bundle: serde_json::Value = serde_json::from_slice(&captured.artifact).unwrap();
    let metrics = bundle["metrics"]["unavailable"].as_str().unwrap();
    assert!(metrics.contains("no numbers today"), "{metrics}");
    assert_eq!(bundle["rollout"]["name"], ROLLOUT);
    assert_eq!(bundle["flag"]["name"], "flags/ingestion_v2_enabled");
    let journal = bundle["journal"].as_array().unwrap();
    assert!(journal.iter().any(|entry| entry["kind"] == "RollbackStarted"), "{journal:?}");
    assert!(captured.detail.contains("sha256"), "{}", captured.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_tick_off_their_steps_and_then_it_goes_on() {
    let site = Site::new().await;
    let conductor = site.conductor().await;
    conductor.enter("P1").await;
    conductor.roll_back(false).await;
    let rollout = conductor.becomes("the rollback to be over", rolled_back).await;
    let resume = |etag: &str, evidence: &str| pb::ResumeRolloutRequest {
        name: ROLLOUT.to_owned(),
        reason: "fixed".to_owned(),
        etag: etag.to_owned(),
        evidence: evidence.to_owned(),
    };
    let mut client = conductor.client.clone();
    let early = client.resume_rollout(by("ada", &[], resume(&rollout.etag, LINK))).await;
    let early = early.unwrap_err();
    assert_eq!(early.code(), tonic::Code::FailedPrecondition);
    assert!(early.message().contains("investigate-root-cause, fix-and-verify"), "{early:?}");
    for step in ["investigate-root-cause", "fix-and-verify"] {
        let request = pb::CompleteRollbackStepRequest {
            name: ROLLOUT.to_owned(),
            step_id: step.to_owned(),
            detail: "it was the delimiter".to_owned(),
            evidence: LINK.to_owned(),
        };
        client.complete_rollback_step(by("ada", &[], request)).await.unwrap();
    }
    let etag = conductor.rollout().await.etag;
    let resumed = client.resume_rollout(by("ada", &[], resume(&etag, LINK))).await.unwrap();
    assert_eq!(resumed.get_ref().state(), State::Running);
    let request = pb::ListTimelineRequest { name: ROLLOUT.to_owned(), ..Default::default() };
    let timeline = client.list_timeline(request).await.unwrap().into_inner().entries;
    let told = |text: &str| timeline.iter().any(|entry| entry.text.contains(text));
    for text in ["rollback to the previous phase began", "it was the delimiter", "resumed: fixed"] {
        assert!(told(text), "{text}: {timeline:?}");
    }
}
