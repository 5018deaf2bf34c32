//! What a server shows of itself: health, reflection, and the trace it is part of.

use std::collections::BTreeSet;
use std::sync::Once;

use service_kit::settings::{LogFormat, TelemetrySettings};
use service_kit::telemetry::Telemetry;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use crate::hosted::{Hosted, SERVICE, ask};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn the_server_and_its_service_are_healthy_and_no_other() {
    let hosted = Hosted::start().await;
    let mut health = HealthClient::new(hosted.channel());
    for service in ["", SERVICE, "grpc.health.v1.Health"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest { service: "softlaunch.gate.v1.GateService".to_owned() };
    assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
}

fn hosted_ones() -> BTreeSet<String> {
    [SERVICE, "grpc.health.v1.Health"].map(str::to_owned).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_v1_lists_what_is_hosted_only() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let hosted = Hosted::start().await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(hosted.channel());
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = v1::ServerReflectionRequest { message_request, ..Default::default() };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list: {answer:?}");
    };
    let names: BTreeSet<_> = list.service.into_iter().map(|one| one.name).collect();
    assert_eq!(names, hosted_ones());
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_v1alpha_lists_what_is_hosted_only() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let hosted = Hosted::start().await;
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(hosted.channel());
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = v1alpha::ServerReflectionRequest { message_request, ..Default::default() };
    let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("not a list: {answer:?}");
    };
    let names: BTreeSet<_> = list.service.into_iter().map(|one| one.name).collect();
    assert_eq!(names, hosted_ones());
}

fn with_telemetry() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let settings = TelemetrySettings {
            log_format: LogFormat::Json,
            log_filter: "off".to_owned(),
            otlp_endpoint: String::new(),
            metrics_address: String::new(),
            metrics_exposed: false,
        };
        Telemetry::start("test", &settings).expect("nobody else sets it up");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_through_the_call_into_the_mutation() {
    with_telemetry();
    let hosted = Hosted::start().await;
    let mut request = Request::new(ask("ws-1"));
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    let answer = hosted.client().evaluate_flag(request).await.unwrap().into_inner();
    assert_eq!(answer.workspace_id.split('-').nth(1), Some(TRACE), "{}", answer.workspace_id);
}
