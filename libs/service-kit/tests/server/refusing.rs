//! What the server answers where tonic would say something else, and nothing is cut in half.

use contracts::flag as pb;
use http::uri::PathAndQuery;
use service_kit::server::MESSAGE_SIZE_MAX;
use test_kit::eventually;
use tonic::client::Grpc;
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use crate::hosted::{Hosted, SLOW, ask};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_the_message_are_an_invalid_argument() {
    let hosted = Hosted::start().await;
    let mut grpc = Grpc::new(hosted.channel());
    grpc.ready().await.unwrap();
    // Field 1 is a number here, and a text in what the service expects.
    let codec = ProstCodec::<pb::WatchRulesetRequest, pb::EvaluateFlagResponse>::default();
    let path = PathAndQuery::from_static("/softlaunch.flag.v1.EvaluationService/EvaluateFlag");
    let request = Request::new(pb::WatchRulesetRequest { after_revision: 300 });
    let refused = grpc.unary(request, path, codec).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert_eq!(hosted.stub.begun(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_exhausts_a_resource() {
    let hosted = Hosted::start().await;
    let fits = ask(&"x".repeat(MESSAGE_SIZE_MAX - 64));
    hosted.client().evaluate_flag(fits).await.unwrap();
    let too_large = ask(&"x".repeat(MESSAGE_SIZE_MAX));
    let refused = hosted.client().evaluate_flag(too_large).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(hosted.stub.begun(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_does_not_exist_is_unimplemented() {
    let hosted = Hosted::start().await;
    let mut grpc = Grpc::new(hosted.channel());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<pb::WatchRulesetRequest, pb::EvaluateFlagResponse>::default();
    let path = PathAndQuery::from_static("/softlaunch.flag.v1.EvaluationService/Guess");
    let request = Request::new(pb::WatchRulesetRequest::default());
    let refused = grpc.unary(request, path, codec).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_call_and_not_the_mutation() {
    let hosted = Hosted::start().await;
    let mut request = Request::new(ask(SLOW));
    // More digits than tonic's own client and server read: only our layer counts.
    request.metadata_mut().insert("grpc-timeout", "000000200m".parse().unwrap());
    let expired = hosted.client().evaluate_flag(request).await.unwrap_err();
    assert_eq!(expired.code(), Code::DeadlineExceeded, "{expired}");
    assert_eq!((hosted.stub.begun(), hosted.stub.done()), (1, 0));
    hosted.stub.go_on();
    eventually("the mutation ends", async || hosted.stub.done() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_does_not_end_the_mutation() {
    let hosted = Hosted::start().await;
    let mut client = hosted.client();
    let call = tokio::spawn(async move { client.evaluate_flag(ask(SLOW)).await });
    eventually("the call is being handled", async || hosted.stub.begun() == 1).await;
    call.abort();
    eventually("the caller is gone", async || call.is_finished()).await;
    hosted.stub.go_on();
    eventually("the mutation ends", async || hosted.stub.done() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_panics_is_an_internal_error_without_its_insides() {
    let hosted = Hosted::start().await;
    let request = pb::BatchEvaluateFlagsRequest::default();
    let failed = hosted.client().batch_evaluate_flags(request).await.unwrap_err();
    assert_eq!(failed.code(), Code::Internal);
    assert_eq!(failed.message(), "internal error: see the service's log");
    hosted.client().evaluate_flag(ask("ws-1")).await.unwrap();
}
