//! What providers of OpenFeature ask, over gRPC and over HTTP.

use std::sync::Arc;
use std::time::Duration;

use contracts::flag as pb;
use contracts::flagd::evaluation::v1::service_client::ServiceClient;
use contracts::flagd::evaluation::{v1, v2};
use contracts::flagd::sync::v1 as sync;
use contracts::flagd::sync::v1::flag_sync_service_client::FlagSyncServiceClient;
use flag_core::flagd::bundle;
use flag_core::{Attributes, Definition, Flag, Question, evaluate};
use prost_types::Struct;
use prost_types::value::Kind;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::{Code, Request, Streaming};
use vocab::Timestamp;

use crate::site::{Site, ada, fields, new_flag, share, text, typed};

fn context(key: &str, more: &[(&str, Kind)]) -> Option<Struct> {
    let mut all = vec![("targetingKey", text(key))];
    all.extend(more.iter().cloned());
    Some(fields(&all))
}

async fn flags(site: &Site) {
    let listed = pb::FlagDefinition { allowlist: vec!["ws-1".to_owned()], ..share(0) };
    site.create("flag", listed).await;
    site.create("typed", typed()).await;
    let silent = "{\"state\":\"ENABLED\",\"variants\":{\"n\":7},\"defaultVariant\":null}";
    let silent = pb::FlagDefinition { flagd_json: silent.to_owned(), ..Default::default() };
    site.flags().create_flag(ada(new_flag("silent", silent))).await.unwrap();
    let broken = "{\"state\":\"ENABLED\",\"variants\":{\"n\":7},\"targeting\":{\"cat\":[\"x\"]}}";
    let broken = pb::FlagDefinition { flagd_json: broken.to_owned(), ..Default::default() };
    site.flags().create_flag(ada(new_flag("broken", broken))).await.unwrap();
    site.knows_the_kill_switch("flag").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_rpc_mode_gets_value_variant_and_flagd_s_reason() {
    let site = Site::start().await;
    flags(&site).await;
    let mut client = ServiceClient::new(site.channel());
    let request = |flag_key: &str, key: &str| v1::ResolveBooleanRequest {
        flag_key: flag_key.to_owned(),
        context: context(key, &[]),
    };
    let on = client.resolve_boolean(request("flag", "ws-1")).await.unwrap().into_inner();
    assert_eq!(
        (on.value, on.variant.as_str(), on.reason.as_str()),
        (true, "on", "TARGETING_MATCH")
    );
    let reason = on.metadata.unwrap().fields.remove("softlaunch.reason").unwrap().kind;
    assert_eq!(reason, Some(text("ALLOWLISTED")));
    let off = client.resolve_boolean(request("flag", "some one@example.com")).await.unwrap();
    assert!(!off.into_inner().value, "a key need not be a workspace id");
    let unknown = client.resolve_boolean(request("nothing", "ws-1")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let wrong = client.resolve_boolean(request("typed", "ws-1")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    let broken = v1::ResolveIntRequest { flag_key: "broken".into(), context: context("ws-1", &[]) };
    assert_eq!(client.resolve_int(broken).await.unwrap_err().code(), Code::DataLoss);

    let gold = v1::ResolveStringRequest {
        flag_key: "typed".to_owned(),
        context: context("ws-1", &[("tier", text("gold"))]),
    };
    let gold = client.resolve_string(gold).await.unwrap().into_inner();
    assert_eq!((gold.value.as_str(), gold.variant.as_str()), ("the newest one", "newest"));
    let silent = v1::ResolveIntRequest { flag_key: "silent".into(), context: None };
    let silent = client.resolve_int(silent).await.unwrap().into_inner();
    assert_eq!((silent.variant.as_str(), silent.reason.as_str()), ("", "DEFAULT"));
    let all = client.resolve_all(v1::ResolveAllRequest { context: context("ws-1", &[]) }).await;
    let all = all.unwrap().into_inner().flags;
    let mut keys: Vec<_> = all.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["flag", "typed"]);
    assert_eq!(all["flag"].value, Some(v1::any_flag::Value::BoolValue(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_version_2_what_has_no_value_has_none_on_the_wire() {
    let site = Site::start().await;
    flags(&site).await;
    let mut client = v2::service_client::ServiceClient::new(site.channel());
    let silent = v2::ResolveIntRequest { flag_key: "silent".into(), context: context("a", &[]) };
    let silent = client.resolve_int(silent).await.unwrap().into_inner();
    assert_eq!((silent.value, silent.variant, silent.reason.as_str()), (None, None, "DEFAULT"));
    let on = v2::ResolveBooleanRequest { flag_key: "flag".into(), context: context("ws-1", &[]) };
    let on = client.resolve_boolean(on).await.unwrap().into_inner();
    assert_eq!((on.value, on.variant.as_deref()), (Some(true), Some("on")));
}

async fn event(stream: &mut Streaming<v1::EventStreamResponse>) -> v1::EventStreamResponse {
    let message = tokio::time::timeout(Duration::from_secs(60), stream.message()).await;
    message.expect("the stream goes on").unwrap().unwrap()
}

/// Hears of changes until all of these flags have changed.
async fn hears_of(stream: &mut Streaming<v1::EventStreamResponse>, keys: &[&str]) {
    let mut open: std::collections::BTreeSet<_> = keys.iter().copied().collect();
    while !open.is_empty() {
        let event = event(stream).await;
        if event.r#type == "keep_alive" {
            continue;
        }
        assert_eq!(event.r#type, "configuration_change");
        let flags = event.data.unwrap().fields.remove("flags").unwrap().kind;
        let Some(Kind::StructValue(flags)) = flags else { panic!("an object keyed by flag") };
        open.retain(|key| !flags.fields.contains_key(*key));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_hears_that_it_may_begin_and_of_flags_and_kills_that_change() {
    let site = Site::start().await;
    flags(&site).await;
    let mut client = ServiceClient::new(site.channel());
    let mut stream = client.event_stream(v1::EventStreamRequest {}).await.unwrap().into_inner();
    assert_eq!(event(&mut stream).await.r#type, "provider_ready");
    site.create("fresh", share(0)).await;
    hears_of(&mut stream, &["fresh"]).await;
    site.kill(1, Some(""));
    hears_of(&mut stream, &["broken", "flag", "fresh", "silent", "typed"]).await;
    let request =
        || v1::ResolveBooleanRequest { flag_key: "flag".into(), context: context("ws-1", &[]) };
    let killed = client.resolve_boolean(request()).await.unwrap().into_inner();
    assert_eq!(
        (killed.value, killed.reason.as_str()),
        (false, "TARGETING_MATCH"),
        "nobody keeps it"
    );
    site.kill(2, None);
    hears_of(&mut stream, &["flag"]).await;
    assert!(client.resolve_boolean(request()).await.unwrap().into_inner().value);
}

/// What a provider that evaluates in-process would answer from a document.
fn in_process(document: &str, key: &str, targeting_key: &str) -> Option<String> {
    let flags = bundle(document).unwrap();
    let (key, imported) = flags.into_iter().find(|(found, _)| found.as_str() == key)?;
    let flag = Flag {
        key,
        pipeline: vocab::PipelineId::new("none").unwrap(),
        definition: Definition::Imported(Arc::new(imported)),
        limits: flag_core::Limits::default(),
        rollout: String::new(),
        phase: None,
        generation: 0,
        paused: false,
        about: flag_core::About::default(),
    };
    let facts = Attributes::new();
    let question =
        Question { key: Some(targeting_key), facts: &facts, killed: false, now: Timestamp::EPOCH };
    evaluate(&flag, &question).unwrap().variant.map(|variant| variant.name.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_process_is_sent_everything_first_and_again_after_every_change() {
    let site = Site::start().await;
    flags(&site).await;
    let mut client = FlagSyncServiceClient::new(site.channel());
    let mut stream =
        client.sync_flags(sync::SyncFlagsRequest::default()).await.unwrap().into_inner();
    let next = async |stream: &mut Streaming<sync::SyncFlagsResponse>| {
        let message = tokio::time::timeout(Duration::from_secs(60), stream.message()).await;
        message.expect("the stream goes on").unwrap().unwrap().flag_configuration
    };
    // What was going on when it connected may be sent once more.
    let until = async |stream: &mut Streaming<sync::SyncFlagsResponse>, variant: &str| loop {
        let sent = next(stream).await;
        if in_process(&sent, "flag", "ws-1").as_deref() == Some(variant) {
            break sent;
        }
    };
    let first = until(&mut stream, "on").await;
    assert_eq!(in_process(&first, "flag", "ws-2").as_deref(), Some("off"));
    site.kill(1, Some("ws-*"));
    let killed = until(&mut stream, "off").await;
    let fetched = client.fetch_all_flags(sync::FetchAllFlagsRequest::default()).await.unwrap();
    assert_eq!(fetched.into_inner().flag_configuration, killed);
    let selecting = |selector: &'static str| {
        let mut request = Request::new(sync::FetchAllFlagsRequest::default());
        request.metadata_mut().insert("flagd-selector", selector.parse().unwrap());
        request
    };
    let one = client.fetch_all_flags(selecting("flag=typed")).await.unwrap().into_inner();
    let one: Json = serde_json::from_str(&one.flag_configuration).unwrap();
    assert_eq!(one["flags"].as_object().unwrap().keys().collect::<Vec<_>>(), ["typed"]);
    let nonsense = client.fetch_all_flags(selecting("nonsense")).await.unwrap_err();
    assert_eq!(nonsense.code(), Code::InvalidArgument);
    client.get_metadata(sync::GetMetadataRequest {}).await.unwrap();
}

/// A request over HTTP/1.1, as any client would send it: status, `ETag`, body.
async fn post(site: &Site, path: &str, body: &str, headers: &str) -> (u16, String, Json) {
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.ok(); // It may be refused half-way.
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap_or_default();
    (status, tag.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

const ONE: &str = "/ofrep/v1/evaluate/flags/flag";
const ALL: &str = "/ofrep/v1/evaluate/flags";

#[tokio::test(flavor = "multi_thread")]
async fn over_http_one_flag_is_answered_or_refused_in_ofrep_s_words() {
    let site = Site::start().await;
    flags(&site).await;
    let ws_1 = json!({"context": {"targetingKey": "ws-1"}}).to_string();
    let (status, _, on) = post(&site, ONE, &ws_1, "").await;
    assert_eq!((status, &on["key"], &on["value"]), (200, &json!("flag"), &json!(true)));
    assert_eq!((&on["variant"], &on["reason"]), (&json!("on"), &json!("TARGETING_MATCH")));
    assert_eq!(on["metadata"]["softlaunch.reason"], "ALLOWLISTED");
    let path = "/ofrep/v1/evaluate/flags/silent";
    let (status, _, silent) = post(&site, path, &ws_1, "").await;
    assert_eq!((status, &silent["reason"], silent.get("value")), (200, &json!("DEFAULT"), None));
    let large =
        json!({"context": {"targetingKey": "x", "blob": "x".repeat(10_000_000)}}).to_string();
    let nested = json!({"context": {"targetingKey": "x", "list": vec![1; 2_000]}}).to_string();
    for (path, body, status, code) in [
        ("/ofrep/v1/evaluate/flags/nothing", ws_1.as_str(), 404, "FLAG_NOT_FOUND"),
        (ONE, "{\"context\": {}}", 400, "TARGETING_KEY_MISSING"),
        (ONE, "{\"context\": ", 400, "PARSE_ERROR"),
        (ONE, "[]", 400, "PARSE_ERROR"),
        (ONE, "{\"context\": 1}", 400, "INVALID_CONTEXT"),
        (ONE, "{\"context\": {\"targetingKey\": 1}}", 400, "INVALID_CONTEXT"),
        (ONE, &nested, 400, "INVALID_CONTEXT"),
        (ONE, &large, 413, "INVALID_CONTEXT"),
        ("/ofrep/v1/evaluate/flags/broken", &ws_1, 400, "GENERAL"),
        ("/ofrep/v2", &ws_1, 404, "GENERAL"),
    ] {
        let (found, _, answer) = post(&site, path, body, "").await;
        assert_eq!((found, &answer["errorCode"]), (status, &json!(code)), "{path} {answer}");
        assert!(answer["errorDetails"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_all_flags_come_with_a_tag_and_the_same_again_is_not_sent() {
    let site = Site::start().await;
    flags(&site).await;
    let ws_1 = json!({"context": {"targetingKey": "ws-1"}}).to_string();
    let (status, tag, all) = post(&site, ALL, &ws_1, "").await;
    assert_eq!((status, all["flags"].as_array().unwrap().len()), (200, 4));
    let held = format!("If-None-Match: {tag}\r\n");
    let (status, same, nothing) = post(&site, ALL, &ws_1, &held).await;
    assert_eq!((status, same, nothing), (304, tag, Json::Null));
    site.kill(1, Some(""));
    test_kit::eventually("the kill to be known", async || {
        let (status, ..) = post(&site, ALL, &ws_1, &held).await;
        status == 200
    })
    .await;
}
