//! Plans: checked whole, kept for ever.

use contracts::rollout as pb;
use softlaunch_tests::{House, ask};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::refusal::{refused, refused_field};
use crate::story::{ADA, BOB, PLAN, PLAN_VERSION, created};

fn store(source: impl Into<Vec<u8>>) -> pb::CreatePlanVersionRequest {
    pb::CreatePlanVersionRequest { source: source.into(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_plan_is_reported_at_once_with_path_and_line() {
    let house = House::start().await;
    let line = |text: &str| {
        let found = PLAN.lines().position(|line| line.contains(text));
        found.expect("the shipped plan has it") + 1
    };
    let (title, duration) = ("title: GA Soft Launch", "minimum_duration: 5d");
    let (unknown, backwards) = (line(title), line(duration));
    let broken = PLAN
        .replacen(title, "titel: GA Soft Launch", 1)
        .replacen(duration, "minimum_duration: soon", 1)
        .replacen("requirement: \">= 100\"", "requirement: \"about 100\"", 1);
    for validate_only in [true, false] {
        let call = pb::CreatePlanVersionRequest { validate_only, ..store(broken.clone()) };
        let rule = (Code::InvalidArgument, "FIELD_INVALID");
        let says = ["titel", "soon", "about 100", "problems"];
        let status =
            refused(&house, house.rollouts().create_plan_version(ask(ADA, call)), rule, &says)
                .await;
        for line in [unknown, backwards] {
            assert!(status.message().contains(&line.to_string()), "no line {line}: {status}");
        }
        let details = status.get_error_details();
        let violations =
            &details.bad_request().expect("every problem is a violation").field_violations;
        assert!(violations.len() > 3, "{violations:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plan_at_all_is_refused() {
    let house = House::start().await;
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\n";
    let large = format!("# {}\n{PLAN}", "x".repeat(1024 * 1024));
    for (source, says) in [
        (Vec::new(), "problem"),
        (b"[".to_vec(), "problem"),
        (vec![0xff, 0xfe, 0x00], "UTF-8"),
        (bomb.as_bytes().to_vec(), "anchor"),
        (large.into_bytes(), "at most 1048576"),
    ] {
        refused_field(
            &house,
            house.rollouts().create_plan_version(ask(ADA, store(source))),
            &["source", says],
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_version_is_immutable_and_storing_it_again_is_harmless() {
    let house = House::start().await;
    created(&house).await;
    let before = house.journals().await;
    let again = house.rollouts().create_plan_version(ask(BOB, store(PLAN))).await.unwrap();
    assert_eq!(again.into_inner().name, PLAN_VERSION);
    assert_eq!(house.journals().await, before);
    let changed = PLAN.replacen("minimum_duration: 5d", "minimum_duration: 6d", 1);
    let rule = (Code::AlreadyExists, "PLAN_EXISTS");
    refused(
        &house,
        house.rollouts().create_plan_version(ask(ADA, store(changed))),
        rule,
        &[PLAN_VERSION, "give the changed file a new version"],
    )
    .await;
    let missing = pb::GetPlanVersionRequest { name: "plans/ingestion_v2/versions/9".to_owned() };
    let rule = (Code::NotFound, "PLAN_NOT_FOUND");
    refused(
        &house,
        house.rollouts().get_plan_version(missing),
        rule,
        &["store it first with CreatePlanVersion"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_needs_a_plan_a_name_of_its_own_and_a_free_flag() {
    let house = House::start().await;
    let create = |rollout_id: &str, plan_version: &str| {
        let (rollout_id, plan_version) = (rollout_id.to_owned(), plan_version.to_owned());
        ask(ADA, pb::CreateRolloutRequest { rollout_id, plan_version, ..Default::default() })
    };
    let mut rollouts = house.rollouts();
    let rule = (Code::NotFound, "PLAN_NOT_FOUND");
    let says = [PLAN_VERSION, "CreatePlanVersion"];
    refused(&house, rollouts.create_rollout(create("first", PLAN_VERSION)), rule, &says).await;
    let call = rollouts.create_rollout(create("a/b", PLAN_VERSION));
    refused_field(&house, call, &["rollout_id", "expected 1 to 63"]).await;
    created(&house).await;
    let rule = (Code::AlreadyExists, "ROLLOUT_EXISTS");
    let says = ["rollouts/ingestion-v2 exists", "never reused"];
    refused(
        &house,
        house.rollouts().create_rollout(create("ingestion-v2", PLAN_VERSION)),
        rule,
        &says,
    )
    .await;
    let rule = (Code::FailedPrecondition, "FLAG_BUSY");
    let says = ["moved by rollouts/ingestion-v2", "one flag has one active rollout"];
    refused(&house, house.rollouts().create_rollout(create("second", PLAN_VERSION)), rule, &says)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_from_nowhere_is_refused() {
    let house = House::start().await;
    let watch = pb::WatchRolloutEventsRequest { after_revision: -1 };
    refused_field(
        &house,
        house.rollouts().watch_rollout_events(watch),
        &["after_revision", "negative"],
    )
    .await;
    let page = pb::ListRolloutsRequest { page_size: -5, page_token: String::new() };
    refused_field(&house, house.rollouts().list_rollouts(page), &["page_size", "negative"]).await;
}
