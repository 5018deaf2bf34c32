//! Rollbacks, and the papers of a rollout, over real sockets: every command in the wrong state.

use contracts::gate as gate_pb;
use contracts::gate::incident;
use contracts::gate::signal::Kind;
use contracts::rollout as pb;
use contracts::rollout::matrix_row::Advice;
use contracts::rollout::rollout::State;
use softlaunch_tests::{House, ask};
use test_kit::eventually;
use tonic::Code;

use crate::refusal::{refused, refused_field};
use crate::story::{
    ADA, BOB, EVE, PIA, PLAN, PLAN_VERSION, ROLLOUT, SAM, created, rollout, signal, signals,
    started,
};

const fn held(reason: &str) -> (Code, &str) {
    (Code::FailedPrecondition, reason)
}

pub(crate) const LINK: &str = "https://wiki.example.com/evidence";

pub(crate) fn roll_back(reason: &str) -> pb::RollBackRolloutRequest {
    let (name, reason) = (ROLLOUT.to_owned(), reason.to_owned());
    pb::RollBackRolloutRequest { name, reason, to_first: false }
}

pub(crate) fn step(step: &str, evidence: &str) -> pb::CompleteRollbackStepRequest {
    pb::CompleteRollbackStepRequest {
        name: ROLLOUT.to_owned(),
        step_id: step.to_owned(),
        detail: "done".to_owned(),
        evidence: evidence.to_owned(),
    }
}

fn task(task: &str) -> pb::CompletePostGaTaskRequest {
    let (name, task_id, evidence) = (ROLLOUT.to_owned(), task.to_owned(), LINK.to_owned());
    pb::CompletePostGaTaskRequest { name, task_id, evidence }
}

