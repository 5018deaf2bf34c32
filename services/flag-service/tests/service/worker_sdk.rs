//! Workers that evaluate for themselves: the SDK against this service, over real sockets.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use client::{
    Attribute, Context, FlagOptions, FlagWatch, KillWatch, Policy, Reason, Source, WatchOptions,
};
use contracts::flag as pb;
use prost_types::Value;
use prost_types::value::Kind;
use test_kit::{Proxy, eventually};

use crate::site::{PIPELINE, Site, ada, share, text, typed};

/// A worker, behind a network that can be cut between it and the flag service.
async fn worker(site: &Site, proxy: &Proxy, file: Option<&Path>) -> Arc<FlagWatch> {
    let options = WatchOptions {
        worker_id: "worker-1".to_owned(),
        pipeline: PIPELINE.to_owned(),
        policy: Policy { stale_after: Duration::from_secs(120), fail_closed: true },
        trust_max: None,
        state_file: None,
        credentials: client::Credentials::default(),
    };
    let kills = KillWatch::start(&format!("http://{}", site.kill_address), options).unwrap();
    let address = format!("http://127.0.0.1:{}", proxy.port());
    let options = FlagOptions {
        state_file: file.map(Path::to_owned),
        // The service's is 100 ms: a busy machine is no silence.
        heartbeat: Duration::from_secs(1),
        call_timeout: Duration::from_secs(20),
        ..FlagOptions::default()
    };
    kills.first_word().await;
    FlagWatch::start(&address, kills, options).unwrap()
}

fn context(id: &str) -> Context {
    Context::new(id.parse().unwrap())
}

fn listing(workspaces: &[&str]) -> pb::FlagDefinition {
    let allowlist = workspaces.iter().map(|id| (*id).to_owned()).collect();
    pb::FlagDefinition { allowlist, ..share(0) }
}

fn imported() -> pb::FlagDefinition {
    let flagd_json = r#"{"state": "ENABLED", "variants": {"small": 1, "large": 2},
        "defaultVariant": "small", "targeting": {"if": [
            {"ends_with": [{"var": "targetingKey"}, "0"]}, "large",
            {"fractional": [["small", 30], ["large", 70]]}]}}"#;
    pb::FlagDefinition { flagd_json: flagd_json.to_owned(), ..pb::FlagDefinition::default() }
}

