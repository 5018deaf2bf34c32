//! Clients that go on through faults: each command has a tag that no other has, and is repeated
//! with its request id until it is answered; some are given up, as by a client that died.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::flag as flag_pb;
use contracts::flag::flag_service_client::FlagServiceClient;
use contracts::gate as gate_pb;
use contracts::gate::gate_service_client::GateServiceClient;
use contracts::gate::signal_service_client::SignalServiceClient;
use contracts::gate::upload_outcome::{Path, Result as Ended};
use contracts::killswitch as kill_pb;
use contracts::killswitch::kill_switch_service_client::KillSwitchServiceClient;
use contracts::rollout as rollout_pb;
use contracts::rollout::rollout_service_client::RolloutServiceClient;
use prost_types::FieldMask;
use service_kit::clock::real_now;
use softlaunch_tests::{Action, Outcome, Person, Recorder, ask};
use tokio::time::Instant;
use tonic::{Code, Response, Status};

use crate::installation::Addresses;

pub(crate) const ADA: Person = Person { name: "ada", roles: &["engineering_lead"] };
pub(crate) const PIPELINE: &str = "ingestion_v2";
pub(crate) const FLAG: &str = "flags/storm";
/// Outcomes in every batch: a sum that is no multiple of it shows a batch counted in part.
pub(crate) const BATCH: u64 = 7;
const ROLLOUT: &str = "rollouts/ingestion-v2";
const PLAN_VERSION: &str = "plans/ingestion_v2/versions/1.0";
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);
const GIVEN_UP: usize = 7; // One command in so many is not repeated.

/// What a client does over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Changes the one flag.
    Flag,
    /// Reads it.
    Look,
    /// Engages a kill switch of its own.
    Kill,
    /// Attests a criterion anew.
    Attest,
    /// Reports a batch of outcomes.
    Batch,
}

impl Duty {
    /// What its calls are about, in the history.
    pub(crate) const fn target(self) -> &'static str {
        match self {
            Self::Flag | Self::Look => FLAG,
            Self::Kill => "killswitch",
            Self::Attest => "attestations",
            Self::Batch => "batches",
        }
    }
}

/// An answer: the revision it carries, and everything it said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    revision: u64,
    whole: String,
}

impl Answer {
    fn of<T: std::fmt::Debug>(revision: i64, message: &T) -> Self {
        Self { revision: u64::try_from(revision).unwrap_or(0), whole: format!("{message:?}") }
    }
}

/// Creates the rollout and the flag that the duties are about.
pub(crate) async fn prepare(addresses: &Addresses) {
    let mut rollouts = RolloutServiceClient::new(addresses.channel("rollout"));
    let source = plan::SHIPPED.as_bytes().to_vec();
    let plan = rollout_pb::CreatePlanVersionRequest { source, ..Default::default() };
    rollouts.create_plan_version(ask(ADA, plan)).await.expect("the shipped plan is valid");
    let rollout = rollout_pb::CreateRolloutRequest {
        rollout_id: "ingestion-v2".to_owned(),
        plan_version: PLAN_VERSION.to_owned(),
        ..Default::default()
    };
    rollouts.create_rollout(ask(ADA, rollout)).await.expect("a rollout is created");
    create_flag(addresses).await;
}

/// Creates the flag.
pub(crate) async fn create_flag(addresses: &Addresses) {
    let flag = flag_pb::Flag {
        pipeline: PIPELINE.to_owned(),
        definition: Some(flag_pb::FlagDefinition { enabled: true, ..Default::default() }),
        ..Default::default()
    };
    let create = flag_pb::CreateFlagRequest {
        flag_id: "storm".to_owned(),
        flag: Some(flag),
        reason: "for a test".to_owned(),
        ..Default::default()
    };
    let mut flags = FlagServiceClient::new(addresses.channel("flag"));
    flags.create_flag(ask(ADA, create)).await.expect("a flag is created");
}

/// A change of the flag to a list that holds `tag` only, on condition of `etag` where not empty.
pub(crate) fn change(tag: &str, request_id: &str, etag: &str) -> flag_pb::UpdateFlagRequest {
    let definition =
        flag_pb::FlagDefinition { allowlist: vec![tag.to_owned()], ..Default::default() };
    flag_pb::UpdateFlagRequest {
        flag: Some(flag_pb::Flag {
            name: FLAG.to_owned(),
            definition: Some(definition),
            etag: etag.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["definition.allowlist".to_owned()] }),
        reason: "for a test".to_owned(),
        request_id: request_id.to_owned(),
        validate_only: false,
    }
}

/// Engages a switch whose scope and reason hold `tag`; `UNAVAILABLE` while it is not stored.
pub(crate) async fn engage(addresses: &Addresses, tag: &str) -> Result<i64, Status> {
    let mut scope = kill_pb::Scope {
        pipeline: PIPELINE.to_owned(),
        workspace_pattern: tag.to_owned(),
        ..Default::default()
    };
    scope.set_kind(kill_pb::scope::Kind::Workspace);
    let request =
        kill_pb::EngageKillSwitchRequest { scope: Some(scope), reason: format!("because {tag}") };
    let mut kills = KillSwitchServiceClient::new(addresses.channel("killswitch"));
    let engaged = kills.engage_kill_switch(ask(ADA, request)).await?.into_inner();
    if engaged.durability() == kill_pb::Durability::NotYet {
        return Err(Status::unavailable("in force, and not stored yet")); // Says so itself.
    }
    Ok(engaged.epoch)
}