fn advise(conditions: &[&str], hours: Option<i64>) -> pb::AdviseRequest {
    pb::AdviseRequest {
        name: ROLLOUT.to_owned(),
        conditions: conditions.iter().map(|one| (*one).to_owned()).collect(),
        expected_duration: hours
            .map(|hours| prost_types::Duration { seconds: hours * 3_600, nanos: 0 }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_approved_by_every_role_before_a_rollout_starts_by_it() {
    let house = House::start().await;
    let source = PLAN.as_bytes().to_vec();
    let plan = pb::CreatePlanVersionRequest { source, ..Default::default() };
    let stored = house.rollouts().create_plan_version(ask(ADA, plan)).await.unwrap().into_inner();
    assert_eq!(stored.open_approval_roles, ["engineering_lead", "product_manager", "sre_lead"]);
    let approve = |role: &str| pb::ApprovePlanVersionRequest {
        name: PLAN_VERSION.to_owned(),
        role: role.to_owned(),
        reason: String::new(),
    };
    let mut rollouts = house.rollouts();
    refused_field(
        &house,
        rollouts.approve_plan_version(ask(ADA, approve(""))),
        &["role", "is required"],
    )
    .await;
    let rule = (Code::PermissionDenied, "ROLE_MISSING");
    let posing = rollouts.approve_plan_version(ask(BOB, approve("sre_lead")));
    refused(&house, posing, rule, &["bob does not hold the role sre_lead"]).await;
    let mut rollouts = house.rollouts();
    let wrong = rollouts.approve_plan_version(ask(EVE, approve("support")));
    refused(&house, wrong, held("ROLE_NOT_ASKED"), &["is not approved by support"]).await;
    rollouts = house.rollouts();
    rollouts.approve_plan_version(ask(EVE, approve("sre_lead"))).await.unwrap();
    let twice = rollouts.approve_plan_version(ask(EVE, approve("product_manager")));
    refused(&house, twice, held("SAME_PERSON_TWICE"), &["every role needs another person"]).await;
    let rollout = pb::CreateRolloutRequest {
        rollout_id: "ingestion-v2".to_owned(),
        plan_version: PLAN_VERSION.to_owned(),
        ..Default::default()
    };
    house.rollouts().create_rollout(ask(ADA, rollout)).await.unwrap();
    let start = pb::StartRolloutRequest { name: ROLLOUT.to_owned(), ..Default::default() };
    let says = [PLAN_VERSION, "waits for approval by engineering_lead, product_manager"];
    let mut rollouts = house.rollouts();
    let early = rollouts.start_rollout(ask(ADA, start));
    refused(&house, early, held("GATE_NOT_MET"), &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_in_the_wrong_state_says_what_is_missing_and_who_can_supply_it() {
    let house = House::start().await;
    created(&house).await;
    let mut rollouts = house.rollouts();
    refused_field(
        &house,
        rollouts.roll_back_rollout(ask(BOB, roll_back(""))),
        &["reason", "say why"],
    )
    .await;
    let mut rollouts = house.rollouts();
    let early = rollouts.roll_back_rollout(ask(BOB, roll_back("why")));
    refused(&house, early, held("WRONG_STATE"), &["exposes nobody"]).await;
    let mut rollouts = house.rollouts();
    let nothing = rollouts.complete_rollback_step(ask(BOB, step("fix-and-verify", LINK)));
    refused(&house, nothing, held("NO_ROLLBACK"), &["never rolled back"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_carried_out_by_all_services_and_people_finish_it() {
    // Given a rollout in P0, when it is rolled back
    let house = House::start().await;
    started(&house).await;
    house.rollouts().roll_back_rollout(ask(BOB, roll_back("data is wrong"))).await.unwrap();
    let back = eventually("the rollback to be over", async || {
        let rollout = rollout(&house).await;
        (rollout.state() == State::Paused && !rollout.reconciling).then_some(rollout)
    })
    .await;

    // Then the pipeline is stopped, and what people do is left
    let rollback = back.rollback.as_ref().unwrap();
    let open: Vec<_> = rollback.steps.iter().filter(|step| step.complete_time.is_none()).collect();
    assert_eq!(
        open.iter().map(|step| step.step_id.as_str()).collect::<Vec<_>>(),
        ["investigate-root-cause", "fix-and-verify", "re-ramp"]
    );
    let scope = contracts::killswitch::Scope {
        kind: contracts::killswitch::scope::Kind::Pipeline.into(),
        pipeline: "ingestion_v2".to_owned(),
        ..Default::default()
    };
    let request = contracts::killswitch::GetKillSwitchRequest { scope: Some(scope) };
    let switch = house.kills().get_kill_switch(request).await.unwrap().into_inner();
    assert_eq!(switch.state(), contracts::killswitch::kill_switch::State::Engaged);
    assert!(switch.reason.contains("data is wrong"), "{}", switch.reason);

    let mut rollouts = house.rollouts();
    let unknown = rollouts.complete_rollback_step(ask(ADA, step("pray", LINK)));
    let rule = (Code::NotFound, "STEP_NOT_FOUND");
    refused(&house, unknown, rule, &["no step that people do", "re-ramp"]).await;
    let mut rollouts = house.rollouts();
    let unproven = rollouts.complete_rollback_step(ask(ADA, step("fix-and-verify", "trust me")));
    refused_field(&house, unproven, &["evidence", "http or https"]).await;
    let resume = |etag: &str, evidence: &str| pb::ResumeRolloutRequest {
        name: ROLLOUT.to_owned(),
        reason: "fixed".to_owned(),
        etag: etag.to_owned(),
        evidence: evidence.to_owned(),
    };
    let mut rollouts = house.rollouts();
    let early = rollouts.resume_rollout(ask(PIA, resume(&back.etag, LINK)));
    refused(&house, early, held("ROLLBACK_INCOMPLETE"), &["investigate-root-cause"]).await;
    for done in ["investigate-root-cause", "fix-and-verify"] {
        house.rollouts().complete_rollback_step(ask(ADA, step(done, LINK))).await.unwrap();
    }
    let etag = rollout(&house).await.etag;
    let resumed = house.rollouts().resume_rollout(ask(PIA, resume(&etag, LINK))).await.unwrap();
    assert_eq!(resumed.get_ref().state(), State::Running);
    assert_eq!(resumed.get_ref().phase_id, "P0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_refused_before_its_time_and_what_is_missing_is_named() {
    let house = House::start().await;
    let seen = started(&house).await;
    let mut rollouts = house.rollouts();
    let announce = pb::AnnounceGaRequest { name: ROLLOUT.to_owned(), ..Default::default() };
    let early = rollouts.announce_ga(ask(PIA, announce));
    refused(&house, early, held("NOT_LAST_PHASE"), &["P0 is followed by P1"]).await;
    let mut rollouts = house.rollouts();
    let declare = pb::DeclareGaRequest { name: ROLLOUT.to_owned(), ..Default::default() };
    let early = rollouts.declare_ga(ask(PIA, declare));
    refused(&house, early, held("NOT_LAST_PHASE"), &["DeclareGa"]).await;
    let mut rollouts = house.rollouts();
    let early = rollouts.complete_post_ga_task(ask(PIA, task("lessons-learned")));
    refused(&house, early, held("WRONG_STATE"), &["to have been declared"]).await;
    let mut rollouts = house.rollouts();
    let unknown = rollouts.complete_post_ga_task(ask(PIA, task("rest")));
    let rule = (Code::NotFound, "TASK_NOT_FOUND");
    refused(&house, unknown, rule, &["no task of the plan", "lessons-learned"]).await;
    let archive = |etag: &str| pb::ArchiveRolloutRequest {
        name: ROLLOUT.to_owned(),
        reason: "given up".to_owned(),
        etag: etag.to_owned(),
    };
    let mut rollouts = house.rollouts();
    let careless = rollouts.archive_rollout(ask(PIA, archive("")));
    refused_field(&house, careless, &["etag", "ending is considered"]).await;
    // P0 exposes nobody by percentage: it can be given up, once.
    let over = house.rollouts().archive_rollout(ask(PIA, archive(&seen.etag))).await.unwrap();
    assert_eq!(over.get_ref().state(), State::Archived);
    let mut rollouts = house.rollouts();
    let late = rollouts.roll_back_rollout(ask(BOB, roll_back("why")));
    refused(&house, late, held("WRONG_STATE"), &["stop its pipeline with the kill switch"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_would_change_what_was_decided_is_refused_with_the_paths() {
    let house = House::start().await;
    let seen = started(&house).await;
    let store = async |text: String| {
        let plan = pb::CreatePlanVersionRequest { source: text.into_bytes(), ..Default::default() };
        let stored = house.rollouts().create_plan_version(ask(ADA, plan)).await;
        stored.expect("the changed plan is valid").into_inner().name
    };
    let versioned =
        |version: &str| PLAN.replacen("version: \"1.0\"", &format!("version: \"{version}\""), 1);
    let rewritten =
        store(versioned("1.1").replacen("internal-test-workspace", "other-ws", 1)).await;
    let ahead = store(versioned("1.2").replacen("canary-ws-2", "canary-ws-3", 1)).await;
    let change = |version: &str, etag: &str| pb::ChangeRolloutPlanRequest {
        name: ROLLOUT.to_owned(),
        plan_version: version.to_owned(),
        reason: "we know more".to_owned(),
        etag: etag.to_owned(),
        validate_only: false,
    };
    let mut rollouts = house.rollouts();
    let rewriting = rollouts.change_rollout_plan(ask(ADA, change(&rewritten, &seen.etag)));
    refused(&house, rewriting, held("PLAN_REWRITES_HISTORY"), &["phases[0].flag"]).await;
    let mut rollouts = house.rollouts();
    let unapproved = rollouts.change_rollout_plan(ask(ADA, change(&ahead, &seen.etag)));
    refused(&house, unapproved, held("APPROVAL_MISSING"), &["sre_lead"]).await;
    house.approve_plan(&ahead).await;
    let changed = house.rollouts().change_rollout_plan(ask(ADA, change(&ahead, &seen.etag))).await;
    assert_eq!(changed.unwrap().get_ref().plan_version, ahead);
}

#[tokio::test(flavor = "multi_thread")]
async fn advice_names_the_row_and_the_riskier_one_wins() {
    let house = House::start().await;
    created(&house).await;
    let row = async |request: pb::AdviseRequest| {
        let advice = house.rollouts().advise(request).await.unwrap().into_inner();
        let row = advice.row.unwrap();
        (row.row_id.clone(), row.advice())
    };
    let known = "known-issue".to_owned();
    assert_eq!(row(advise(&["known-issue"], Some(3))).await, (known, Advice::Pause));
    let longer = ("code-change".to_owned(), Advice::RollBack);
    assert_eq!(row(advise(&["known-issue"], Some(30))).await, longer);
    let riskier = ("client-impact".to_owned(), Advice::RollBack);
    assert_eq!(row(advise(&["unknown-issue", "client-impact"], None)).await, riskier);
    let mut rollouts = house.rollouts();
    let unknown = rollouts.advise(advise(&["bad-mood"], None));
    refused_field(&house, unknown, &["conditions[0]", "known-issue"]).await;
    let mut rollouts = house.rollouts();
    let nothing = rollouts.advise(advise(&["known-issue"], Some(10)));
    refused_field(&house, nothing, &["conditions", "no row of the matrix applies"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_tells_who_did_what_and_can_be_added_to() {
    let house = House::start().await;
    started(&house).await;
    let note = |text: &str| {
        let (name, text) = (ROLLOUT.to_owned(), text.to_owned());
        ask(SAM, pb::NoteTimelineRequest { name, text })
    };
    let mut rollouts = house.rollouts();
    refused_field(&house, rollouts.note_timeline(note("")), &["text"]).await;
    house.rollouts().note_timeline(note("the dashboard looks odd")).await.unwrap();
    let mut told = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            pb::ListTimelineRequest { name: ROLLOUT.to_owned(), page_size: 1, page_token };
        let page = house.rollouts().list_timeline(request).await.unwrap().into_inner();
        told.extend(page.entries.into_iter().map(|entry| (entry.actor, entry.text)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let wanted = [
        ("ada", "created by plans/ingestion_v2/versions/1.0"),
        ("ada", "P0 was entered at 0%"),
        ("sam", "the dashboard looks odd"),
    ];
    assert_eq!(told, wanted.map(|(actor, text)| (actor.to_owned(), text.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_pauses_its_rollout_until_it_is_resolved() {
    // Given
    let house = House::start().await;
    started(&house).await;
    let incident = |state: incident::State| {
        let told = gate_pb::Incident {
            incident_id: "INC-1".to_owned(),
            kind: incident::Kind::P1.into(),
            state: state.into(),
            title: "uploads vanish".to_owned(),
            client_facing: true,
        };
        let batch = format!("incident-{}", state.as_str_name());
        signals(&batch, vec![signal(&house, Kind::Incident(told))])
    };
    let resume = |etag: String| pb::ResumeRolloutRequest {
        name: ROLLOUT.to_owned(),
        reason: "it is over".to_owned(),
        evidence: LINK.to_owned(),
        etag,
    };
    // When
    house.signals().report_signals(ask(BOB, incident(incident::State::Declared))).await.unwrap();
    // Then
    let paused = eventually("the rollout to pause", async || {
        let now = rollout(&house).await;
        (now.state() == State::Paused && !now.reconciling).then_some(now)
    })
    .await;
    assert_eq!(paused.firing_triggers, ["p1-incident/incidents/INC-1"]);
    let mut rollouts = house.rollouts();
    let early = rollouts.resume_rollout(ask(ADA, resume(paused.etag)));
    refused(&house, early, held("TRIGGER_STILL_FIRING"), &["p1-incident", "sre_lead"]).await;
    // When
    house.signals().report_signals(ask(BOB, incident(incident::State::Resolved))).await.unwrap();
    // Then
    let over = eventually("the incident to be over", async || {
        let now = rollout(&house).await;
        now.firing_triggers.is_empty().then_some(now)
    })
    .await;
    let resumed = house.rollouts().resume_rollout(ask(ADA, resume(over.etag))).await.unwrap();
    assert_eq!(resumed.get_ref().state(), State::Running);
}
