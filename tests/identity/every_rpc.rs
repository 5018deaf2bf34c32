//! Every method there is, called by everybody who may not and everybody who may.

use std::collections::BTreeMap;

use service_kit::access::{Access, Noun, POLICY, Rule, Who};
use service_kit::tokens::{TokenEntry, mint};
use softlaunch_tests::{Guarded, Guards, entry};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

use crate::call::{Answer, bearer, call, channel, serving};

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2120-01-01T00:00:00Z";

/// The services, and a token for every role.
struct Place {
    house: Guarded,
    /// Connections that show no certificate.
    plain: BTreeMap<Noun, Channel>,
    tokens: BTreeMap<Access, String>,
}

impl Place {
    async fn start() -> Self {
        let house = Guarded::start(Guards::default()).await;
        let nothing = house.credentials(None, None);
        let plain = Noun::ALL.map(|noun| (noun, channel(&house, noun, &nothing))).into();
        let token = |role: Access| (role, house.add(entry(role.as_str(), &[role], &[])));
        let tokens = Access::ALL.map(token).into();
        Self { house, plain, tokens }
    }

    /// Waits until the services know a token.
    async fn known(&self, token: &str) {
        for noun in Noun::ALL {
            let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
            test_kit::eventually("the token is known", async || {
                call(&self.plain[&noun], path, Some(&bearer(token))).await.code()
                    != Code::Unauthenticated
            })
            .await;
        }
    }

    async fn as_nobody(&self, noun: Noun, path: &str) -> Answer {
        call(&self.plain[&noun], path, None).await
    }

    async fn showing(&self, noun: Noun, path: &str, token: &str) -> Answer {
        call(&self.plain[&noun], path, Some(&bearer(token))).await
    }
}

fn guarded_rules() -> impl Iterator<Item = (&'static Rule, Noun)> {
    let rules = POLICY.iter().filter(|rule| rule.who != Who::Everybody);
    rules.flat_map(|rule| serving(rule.path).into_iter().map(move |noun| (rule, noun)))
}

/// `UNAUTHENTICATED`, or what it is in HTTP.
fn is_unknown(answer: &Answer) -> bool {
    answer.code() == Code::Unauthenticated || answer.http == 401
}

