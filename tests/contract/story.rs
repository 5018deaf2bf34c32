//! The steps of a rollout, as people and workers take them.

use contracts::comms as comms_pb;
use contracts::flag as flag_pb;
use contracts::gate as pb;
use contracts::gate::breaker_transition::State;
use contracts::gate::signal::Kind;
use contracts::gate::upload_outcome::{Path, Result as Outcome};
use contracts::killswitch as kill_pb;
use contracts::killswitch::watch_kill_switches_request::{Acknowledgement, Hello, Message};
use contracts::rollout as rollout_pb;
use prost_types::Timestamp;
use softlaunch_tests::{House, Person, ask};
use test_kit::eventually;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

pub(crate) const ADA: Person = Person { name: "ada", roles: &["engineering_lead"] };
pub(crate) const PIA: Person = Person { name: "pia", roles: &["product_manager"] };
pub(crate) const SAM: Person = Person { name: "sam", roles: &["sre_lead"] };
/// Holds every role a gate asks for.
pub(crate) const EVE: Person =
    Person { name: "eve", roles: &["engineering_lead", "product_manager", "sre_lead", "support"] };
/// Holds no role.
pub(crate) const BOB: Person = Person { name: "bob", roles: &[] };

pub(crate) const PLAN: &str = include_str!("../../deploy/plans/ingestion_v2.yaml");
pub(crate) const PLAN_VERSION: &str = "plans/ingestion_v2/versions/1.0";
pub(crate) const PIPELINE: &str = "ingestion_v2";
pub(crate) const FLAG: &str = "flags/ingestion_v2_enabled";
pub(crate) const ROLLOUT: &str = "rollouts/ingestion-v2";
pub(crate) const GATE_0: &str = "rollouts/ingestion-v2/gates/gate-0";

pub(crate) fn wire_time(time: vocab::Timestamp) -> Timestamp {
    let nanos = i32::try_from(time.as_millis().rem_euclid(1000) * 1_000_000);
    Timestamp { seconds: time.as_seconds(), nanos: nanos.expect("less than a second") }
}

/// Stores the shipped plan and creates a rollout of it.
pub(crate) async fn created(house: &House) -> rollout_pb::Rollout {
    let plan = rollout_pb::CreatePlanVersionRequest {
        source: PLAN.as_bytes().to_vec(),
        ..rollout_pb::CreatePlanVersionRequest::default()
    };
    house.rollouts().create_plan_version(ask(ADA, plan)).await.expect("the shipped plan is valid");
    house.approve_plan(PLAN_VERSION).await;
    let request = rollout_pb::CreateRolloutRequest {
        rollout_id: "ingestion-v2".to_owned(),
        plan_version: PLAN_VERSION.to_owned(),
        ..rollout_pb::CreateRolloutRequest::default()
    };
    let created = house.rollouts().create_rollout(ask(ADA, request)).await;
    created.expect("a rollout is created").into_inner()
}

pub(crate) fn attestation(role: &str, criterion: &str) -> pb::AttestCriterionRequest {
    pb::AttestCriterionRequest {
        name: format!("{ROLLOUT}/criteria/{criterion}"),
        role: role.to_owned(),
        evidence: "https://wiki.example.com/evidence".to_owned(),
        statement: "seen".to_owned(),
        request_id: String::new(),
    }
}

/// Attests a criterion in the first role of `person`.
pub(crate) async fn attest(house: &House, person: Person, criterion: &str) {
    let request = ask(person, attestation(person.roles[0], criterion));
    house.gates().attest_criterion(request).await.expect("the attestation is taken");
}

/// A rollout in P0.
pub(crate) async fn started(house: &House) -> rollout_pb::Rollout {
    created(house).await;
    for criterion in
        ["p0-workers-deployed", "p0-guardrails-configured", "p0-dashboard-live", "p0-alerts-active"]
    {
        attest(house, ADA, criterion).await;
    }
    let request = rollout_pb::StartRolloutRequest {
        name: ROLLOUT.to_owned(),
        ..rollout_pb::StartRolloutRequest::default()
    };
    let started = house.rollouts().start_rollout(ask(ADA, request)).await.expect("P0 is entered");
    assert!(!started.get_ref().reconciling, "flag and gate were told");
    started.into_inner()
}

pub(crate) async fn rollout(house: &House) -> rollout_pb::Rollout {
    let request = rollout_pb::GetRolloutRequest { name: ROLLOUT.to_owned() };
    house.rollouts().get_rollout(request).await.expect("the rollout is there").into_inner()
}

/// One upload that went well just now.
pub(crate) fn outcome(house: &House, upload: &str) -> pb::UploadOutcome {
    pb::UploadOutcome {
        upload_id: upload.to_owned(),
        workspace_id: "internal-test-workspace".to_owned(),
        result: Outcome::Succeeded.into(),
        path: Path::New.into(),
        occur_time: Some(wire_time(house.clock.now())),
        latency_duration: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        platform: "meta".to_owned(),
    }
}

