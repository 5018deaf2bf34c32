//! Services, people and workers together, each with their own credentials.

use std::time::Duration;

use client::{Client, Ending, Options, Outcome, Path};
use contracts::comms::ListMessagesRequest;
use contracts::comms::comms_service_client::CommsServiceClient;
use contracts::gate::AttestCriterionRequest;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::killswitch::kill_switch::State;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::killswitch::scope::Kind;
use contracts::killswitch::{EngageKillSwitchRequest, ReleaseKillSwitchRequest, Scope};
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use contracts::rollout::{
    ApprovePlanVersionRequest, CreatePlanVersionRequest, CreateRolloutRequest, StartRolloutRequest,
};
use credentials::{Credentials, Line};
use service_kit::access::{Access, Noun};
use service_kit::identity::claim;
use softlaunch_tests::{Guarded, Guards, entry};
use store::StreamName;
use test_kit::eventually;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;
use vocab::Role;

use crate::call::{bearer, call, channel};

const PLAN: &str = include_str!("../../deploy/plans/ingestion_v2.yaml");
const VERSION: &str = "plans/ingestion_v2/versions/1.0";
const ROLLOUT: &str = "rollouts/ingestion-v2";
const RECORDS_MAX: usize = 1_000;

fn line(house: &Guarded, noun: Noun, credentials: &Credentials) -> Line {
    InterceptedService::new(channel(house, noun, credentials), credentials.bearer())
}

struct Person<'a> {
    house: &'a Guarded,
    credentials: Credentials,
    token: String,
}

impl<'a> Person<'a> {
    fn new(house: &'a Guarded, name: &str, access: &[Access], holding: &[&str]) -> Self {
        let token = house.add(entry(name, access, holding));
        Self { house, credentials: house.credentials(None, Some(&token)), token }
    }

    /// Waits until every service knows this person.
    async fn arrives(&self) {
        let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        for noun in Noun::ALL {
            let line = channel(self.house, noun, &self.credentials);
            eventually("the token is known", async || {
                call(&line, path, Some(&bearer(&self.token))).await.code() != Code::Unauthenticated
            })
            .await;
        }
    }

    fn rollouts(&self) -> RolloutServiceClient<Line> {
        RolloutServiceClient::new(line(self.house, Noun::Rollout, &self.credentials))
    }

    fn gates(&self) -> GateServiceClient<Line> {
        GateServiceClient::new(line(self.house, Noun::Gate, &self.credentials))
    }

    fn kills(&self) -> KillSwitchServiceClient<Line> {
        KillSwitchServiceClient::new(line(self.house, Noun::Killswitch, &self.credentials))
    }

    fn comms(&self) -> CommsServiceClient<Line> {
        CommsServiceClient::new(line(self.house, Noun::Comms, &self.credentials))
    }

    async fn approve(&self, role: &str) -> Result<(), tonic::Status> {
        self.rollouts().approve_plan_version(approval(role)).await.map(drop)
    }
}

fn approval(role: &str) -> ApprovePlanVersionRequest {
    let (name, role) = (VERSION.to_owned(), role.to_owned());
    ApprovePlanVersionRequest { name, role, reason: String::new() }
}

fn reason(status: &tonic::Status) -> (Code, String, String) {
    let details = status.get_error_details();
    let info = details.error_info().expect("a refusal says why");
    (status.code(), info.reason.clone(), info.domain.clone())
}

/// Ada conducts and leads engineering; pia and sam approve.
async fn three(house: &Guarded) -> [Person<'_>; 3] {
    let both = &[Access::Operator, Access::Approver];
    let three = [
        Person::new(house, "ada", both, &["engineering_lead"]),
        Person::new(house, "pia", &[Access::Approver], &["product_manager"]),
        Person::new(house, "sam", &[Access::Approver], &["sre_lead"]),
    ];
    three[2].arrives().await;
    three
}

