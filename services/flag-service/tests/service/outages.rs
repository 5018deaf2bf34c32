//! The store is away, or hands over what cannot be read: what was known goes on being answered.

use std::sync::Arc;

use contracts::flag as pb;
use prost::Message as _;
use store::{Append, Draft, StreamName};
use test_kit::{RedisServer, eventually};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use vocab::{Actor, Timestamp};

use crate::site::{Site, ada, new_flag, refused, share};

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_down_answers_go_on_marked_stale_and_writes_are_refused() {
    let mut redis = RedisServer::start().await;
    let site = Site::over(&redis.url()).await;
    let listed = pb::FlagDefinition { allowlist: vec!["ws-1".to_owned()], ..share(0) };
    site.create("steady", listed).await;
    site.knows_the_kill_switch("steady").await;
    redis.kill();

    let answer = eventually("the answer to be marked stale", async || {
        let answer = site.ask("steady", "ws-1", &[]).await.unwrap();
        answer.stale.then_some(answer)
    })
    .await;
    assert_eq!((answer.enabled, answer.reason()), (true, pb::Reason::Allowlisted));
    let health = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(site.channel()).check(request).await.unwrap().into_inner().status()
    };
    assert_eq!(health("softlaunch.store").await, ServingStatus::NotServing);
    assert_eq!(health("softlaunch.flag.v1.EvaluationService").await, ServingStatus::Serving);
    let created = site.flags().create_flag(ada(new_flag("late", share(0)))).await;
    refused(created, (Code::Unavailable, "STORE_UNAVAILABLE"), "");
    let history =
        pb::ListFlagRevisionsRequest { name: "flags/steady".into(), ..Default::default() };
    let history = site.history().list_flag_revisions(history).await;
    refused(history, (Code::Unavailable, "STORE_UNAVAILABLE"), "");
    let watch = pb::WatchRulesetRequest { after_revision: 0 };
    let mut watch = site.evaluations().watch_ruleset(watch).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap().update;
    let Some(pb::watch_ruleset_response::Update::Snapshot(first)) = first else {
        panic!("a snapshot comes first");
    };
    assert!(first.stale && first.flags.len() == 1);

    redis.restart().await;
    eventually("the service to follow again", async || {
        !site.ask("steady", "ws-1", &[]).await.unwrap().stale
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_does_not_read_keeps_the_last_good_one_and_says_so() {
    let site = Site::start().await;
    let flag = site.create("trusted", share(1_000)).await;
    site.knows_the_kill_switch("trusted").await;
    // A newer version of us, or somebody with a key to the store, writes what this one cannot read.
    let mut poisoned = flag.clone();
    poisoned.definition.as_mut().unwrap().percentage_basis_points = 20_000;
    let kind = pb::flag_event::Kind::FlagChanged(pb::FlagChanged { flag: Some(poisoned) });
    let payload = pb::FlagEvent { kind: Some(kind) }.encode_to_vec();
    let stream = StreamName::new("flag").unwrap();
    let append = Append {
        expected: site.store.journal.head(&stream).await.unwrap(),
        time: Timestamp::EPOCH,
        actor: Actor::system("test"),
        reason: String::new(),
        traceparent: String::new(),
        request: None,
        drafts: vec![Draft { kind: "FlagChanged".to_owned(), payload }],
    };
    Arc::clone(&site.store.journal).append(&stream, &append).await.unwrap();

    let shown = eventually("the flag to tell of it", async || {
        let shown = site.get("trusted").await;
        (!shown.problem.is_empty()).then_some(shown)
    })
    .await;
    assert!(
        shown.problem.contains("revision 2") && shown.problem.contains("20000"),
        "{}",
        shown.problem
    );
    assert_eq!((shown.revision, &shown.definition), (1, &Some(share(1_000))));
    let answer = site.ask("trusted", "ws-1", &[]).await.unwrap();
    assert_eq!((answer.revision, answer.reason()), (1, pb::Reason::Percentage));
    // Others go on, and a good definition heals it.
    site.create("other", share(0)).await;
    let update = pb::UpdateFlagRequest {
        flag: Some(shown),
        reason: "as it was".to_owned(),
        ..Default::default()
    };
    let healed = site.flags().update_flag(ada(update)).await.unwrap().into_inner();
    assert_eq!((healed.problem.as_str(), healed.revision), ("", 4));
}