pub(crate) fn outcomes(batch: &str, outcomes: Vec<pb::UploadOutcome>) -> pb::ReportOutcomesRequest {
    let (pipeline, batch_id) = (PIPELINE.to_owned(), batch.to_owned());
    pb::ReportOutcomesRequest { pipeline, batch_id, outcomes }
}

pub(crate) fn signal(house: &House, kind: Kind) -> pb::Signal {
    pb::Signal { occur_time: Some(wire_time(house.clock.now())), kind: Some(kind) }
}

pub(crate) fn signals(batch: &str, signals: Vec<pb::Signal>) -> pb::ReportSignalsRequest {
    let (pipeline, batch_id) = (PIPELINE.to_owned(), batch.to_owned());
    pb::ReportSignalsRequest { pipeline, batch_id, signals }
}

pub(crate) fn gauge(metric: &str, label: &str, amount: i64) -> Kind {
    Kind::Gauge(pb::Gauge { metric: metric.to_owned(), label: label.to_owned(), amount })
}

pub(crate) fn transition(text: &str) -> Kind {
    let (from, to) = text.split_once("->").expect("a transition has an arrow");
    Kind::StateTransition(pb::StateTransition { from: from.to_owned(), to: to.to_owned() })
}

pub(crate) fn breaker(state: State) -> Kind {
    let breaker_id = "database".to_owned();
    Kind::BreakerTransition(pb::BreakerTransition { breaker_id, state: state.into() })
}

/// How many uploads have been counted, by any window.
pub(crate) async fn uploads_counted(house: &House) -> i64 {
    let request = pb::ListMetricsRequest { parent: ROLLOUT.to_owned(), ..Default::default() };
    let metrics = house.gates().list_metrics(request).await.expect("metrics are listed");
    let counted = metrics.into_inner().metrics.into_iter();
    let counted = counted.filter(|one| one.metric == "uploads_processed" && one.label.is_empty());
    counted.filter_map(|one| one.amount).max().expect("uploads are always counted")
}

/// A worker's stream, and the other half of it.
pub(crate) struct Worker {
    pub(crate) tell: mpsc::Sender<kill_pb::WatchKillSwitchesRequest>,
    pub(crate) states: Streaming<kill_pb::WatchKillSwitchesResponse>,
}

impl Worker {
    /// Connects as a worker of the pipeline.
    pub(crate) async fn connect(house: &House) -> Self {
        let (tell, heard) = mpsc::channel(8);
        let (worker_id, pipeline) = ("worker-1".to_owned(), PIPELINE.to_owned());
        let hello = Message::Hello(Hello { worker_id, pipeline, ..Hello::default() });
        let hello = kill_pb::WatchKillSwitchesRequest { message: Some(hello) };
        tell.send(hello).await.expect("the other half is right here");
        let watched = house.kills().watch_kill_switches(ReceiverStream::new(heard)).await;
        Self { tell, states: watched.expect("a worker is let in").into_inner() }
    }

    pub(crate) async fn acknowledge(&self, epoch: i64) {
        let message = Some(Message::Acknowledgement(Acknowledgement { epoch }));
        let said = self.tell.send(kill_pb::WatchKillSwitchesRequest { message }).await;
        said.expect("the stream is open");
    }

    /// Obeys for as long as the house stands.
    pub(crate) fn obey(mut self) {
        tokio::spawn(async move {
            while let Ok(Some(response)) = self.states.message().await {
                self.acknowledge(response.state.unwrap_or_default().epoch).await;
            }
        });
    }
}

/// Everything gate 0 asks for: uploads, transitions, a recovered breaker, a drill, no bugs.
pub(crate) async fn evidence_for_gate_0(house: &House) {
    Worker::connect(house).await.obey();
    let drill = kill_pb::RunDrillRequest {
        pipeline: PIPELINE.to_owned(),
        ..kill_pb::RunDrillRequest::default()
    };
    let drill = house.kills().run_drill(ask(SAM, drill)).await.expect("a drill runs").into_inner();
    assert!(drill.passed, "{drill:?}");
    let mut kinds: Vec<_> = [
        "received->validating",
        "validating->rejected",
        "validating->staging",
        "staging->retrying",
        "retrying->staging",
        "staging->aggregating",
        "aggregating->committed",
        "staging->failed",
    ]
    .map(transition)
    .into();
    kinds.extend([breaker(State::Open), breaker(State::Closed), gauge("open_bugs", "P1", 0)]);
    let batch = kinds.into_iter().map(|kind| signal(house, kind)).collect();
    let taken = house.signals().report_signals(ask(BOB, signals("evidence", batch))).await;
    taken.expect("signals are taken in");
    let uploads = (0..100).map(|n| outcome(house, &format!("upload-{n}"))).collect();
    let taken = house.signals().report_outcomes(ask(BOB, outcomes("uploads", uploads))).await;
    taken.expect("outcomes are taken in");
    // The drill reaches the gate by a stream of its own.
    eventually("gate 0 has seen the drill", async || {
        judged(house, GATE_0, true).await.verdict() == pb::Verdict::Pass
    })
    .await;
}