async fn stored(ada: &Person<'_>) {
    let request = CreatePlanVersionRequest {
        source: PLAN.as_bytes().to_vec(),
        ..CreatePlanVersionRequest::default()
    };
    ada.rollouts().create_plan_version(request).await.expect("the shipped plan is valid");
}

async fn started(people: &[Person<'_>; 3]) {
    let [ada, pia, sam] = people;
    stored(ada).await;
    for (person, role) in [(ada, "engineering_lead"), (pia, "product_manager"), (sam, "sre_lead")] {
        person.approve(role).await.expect("a lead approves");
    }
    let request = CreateRolloutRequest {
        rollout_id: "ingestion-v2".to_owned(),
        plan_version: VERSION.to_owned(),
        ..CreateRolloutRequest::default()
    };
    ada.rollouts().create_rollout(request).await.expect("a rollout is created");
    for criterion in
        ["p0-workers-deployed", "p0-guardrails-configured", "p0-dashboard-live", "p0-alerts-active"]
    {
        let request = AttestCriterionRequest {
            name: format!("{ROLLOUT}/criteria/{criterion}"),
            role: "engineering_lead".to_owned(),
            evidence: "https://wiki.example.com/evidence".to_owned(),
            statement: "seen".to_owned(),
            request_id: String::new(),
        };
        ada.gates().attest_criterion(request).await.expect("the attestation is taken");
    }
    let request =
        StartRolloutRequest { name: ROLLOUT.to_owned(), ..StartRolloutRequest::default() };
    let started = ada.rollouts().start_rollout(request).await.expect("P0 is entered");
    assert!(!started.into_inner().reconciling, "flag and gate were told");
}

/// Who wrote to a stream, and whether that is proven.
async fn writers(house: &Guarded, stream: &str) -> Vec<(String, bool)> {
    let stream = StreamName::new(stream).expect("a noun is a stream name");
    let records = house.store.journal.read(&stream, 0, RECORDS_MAX).await.expect("it answers");
    records.into_iter().map(|one| (one.actor.subject, one.actor.authenticated)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_through_all_services_and_every_record_says_who_it_really_was() {
    let house = Guarded::start(Guards::default()).await;
    let people = three(&house).await;
    started(&people).await;

    // Then every service knows what it must, from a service with a certificate
    let system = |noun: &str| (format!("system:{noun}"), true);
    for stream in ["flag", "gate", "killswitch"] {
        let all = writers(&house, stream).await;
        assert!(all.contains(&system("rollout")), "{stream}: {all:?}");
        assert!(all.iter().all(|(_, authenticated)| *authenticated), "{stream}: {all:?}");
    }
    let all = writers(&house, "rollout").await;
    for name in ["ada", "pia", "sam"] {
        assert!(all.contains(&(name.to_owned(), true)), "{all:?}");
    }
    let listing = ListMessagesRequest::default();
    eventually("comms follows", async || {
        let listed = people[0].comms().list_messages(listing.clone()).await;
        !listed.expect("ada may look").into_inner().messages.is_empty()
    })
    .await;

    // And a worker with its token asks and reports
    let token = house.add(entry("worker-1", &[Access::Worker], &[]));
    let options = Options {
        flag_address: house.address(Noun::Flag),
        gate_address: house.address(Noun::Gate),
        killswitch_address: house.address(Noun::Killswitch),
        credentials: house.credentials(None, Some(&token)),
        ..Options::new("ingestion_v2", "ingestion_v2_enabled")
    };
    let worker = Client::start(options).unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), worker.kills().first_word()).await;
    told.expect("the kill switch answers");
    let workspace = "internal-test-workspace".parse().unwrap();
    eventually("the flag service knows the worker", async || {
        let answer = worker.evaluate(&workspace, false).await;
        answer.enabled && !answer.reason.starts_with("ERROR")
    })
    .await;
    let outcome = Outcome {
        upload: "upload-1".parse().unwrap(),
        workspace: workspace.clone(),
        ending: Ending::Succeeded,
        path: Path::New,
        latency: Duration::from_secs(2),
        platform: "meta".to_owned(),
    };
    eventually("the gate service knows the worker", async || {
        worker.reporter().batch("batch-1", vec![outcome.clone()]).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_claims_counts_for_nothing_beside_what_it_proves() {
    let house = Guarded::start(Guards::default()).await;
    let people = three(&house).await;
    let [ada, _, sam] = &people;
    stored(ada).await;
    ada.approve("engineering_lead").await.unwrap();

    // When ada says that she is pia
    let mut request = Request::new(approval("product_manager"));
    let role = Role::new("product_manager").unwrap();
    claim(request.metadata_mut(), "pia", &[role]).unwrap();
    let refused = ada.rollouts().approve_plan_version(request).await.unwrap_err();

    // Then she is ada all the same, who does not hold that role
    let (code, why, domain) = reason(&refused);
    assert_eq!((code, &*why), (Code::PermissionDenied, "ROLE_MISSING"));
    assert_eq!(domain, "rollout.softlaunch.dev");
    assert!(refused.message().contains("ada"), "{}", refused.message());

    // And the name of a service is nothing to claim either
    let mut request = Request::new(approval("sre_lead"));
    claim(request.metadata_mut(), "system:rollout", &[]).unwrap();
    sam.rollouts().approve_plan_version(request).await.unwrap();
    assert_eq!(writers(&house, "rollout").await.last().unwrap(), &("sam".to_owned(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_with_two_tokens_is_one_person() {
    let house = Guarded::start(Guards::default()).await;
    let people = three(&house).await;
    let [ada, pia, sam] = &people;
    let leads = &["product_manager", "sre_lead"];
    let eve = Person::new(&house, "eve", &[Access::Approver], &leads[..1]);
    let eve_again = Person::new(&house, "eve", &[Access::Approver], &leads[1..]);
    eve_again.arrives().await;
    stored(ada).await;
    eve.approve("product_manager").await.unwrap();
    let refused = eve_again.approve("sre_lead").await.unwrap_err();
    assert_ne!(refused.code(), Code::Ok);
    assert!(refused.message().contains("eve"), "{}", refused.message());

    // And so it is where a kill switch is released
    sam.approve("sre_lead").await.unwrap();
    ada.approve("engineering_lead").await.unwrap();
    started_anyway(ada).await;
    let kind = Kind::Pipeline.into();
    let scope = Scope { kind, pipeline: "ingestion_v2".to_owned(), ..Scope::default() };
    let engage =
        EngageKillSwitchRequest { scope: Some(scope.clone()), reason: "bad data".to_owned() };
    let engaged = ada.kills().engage_kill_switch(engage).await.unwrap().into_inner();
    let release = ReleaseKillSwitchRequest {
        scope: Some(scope),
        epoch: engaged.epoch,
        reason: "fixed".to_owned(),
        evidence: "https://wiki.example.com/fixed".to_owned(),
    };
    let asked = eve.kills().release_kill_switch(release.clone()).await.unwrap().into_inner();
    assert_eq!(asked.state(), State::Engaged);
    let refused = eve_again.kills().release_kill_switch(release.clone()).await.unwrap_err();
    assert_eq!(reason(&refused).1, "SECOND_PERSON_REQUIRED");
    let released = pia.kills().release_kill_switch(release).await.unwrap().into_inner();
    assert_eq!(released.state(), State::Released);
}

/// A rollout, so that the kill-switch service knows the plan's rules.
async fn started_anyway(ada: &Person<'_>) {
    let request = CreateRolloutRequest {
        rollout_id: "ingestion-v2".to_owned(),
        plan_version: VERSION.to_owned(),
        ..CreateRolloutRequest::default()
    };
    ada.rollouts().create_rollout(request).await.expect("a rollout is created");
    eventually("the kill-switch service knows the rules", async || {
        let all = writers(ada.house, "killswitch").await;
        all.contains(&("system:rollout".to_owned(), true))
    })
    .await;
}