async fn change(site: &Site, id: &str, definition: pb::FlagDefinition) {
    let flag = pb::Flag { definition: Some(definition), ..site.get(id).await };
    let request = pb::UpdateFlagRequest {
        flag: Some(flag),
        update_mask: Some(prost_types::FieldMask { paths: vec!["definition".to_owned()] }),
        reason: "for a test".to_owned(),
        ..pb::UpdateFlagRequest::default()
    };
    site.flags().update_flag(ada(request)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_answers_as_the_service_does_whoever_is_asked_for() {
    let site = Site::start().await;
    let denied = pb::FlagDefinition { denylist: vec!["*7".to_owned()], ..listing(&["0*", "*a-1"]) };
    let excluding = pb::Exclusion {
        attribute: "uploads".to_owned(),
        test: Some(pb::exclusion::Test::Above(50)),
    };
    let excluded = pb::FlagDefinition { exclusions: vec![excluding], ..share(1_000) };
    let definitions = [
        ("shared", share(1_000)),
        ("listed", denied),
        ("excluding", excluded),
        ("typed", typed()),
        ("imported", imported()),
        ("off", pb::FlagDefinition::default()),
    ];
    for (id, definition) in &definitions {
        site.create(id, definition.clone()).await;
    }
    site.knows_the_kill_switch("shared").await;
    let proxy = Proxy::start(site.address.port()).await;
    let flags = worker(&site, &proxy, None).await;
    flags.first_word().await;
    let mut enabled = 0;
    for number in 0..400_u32 {
        let id = format!("{}-{}", uuid::Uuid::new_v4(), number % 10);
        let tier = if number % 3 == 0 { "gold" } else { "free" };
        let uploads = f64::from(number % 100);
        let asked = context(&id).with("tier", Attribute::Text(tier.to_owned())).unwrap();
        let asked = asked.with("uploads", Attribute::Number(uploads)).unwrap();
        let attributes = [("tier", text(tier)), ("uploads", Kind::NumberValue(uploads))];
        for (flag, _) in &definitions {
            let theirs = site.ask(flag, &id, &attributes).await.unwrap();
            let ours = flags.evaluate(flag, &asked).await.unwrap();
            assert_eq!(ours.source, Source::InProcess);
            let value = ours.value.filter(|value| !matches!(value, client::Value::Truth(_)));
            let wire = value.map(|value| flag_wire::value_of(&value.as_json()));
            let ours = (
                ours.enabled,
                flag_wire::wire_reason(ours.reason),
                ours.revision,
                ours.variant.unwrap_or_default(),
                wire,
            );
            let revision = u64::try_from(theirs.revision).unwrap();
            let reason = theirs.reason();
            let theirs: (_, _, _, _, Option<Value>) =
                (theirs.enabled, reason, revision, theirs.variant, theirs.value);
            assert_eq!(ours, theirs, "{flag} for {id}");
            enabled += u32::from(ours.0);
        }
    }
    assert!((200..2_000).contains(&enabled), "some are on, others off: {enabled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_deletions_and_kills_arrive() {
    let site = Site::start().await;
    site.create("f", listing(&["ws-1"])).await;
    let proxy = Proxy::start(site.address.port()).await;
    let flags = worker(&site, &proxy, None).await;
    flags.first_word().await;
    let on = async |id: &str| flags.boolean("f", false, &context(id)).await;
    assert!(on("ws-1").await.value && !on("ws-2").await.value);
    change(&site, "f", listing(&["ws-2"])).await;
    eventually("the change arrives", async || on("ws-2").await.value).await;
    assert!(!on("ws-1").await.value && !on("ws-2").await.stale);
    site.kill(1, Some(""));
    eventually("the kill arrives", async || !on("ws-2").await.value).await;
    assert_eq!(on("ws-2").await.reason, Reason::Killed.name());
    let name = "flags/f".to_owned();
    let request = pb::DeleteFlagRequest { name, reason: "done".into(), ..Default::default() };
    site.flags().delete_flag(ada(request)).await.unwrap();
    eventually("the deletion arrives", async || {
        on("ws-2").await.error.is_some_and(|error| error.code() == "FLAG_NOT_FOUND")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_service_is_away_a_worker_goes_on_and_a_new_one_starts_from_its_file() {
    let (site, dir) = (Site::start().await, tempfile::tempdir().unwrap());
    let file = dir.path().join("worker-1.flags");
    site.create("f", listing(&["ws-1"])).await;
    let proxy = Proxy::start(site.address.port()).await;
    let first = worker(&site, &proxy, Some(&file)).await;
    first.first_word().await;
    assert!(!first.is_stale());
    eventually("the flags are kept", async || file.exists()).await;
    proxy.cut();
    eventually("it says that it is out of touch", async || first.is_stale()).await;
    let found = first.evaluate("f", &context("ws-1")).await.unwrap();
    assert_eq!((found.enabled, found.stale, found.source), (true, true, Source::InProcess));
    assert!(found.age.is_some_and(|age| age >= Duration::from_secs(3)));

    let again = worker(&site, &proxy, Some(&file)).await;
    assert_eq!(again.revision(), first.revision());
    let found = again.evaluate("f", &context("ws-1")).await.unwrap();
    assert_eq!((found.enabled, found.stale, found.source), (true, true, Source::InProcess));
    assert_eq!((found.age, found.reason), (None, Reason::Allowlisted));

    change(&site, "f", listing(&["ws-2"])).await;
    proxy.heal();
    for flags in [first, again] {
        eventually("it is in touch again", async || {
            !flags.is_stale() && flags.boolean("f", false, &context("ws-2")).await.value
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_file_is_ignored_and_without_a_stream_the_service_is_asked() {
    let (site, dir) = (Site::start().await, tempfile::tempdir().unwrap());
    let file = dir.path().join("worker-1.flags");
    site.create("f", listing(&["ws-1"])).await;
    site.knows_the_kill_switch("f").await;
    let proxy = Proxy::start(site.address.port()).await;
    let first = worker(&site, &proxy, Some(&file)).await;
    eventually("the flags are kept", async || file.exists()).await;
    drop(first);
    let mut torn = std::fs::read(&file).unwrap();
    torn.pop();
    std::fs::write(&file, &torn).unwrap();
    proxy.delay(Duration::from_millis(200)); // The question is asked before a snapshot can be here.
    let again = worker(&site, &proxy, Some(&file)).await;
    let found = again.evaluate("f", &context("ws-1")).await.unwrap();
    assert_eq!((found.enabled, found.source), (true, Source::Service));
    assert_eq!((found.reason, found.stale), (Reason::Allowlisted, false));
    again.first_word().await;
    let found = again.evaluate("f", &context("ws-1")).await.unwrap();
    assert_eq!((found.enabled, found.source), (true, Source::InProcess));
    eventually("the file is replaced", async || std::fs::read(&file).unwrap() != torn).await;
}