/// Judges a gate.
pub(crate) async fn judged(house: &House, gate: &str, validate_only: bool) -> pb::GateReport {
    let request = pb::EvaluateGateRequest { name: gate.to_owned(), validate_only };
    house.gates().evaluate_gate(ask(ADA, request)).await.expect("a gate is judged").into_inner()
}

pub(crate) fn approval(role: &str, digest: &str) -> rollout_pb::ApproveGateRequest {
    rollout_pb::ApproveGateRequest {
        name: ROLLOUT.to_owned(),
        report_digest: digest.to_owned(),
        role: role.to_owned(),
        reason: "looks right".to_owned(),
        ..rollout_pb::ApproveGateRequest::default()
    }
}

/// Judges gate 0, and both who must approve it do.
pub(crate) async fn gate_0_approved(house: &House) {
    let digest = judged(house, GATE_0, false).await.digest;
    for person in [ADA, PIA] {
        let request = ask(person, approval(person.roles[0], &digest));
        house.rollouts().approve_gate(request).await.expect("the approval is taken");
    }
}

/// What P1's entry asks of people.
pub(crate) async fn entry_of_p1_attested(house: &House) {
    attest(house, PIA, "p1-support-channel").await;
    attest(house, SAM, "p1-rollback-documented").await;
    canaries_invited(house).await;
}

/// Invites the selected clients, and waits until the gate knows that all were told.
pub(crate) async fn canaries_invited(house: &House) {
    let request = comms_pb::SendCommunicationRequest {
        rollout: ROLLOUT.to_owned(),
        event: "canary-invitation".to_owned(),
        reason: "they have been chosen".to_owned(),
        ..comms_pb::SendCommunicationRequest::default()
    };
    // It may not have heard of the rollout yet.
    eventually("the invitation is sent", async || {
        house.comms().send_communication(ask(PIA, request.clone())).await.is_ok()
    })
    .await;
    eventually("the gate knows that the canaries were told", async || {
        let report = judged(house, "rollouts/ingestion-v2/gates/p1-entry", true).await;
        let told = report.criteria.iter().find(|one| one.criterion_id == "p1-canaries-notified");
        told.is_some_and(|one| one.verdict() == pb::Verdict::Pass)
    })
    .await;
}

pub(crate) fn advance_to(phase: &str) -> rollout_pb::AdvanceRolloutRequest {
    rollout_pb::AdvanceRolloutRequest {
        name: ROLLOUT.to_owned(),
        phase_id: phase.to_owned(),
        ..rollout_pb::AdvanceRolloutRequest::default()
    }
}

/// A new flag that nobody's rollout moves.
pub(crate) fn new_flag(id: &str, percentage_basis_points: i32) -> flag_pb::CreateFlagRequest {
    flag_pb::CreateFlagRequest {
        flag_id: id.to_owned(),
        flag: Some(flag_pb::Flag {
            pipeline: PIPELINE.to_owned(),
            definition: Some(flag_pb::FlagDefinition {
                enabled: true,
                percentage_basis_points,
                ..flag_pb::FlagDefinition::default()
            }),
            ..flag_pb::Flag::default()
        }),
        reason: "for a test".to_owned(),
        ..flag_pb::CreateFlagRequest::default()
    }
}

pub(crate) fn question(flag: &str, workspace: &str) -> flag_pb::EvaluateFlagRequest {
    flag_pb::EvaluateFlagRequest {
        name: flag.to_owned(),
        workspace_id: workspace.to_owned(),
        attributes: None,
    }
}

pub(crate) fn upload(flag: &str, workspace: &str, id: &str) -> flag_pb::AdmitUploadRequest {
    flag_pb::AdmitUploadRequest {
        name: flag.to_owned(),
        workspace_id: workspace.to_owned(),
        upload_id: id.to_owned(),
        file_size_bytes: 1_000,
        attributes: None,
    }
}

/// Waits until the flag service answers `reason` for a workspace.
pub(crate) async fn answers(house: &House, workspace: &str, reason: flag_pb::Reason) {
    eventually("the flag service answers so", async || {
        let answer = house.evaluation().evaluate_flag(question(FLAG, workspace)).await;
        answer.expect("the flag is there").into_inner().reason() == reason
    })
    .await;
}
