//! Below the messages: sizes, garbage, deadlines, health, reflection.

use std::collections::BTreeSet;
use std::time::Duration;

use contracts::rollout as pb;
use softlaunch_tests::{House, ask, frame, raw_call};
use test_kit::eventually;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::story::{ADA, Worker};

const SERVICES: [(&str, &[&str]); 5] = [
    (
        "flag",
        &[
            "softlaunch.flag.v1.FlagService",
            "softlaunch.flag.v1.EvaluationService",
            "softlaunch.flag.v1.AdmissionService",
        ],
    ),
    ("gate", &["softlaunch.gate.v1.GateService", "softlaunch.gate.v1.SignalService"]),
    ("killswitch", &["softlaunch.killswitch.v1.KillSwitchService"]),
    ("comms", &["softlaunch.comms.v1.CommsService"]),
    ("rollout", &["softlaunch.rollout.v1.RolloutService"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_message_is_refused_before_it_is_read() {
    let house = House::start().await;
    let before = house.journals().await;
    let plan = pb::CreatePlanVersionRequest { source: vec![b'x'; 5 << 20], ..Default::default() };
    let status = house.rollouts().create_plan_version(ask(ADA, plan)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("4194304"), "it says what fits: {status:?}");
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_message_are_an_invalid_argument() {
    let house = House::start().await;
    let before = house.journals().await;
    for (noun, path) in [
        ("flag", "/softlaunch.flag.v1.FlagService/CreateFlag"),
        ("flag", "/softlaunch.flag.v1.AdmissionService/AdmitUpload"),
        ("gate", "/softlaunch.gate.v1.SignalService/ReportOutcomes"),
        ("killswitch", "/softlaunch.killswitch.v1.KillSwitchService/EngageKillSwitch"),
        ("rollout", "/softlaunch.rollout.v1.RolloutService/AdvanceRollout"),
    ] {
        let answer = raw_call(house.addresses[noun], path, &[], frame(&[0xff; 9])).await;
        assert_eq!(answer.code, Code::InvalidArgument, "{path}: {}", answer.message);
    }
    assert_eq!(house.journals().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_there_is_unimplemented() {
    let house = House::start().await;
    let path = "/softlaunch.flag.v1.FlagService/BurnFlag";
    let answer = raw_call(house.addresses["flag"], path, &[], frame(&[])).await;
    assert_eq!(answer.code, Code::Unimplemented, "{}", answer.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_answered_as_such_and_the_command_is_carried_out_whole() {
    let house = House::start().await;
    let _silent_worker = Worker::connect(&house).await;
    let before = house.journals().await["killswitch"].len();
    // RunDrillRequest { pipeline: "ingestion_v2", timeout_duration: 1 s }, by hand.
    let mut drill = vec![0x0a, 12];
    drill.extend_from_slice(b"ingestion_v2");
    drill.extend_from_slice(&[0x12, 2, 0x08, 1]);
    let path = "/softlaunch.killswitch.v1.KillSwitchService/RunDrill";
    let deadline = [("grpc-timeout", "200m")];
    let address = house.addresses["killswitch"];
    let answer = raw_call(address, path, &deadline, frame(&drill)).await;
    assert_eq!(answer.code, Code::DeadlineExceeded, "{}", answer.message);
    assert!(answer.message.contains("not%20done%20within"), "{}", answer.message);
    eventually("the drill is engaged, released and recorded all the same", async || {
        house.journals().await["killswitch"].len() == before + 3
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_s_own_deadline_ends_its_call() {
    let house = House::start().await;
    let _silent_worker = Worker::connect(&house).await;
    let drill = contracts::killswitch::RunDrillRequest {
        pipeline: "ingestion_v2".to_owned(),
        timeout_duration: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        reason: String::new(),
    };
    let mut call = ask(ADA, drill);
    call.set_timeout(Duration::from_millis(200));
    let status = house.kills().run_drill(call).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_says_that_it_is_serving() {
    let house = House::start().await;
    for (noun, services) in SERVICES {
        let mut health = HealthClient::new(house.channel(noun));
        for service in services.iter().chain(&[""]) {
            let request = HealthCheckRequest { service: (*service).to_owned() };
            let HealthCheckResponse { status } = health.check(request).await.unwrap().into_inner();
            assert_eq!(status, i32::from(ServingStatus::Serving), "{noun}: `{service}`");
        }
        let request = HealthCheckRequest { service: "softlaunch.nothing".to_owned() };
        assert_eq!(health.check(request).await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_lists_itself_by_reflection() {
    let house = House::start().await;
    for (noun, services) in SERVICES {
        let list = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(house.channel(noun));
        let answers = client.server_reflection_info(tokio_stream::once(list)).await.unwrap();
        let answer: ServerReflectionResponse = answers.into_inner().next().await.unwrap().unwrap();
        let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
            panic!("{noun} lists nothing: {answer:?}");
        };
        let listed: BTreeSet<_> = listed.service.into_iter().map(|one| one.name).collect();
        for service in services {
            assert!(listed.contains(*service), "{noun}: {listed:?}");
        }
    }
}
