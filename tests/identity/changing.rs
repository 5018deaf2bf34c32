//! Tokens and certificates are replaced under services that go on.

use std::time::Duration;

use contracts::flag::WatchRulesetRequest;
use contracts::flag::evaluation_service_client::EvaluationServiceClient;
use credentials::{Credentials, Files};
use service_kit::access::{Access, Noun};
use service_kit::tokens::TokenFile;
use softlaunch_tests::{Guarded, Guards, entry};
use test_kit::{Certificates, eventually};
use tonic::Code;

use crate::call::{bearer, call, channel};

const LIST: &str = "/softlaunch.flag.v1.FlagService/ListFlags";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_revoked_opens_nothing_and_ends_its_streams() {
    // Given a worker that watches the flags
    let house = Guarded::start(Guards::default()).await;
    let token = house.add(entry("worker-1", &[Access::Worker], &[]));
    let shown = house.credentials(None, Some(&token));
    let line = channel(&house, Noun::Flag, &shown);
    let mut client = EvaluationServiceClient::with_interceptor(line.clone(), shown.bearer());
    let request = WatchRulesetRequest { after_revision: 0 };
    let mut stream = eventually("the token is known", async || {
        client.watch_ruleset(request).await.ok().map(tonic::Response::into_inner)
    })
    .await;
    assert!(stream.message().await.unwrap().is_some());

    // When its token is revoked
    house.write_tokens(&TokenFile::default());

    // Then the stream ends, and no call is let in any more
    let ending = async {
        loop {
            match stream.message().await {
                Ok(Some(_heartbeat)) => {}
                Ok(None) => panic!("it ended as if all were well"),
                Err(status) => return status,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(20), ending).await.unwrap();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    let path = "/softlaunch.flag.v1.EvaluationService/WatchRuleset";
    assert_eq!(call(&line, path, Some(&bearer(&token))).await.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_is_spoilt_changes_nothing_until_it_is_mended() {
    let house = Guarded::start(Guards::default()).await;
    let ada = house.add(entry("ada", &[Access::Viewer], &[]));
    let line = channel(&house, Noun::Flag, &house.credentials(None, None));
    let code = async |token: &str| call(&line, LIST, Some(&bearer(token))).await.code();
    eventually("ada is known", async || code(&ada).await == Code::Ok).await;
    let kept = house.read_tokens();

    std::fs::write(house.tokens_file(), "[[token]]\nid = \"half of").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await; // Longer than it takes to be noticed.
    assert_eq!(code(&ada).await, Code::Ok);

    house.write_tokens(&kept);
    let bob = house.add(entry("bob", &[Access::Viewer], &[]));
    eventually("bob is known", async || code(&bob).await == Code::Ok).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_replaced_is_shown_to_whoever_comes_next() {
    let house = Guarded::start(Guards::default()).await;
    let other = Certificates::new();
    other.make("flag", &["localhost", "127.0.0.1"], &[]);
    let authority = Some(other.file("ca.pem"));
    let trusting = Credentials::read(&Files { authority, ..Files::default() }).unwrap();
    let reached = async || {
        let endpoint = trusting.endpoint(&house.address(Noun::Flag)).unwrap();
        endpoint.connect().await.is_ok()
    };
    assert!(!reached().await);
    for file in ["flag.pem", "flag.key"] {
        std::fs::copy(other.file(file), house.certificates.file(file)).unwrap();
    }
    eventually("the new certificate is shown", reached).await;
}
