//! Telemetry is nobody's business but its own: a collector that hangs holds up no call and no end.
//! Lines of the log say which trace they are of.

use contracts::killswitch as pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use test_kit::{Proxy, eventually};

use crate::processes::service;

const NOBODY: u16 = 9;
const KILLS: usize = 50;
const QUESTIONS: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_up_no_call_and_no_end() {
    // Given a service whose collector takes connections in, and says no word
    let directory = tempfile::tempdir().unwrap();
    let collector = Proxy::start(NOBODY).await;
    collector.black_hole();
    let settings = [
        ("SOFTLAUNCH__STORE__LOCATION", format!("embedded:{}", directory.path().display())),
        ("SOFTLAUNCH__TELEMETRY__OTLP_ENDPOINT", format!("http://127.0.0.1:{}", collector.port())),
    ];
    let (mut process, address) = service("killswitch-service", &settings, None);
    let mut client = eventually("the service answers", async || {
        KillSwitchServiceClient::connect(address.clone()).await.ok()
    })
    .await;

    // When more is asked than the exporter keeps, then everything is answered
    for number in 0..KILLS {
        let scope = pb::Scope {
            kind: pb::scope::Kind::Workspace.into(),
            pipeline: "ingestion_v2".to_owned(),
            workspace_pattern: format!("ws-{number}"),
            ..pb::Scope::default()
        };
        let reason = "for a test".to_owned();
        let request = pb::EngageKillSwitchRequest { scope: Some(scope), reason };
        client.engage_kill_switch(request).await.expect("a kill is always taken");
    }
    for _question in 0..QUESTIONS {
        let request = pb::ListKillSwitchesRequest::default();
        client.list_kill_switches(request).await.expect("it is answered");
    }

    // And it ends when it is asked to, whatever it could not tell
    let ended = tokio::task::spawn_blocking(move || process.terminate());
    assert!(ended.await.expect("waiting does not panic"), "it did not end well");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_logs_says_which_trace_it_is_of() {
    // Given a service that exports no spans
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let directory = tempfile::tempdir().unwrap();
    let location = format!("embedded:{}", directory.path().display());
    let settings = [("SOFTLAUNCH__STORE__LOCATION", location)];
    let (process, address) = service("killswitch-service", &settings, None);
    let mut client = eventually("the service answers", async || {
        KillSwitchServiceClient::connect(address.clone()).await.ok()
    })
    .await;

    // When it is called within a trace
    let scope = pb::Scope { kind: pb::scope::Kind::Global.into(), ..pb::Scope::default() };
    let reason = "for a test".to_owned();
    let mut request =
        tonic::Request::new(pb::EngageKillSwitchRequest { scope: Some(scope), reason });
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01").parse().expect("letters and digits");
    request.metadata_mut().insert("traceparent", parent);
    client.engage_kill_switch(request).await.expect("a kill is always taken");

    // Then what it logs of the call has the trace, and what it logs of itself has none
    let of = |message: &str| {
        let mut found = process.logged().into_iter();
        found.find(|line| line["fields"]["message"] == message)
    };
    let engaged = eventually("the kill to be logged", async || of("kill switch engaged")).await;
    assert_eq!((&engaged["trace_id"], engaged["level"].as_str()), (&TRACE.into(), Some("WARN")));
    assert_eq!(engaged["span_id"].as_str().map(str::len), Some(16), "{engaged}");
    let listening = of("listening").expect("it said so before it answered");
    assert!(listening["trace_id"].is_null(), "{listening}");
}