/// `PERMISSION_DENIED`, or what it is in HTTP.
fn is_forbidden(answer: &Answer) -> bool {
    answer.code() == Code::PermissionDenied || answer.http == 403
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_but_health_answers_whoever_shows_nothing() {
    let place = Place::start().await;
    for (rule, noun) in guarded_rules() {
        let answer = place.as_nobody(noun, rule.path).await;
        assert!(is_unknown(&answer), "{}: {answer:?}", rule.path);
    }
    for noun in Noun::ALL {
        let health = place.as_nobody(noun, "/grpc.health.v1.Health/Check").await;
        assert_eq!(health.code(), Code::Ok, "{noun}: {health:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_every_role_that_it_is_not_for_and_lets_the_others_in() {
    let place = Place::start().await;
    place.known(&place.tokens[&Access::Admin]).await;
    let (mut refused, mut let_in) = (0, 0);
    for (rule, noun) in guarded_rules() {
        for role in Access::ALL {
            let answer = place.showing(noun, rule.path, &place.tokens[&role]).await;
            if matches!(role, Access::Viewer | Access::Admin)
                && rule.path.ends_with("/EvaluateGate")
            {
                // An empty request asks for a report to be kept, which takes one who acts.
                assert!(is_forbidden(&answer), "{answer:?}");
            } else if rule.admits(&[role]) {
                assert!(!answer.is_refused(), "{} as {role}: {answer:?}", rule.path);
                let_in += 1;
            } else {
                assert!(is_forbidden(&answer), "{} as {role}: {answer:?}", rule.path);
                refused += 1;
            }
        }
    }
    assert!(refused > 200 && let_in > 200, "{refused} refused, {let_in} let in");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_every_service_that_it_is_not_for_and_lets_the_others_in() {
    let place = Place::start().await;
    for from in Noun::ALL {
        let shown = place.house.credentials(Some(from.as_str()), None);
        for (rule, noun) in guarded_rules() {
            let channel = channel(&place.house, noun, &shown);
            let answer = call(&channel, rule.path, None).await;
            let right = if rule.admits_service(from) {
                !answer.is_refused()
            } else {
                is_forbidden(&answer)
            };
            assert!(right, "{} by the {from} service: {answer:?}", rule.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_refuses_a_token_that_is_forged_expired_or_not_valid_yet() {
    // Given tokens of somebody who may call everything that people and workers may
    let place = Place::start().await;
    let everything = || entry("eve", &Access::ALL, &[]);
    let expired = TokenEntry { expires: Some(PAST.to_owned()), ..everything() };
    let expired = place.house.add(expired);
    let early = TokenEntry { not_before: Some(FUTURE.to_owned()), ..everything() };
    let early = place.house.add(early);
    let good = place.house.add(everything());
    place.known(&good).await;

    // When they are shown, and what somebody made of the good one
    let (start, last) = good.split_at(good.len() - 1);
    let forged = format!("{start}{}", if last == "A" { "B" } else { "A" });
    let other = mint().unwrap().secret;
    for (rule, noun) in guarded_rules() {
        for bad in [&expired, &early, &forged, &other] {
            // Then every method refuses them
            let answer = place.showing(noun, rule.path, bad).await;
            assert!(is_unknown(&answer), "{}: {answer:?}", rule.path);
        }
    }
    let one = "/softlaunch.flag.v1.FlagService/ListFlags";
    let why = async |token: &str| {
        let status = place.showing(Noun::Flag, one, token).await.status.unwrap();
        status.get_error_details().error_info().unwrap().reason.clone()
    };
    assert_eq!(why(&expired).await, "TOKEN_EXPIRED");
    assert_eq!(why(&early).await, "TOKEN_NOT_YET");
    assert_eq!(why(&forged).await, "TOKEN_UNKNOWN");
    assert_eq!(place.showing(Noun::Flag, one, &good).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_which_role_is_needed_and_a_method_of_no_row_is_nobodys() {
    let place = Place::start().await;
    let viewer = &place.tokens[&Access::Viewer];
    place.known(&place.tokens[&Access::Admin]).await;
    let path = "/softlaunch.rollout.v1.RolloutService/ApproveGate";
    let status = place.showing(Noun::Rollout, path, viewer).await.status.unwrap();
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("ROLE_MISSING", "identity.softlaunch.dev"));
    assert_eq!(info.metadata["needs"], "approver");

    for spelling in [
        "/softlaunch.flag.v1.FlagService/DropAllFlags",
        "//softlaunch.flag.v1.FlagService/GetFlag",
        "/softlaunch.flag.v1.FlagService/getFlag",
        "/softlaunch%2Eflag.v1.FlagService/GetFlag",
        "/",
    ] {
        let answer = place.showing(Noun::Flag, spelling, viewer).await;
        assert_eq!(answer.code(), Code::PermissionDenied, "{spelling}: {answer:?}");
        assert!(is_unknown(&place.as_nobody(Noun::Flag, spelling).await), "{spelling}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_bearer_token_is_none() {
    let place = Place::start().await;
    let viewer = &place.tokens[&Access::Viewer];
    place.known(&place.tokens[&Access::Admin]).await;
    let path = "/softlaunch.flag.v1.FlagService/ListFlags";
    let channel = &place.plain[&Noun::Flag];
    for nonsense in [
        viewer.clone(),
        format!("Basic {viewer}"),
        format!("Bearer  {viewer}"),
        format!("Bearer {viewer} "),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", "x".repeat(8_000)),
    ] {
        let answer = call(channel, path, Some(&nonsense)).await;
        let shown = nonsense.get(..20).unwrap_or(&nonsense);
        assert_eq!(answer.code(), Code::Unauthenticated, "{shown}: {answer:?}");
    }
    assert_eq!(call(channel, path, Some(&format!("bearer {viewer}"))).await.code(), Code::Ok);
}