/// A batch of [`BATCH`] uploads that went well just now.
pub(crate) fn batch(tag: &str) -> gate_pb::ReportOutcomesRequest {
    let now = real_now();
    let outcome = |number: u64| gate_pb::UploadOutcome {
        upload_id: format!("{tag}-{number}"),
        workspace_id: "ws-1".to_owned(),
        result: Ended::Succeeded.into(),
        path: Path::New.into(),
        occur_time: Some(prost_types::Timestamp { seconds: now.as_seconds(), nanos: 0 }),
        latency_duration: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        platform: "meta".to_owned(),
    };
    let outcomes = (0..BATCH).map(outcome).collect();
    gate_pb::ReportOutcomesRequest {
        pipeline: PIPELINE.to_owned(),
        batch_id: tag.to_owned(),
        outcomes,
    }
}

/// A command as it is sent, and sent again.
struct Issued {
    duty: Duty,
    tag: String,
    request_id: String,
    batch: gate_pb::ReportOutcomesRequest,
}

impl Issued {
    fn new(duty: Duty, tag: String) -> Self {
        let request_id = uuid::Uuid::new_v4().to_string();
        Self { duty, batch: batch(&tag), tag, request_id }
    }

    async fn send(&self, addresses: &Addresses) -> Result<Answer, Status> {
        match self.duty {
            Duty::Flag => {
                let mut flags = FlagServiceClient::new(addresses.channel("flag"));
                let request = ask(ADA, change(&self.tag, &self.request_id, ""));
                let flag = flags.update_flag(request).await.map(Response::into_inner)?;
                Ok(Answer::of(flag.revision, &flag))
            }
            Duty::Kill => {
                let epoch = engage(addresses, &self.tag).await?;
                Ok(Answer::of(epoch, &epoch))
            }
            Duty::Attest => {
                let mut gates = GateServiceClient::new(addresses.channel("gate"));
                let request = gate_pb::AttestCriterionRequest {
                    name: format!("{ROLLOUT}/criteria/p0-dashboard-live"),
                    role: "engineering_lead".to_owned(),
                    evidence: "https://wiki.example.com/evidence".to_owned(),
                    statement: self.tag.clone(),
                    request_id: self.request_id.clone(),
                };
                let attested = gates.attest_criterion(ask(ADA, request)).await?.into_inner();
                Ok(Answer::of(0, &attested))
            }
            Duty::Batch => {
                let mut signals = SignalServiceClient::new(addresses.channel("gate"));
                signals.report_outcomes(ask(ADA, self.batch.clone())).await?;
                Ok(Answer { revision: 0, whole: String::new() })
            }
            Duty::Look => unreachable!("looking is no command"),
        }
    }

    /// Whether repeating it now finds that it has been carried out, with the first answer.
    async fn is_remembered(&self, addresses: &Addresses, first: &Answer) -> Result<bool, Status> {
        if self.duty == Duty::Batch {
            let mut signals = SignalServiceClient::new(addresses.channel("gate"));
            let answer = signals.report_outcomes(ask(ADA, self.batch.clone())).await?;
            return Ok(answer.into_inner().duplicate);
        }
        Ok(self.send(addresses).await? == *first)
    }
}

/// Whether a call that ended so may have taken effect, or may take effect yet.
fn is_unknown(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::Internal
    )
}

/// Does its duty until told to stop.
pub(crate) async fn work(
    client: usize,
    duty: Duty,
    addresses: Addresses,
    recorder: Arc<Recorder>,
    stop: Arc<AtomicBool>,
) {
    for turn in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if duty == Duty::Look {
            look(client, &addresses, &recorder).await;
            tokio::time::sleep(PAUSE).await; // Leaves the processors to the others.
            continue;
        }
        let tag = format!("ws-{}-{client}-{turn:05}-x", duty.target().replace('/', "-"));
        command(
            client,
            Issued::new(duty, tag),
            turn % GIVEN_UP == GIVEN_UP - 1,
            &addresses,
            &recorder,
        )
        .await;
    }
}

async fn command(
    client: usize,
    issued: Issued,
    gives_up: bool,
    addresses: &Addresses,
    recorder: &Recorder,
) {
    let begun = recorder.begin(client, issued.duty.target());
    let patience = Instant::now() + PATIENCE;
    let first = loop {
        match issued.send(addresses).await {
            Ok(first) => break Some(first),
            Err(status) => assert!(is_unknown(&status), "{}: {status:?}", issued.tag),
        }
        if gives_up {
            break None;
        }
        assert!(Instant::now() < patience, "{} was not answered in {PATIENCE:?}", issued.tag);
        tokio::time::sleep(PAUSE).await;
    };
    let outcome = first.as_ref().map_or(Outcome::Unknown, |first| Outcome::Done(first.revision));
    let payload = issued.tag.clone();
    recorder.end(begun, Action::Write { payload, expected: None, outcome });
    let Some(first) = first else { return };
    match issued.is_remembered(addresses, &first).await {
        Ok(remembered) => assert!(remembered, "FORGOTTEN: {} has another answer now", issued.tag),
        Err(status) => assert!(is_unknown(&status), "{}: {status:?}", issued.tag),
    }
}

async fn look(client: usize, addresses: &Addresses, recorder: &Recorder) {
    let mut flags = FlagServiceClient::new(addresses.channel("flag"));
    let begun = recorder.begin(client, FLAG);
    let request = flag_pb::GetFlagRequest { name: FLAG.to_owned() };
    let action = match flags.get_flag(request).await.map(Response::into_inner) {
        Ok(flag) => {
            let payload = flag.definition.unwrap_or_default().allowlist.concat();
            Action::Read { revision: u64::try_from(flag.revision).unwrap_or(0), payload }
        }
        Err(status) => {
            assert!(is_unknown(&status), "{status:?}");
            recorder.drop_call(begun); // A read without an answer says nothing.
            return;
        }
    };
    recorder.end(begun, action);
}
