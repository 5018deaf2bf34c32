//! The tour: from nothing to P1, one step after the other.

use std::time::Duration;

use contracts::gate as gate_pb;
use contracts::rollout::rollout::State;

use crate::arguments::{DemoArguments, Output};
use crate::connect::Connection;
use crate::demo::care;
use crate::demo::fleet::Fleet;
use crate::demo::people::{PERSONAS, Persona, holder};
use crate::demo::place::Stage;
use crate::demo::progress;
use crate::endpoints::{self, Endpoints};
use crate::failure::Failure;
use crate::output::{duration, say};
use crate::verbs::{comms, flag, gate, kill, rollout};

const ID: &str = "ingestion-v2";
const NAME: &str = "rollouts/ingestion-v2";
const FLAG: &str = "flags/ingestion_v2_enabled";
const EVIDENCE: &str = "https://wiki.example.com/ingestion-v2/evidence";
const WORKSPACES: [&str; 6] = [
    "internal-test-workspace",
    "canary-ws-1",
    "canary-ws-2",
    "enterprise-acme",
    "ws-outside",
    "ws-42",
];
const BREAKER: &str = "gate-0-breaker-recovered";
const PATIENCE: Duration = Duration::from_secs(300);
const INTERVAL: Duration = Duration::from_millis(500);

/// Numbers the headings.
struct Steps(usize);

impl Steps {
    fn next(&mut self, heading: &str) {
        self.0 += 1;
        say(format!("\n{}. {heading}", self.0));
    }
}

pub(crate) async fn tour(stage: &Stage, arguments: &DemoArguments) -> Result<(), Failure> {
    let lead = PERSONAS[0].connect(&stage.endpoints);
    let mut steps = Steps(0);
    say(format!(
        "DEMO CLOCK: one second is {} seconds; it is {}. People are played by role.",
        stage.demo.factor,
        stage.clock.now()
    ));
    steps.next("A rollout of the shipped plan is created");
    let created = rollout::create(&lead, ID, plan::SHIPPED.to_owned(), true).await?;
    rollout::show(&created, Output::Table)?;
    if created.state() == State::Pending {
        steps.next("P0 may start once its entry criteria are met");
        settle(&lead, "p0-entry").await?;
        attest_open(stage, "p0-entry").await?;
        let started = rollout::start(&lead, ID, plan::SHIPPED.to_owned(), true).await?;
        rollout::show(&started, Output::Table)?;
    }
    if rollout::get(&lead, NAME).await?.phase_id == "P0" {
        tokio::select! {
            done = through_p0(stage, arguments, &lead, &mut steps) => done?,
            failure = care::look_after(stage, NAME) => return Err(failure),
        }
    }
    steps.next("Who is on now");
    show_cohort(&lead).await?;
    steps.next("Who was told");
    told(stage, &lead).await?;
    stage.finish()
}

async fn through_p0(
    stage: &Stage,
    arguments: &DemoArguments,
    lead: &Connection,
    steps: &mut Steps,
) -> Result<(), Failure> {
    steps.next("Four workers send ad exports of Meta, Google and TikTok through P0");
    show_cohort(lead).await?;
    let mut fleet = Fleet::start(stage, arguments, !breaker_was_forced(lead).await?)?;
    progress::follow(stage, lead, NAME, &mut fleet).await?;
    steps.next("The kill switch is drilled with the workers connected");
    let drill = kill::drill(lead, "ingestion_v2", "demo drill").await?;
    kill::describe_drill(&drill);
    if usize::try_from(drill.worker_count).ok() != Some(fleet.size()) {
        return Err(Failure::refused("the drill did not reach every worker"));
    }
    fleet.end().await?;
    steps.next("Gate 0 is judged");
    progress::report_bugs(stage, lead).await?;
    await_verdict(stage, lead, "gate-0").await?;
    steps.next("What P1 asks for before it starts: attested by role");
    attest_open(stage, "p1-entry").await?;
    steps.next("The minimum duration of P0 runs out, on the demo clock");
    bake(stage, lead).await?;
    steps.next("Gate 0 is approved by the roles the plan names, each on the report just kept");
    progress::report_bugs(stage, lead).await?;
    let report = gate::evaluate(lead, &format!("{NAME}/gates/gate-0"), true).await?;
    gate::show(&report, true, Output::Table)?;
    approve(stage, &report).await?;
    steps.next("P1 is entered, as soon as the selected clients have been invited");
    await_verdict(stage, lead, "p1-entry").await?;
    let advanced = rollout::advance_to(lead, NAME.to_owned(), "P1", false).await?;
    rollout::show(&advanced, Output::Table)
}

/// Whether a breaker opened before a demo was cut off: a second time within a day would be a reason
/// to roll back.
async fn breaker_was_forced(connection: &Connection) -> Result<bool, Failure> {
    let report = gate::evaluate(connection, &format!("{NAME}/gates/gate-0"), false).await?;
    let mut breaker = report.criteria.iter().filter(|one| one.criterion_id == BREAKER);
    Ok(breaker.any(|one| one.verdict() == gate_pb::Verdict::Pass || !one.value.is_empty()))
}

/// Waits until the gate service knows the rollout.
async fn settle(connection: &Connection, gate_id: &str) -> Result<(), Failure> {
    let name = format!("{NAME}/gates/{gate_id}");
    let begun = tokio::time::Instant::now();
    loop {
        match gate::evaluate(connection, &name, false).await {
            Ok(_) => return Ok(()),
            Err(failure) if begun.elapsed() > PATIENCE => return Err(failure),
            Err(_not_yet) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

/// Shows a gate, and lets a holder of the right role attest what waits for a person.
async fn attest_open(stage: &Stage, gate_id: &str) -> Result<(), Failure> {
    let endpoints = &stage.endpoints;
    let viewer = PERSONAS[0].connect(endpoints);
    let name = format!("{NAME}/gates/{gate_id}");
    let report = gate::evaluate(&viewer, &name, false).await?;
    gate::show(&report, false, Output::Table)?;
    for criterion in &report.criteria {
        let waits = criterion.kind() == gate_pb::CriterionKind::Attestation
            && criterion.verdict() != gate_pb::Verdict::Pass;
        if let (true, Some(persona)) = (waits, holder(&criterion.roles)) {
            attest(persona, endpoints, &criterion.criterion_id).await?;
        }
    }
    Ok(())
}

async fn attest(persona: &Persona, endpoints: &Endpoints, criterion: &str) -> Result<(), Failure> {
    let request = gate_pb::AttestCriterionRequest {
        name: format!("{NAME}/criteria/{criterion}"),
        role: persona.role.to_owned(),
        evidence: format!("{EVIDENCE}#{criterion}"),
        statement: "seen in the demo".to_owned(),
        request_id: String::new(),
    };
    let connection = persona.connect(endpoints);
    let attested = connection.gates()?.attest_criterion(request).await?.into_inner();
    say(format!("  {criterion}: attested by {} as {}", attested.actor, attested.role));
    Ok(())
}

/// Waits until a gate passes: the last reports and the drill may still be on their way.
async fn await_verdict(
    stage: &Stage,
    connection: &Connection,
    gate_id: &str,
) -> Result<(), Failure> {
    let name = format!("{NAME}/gates/{gate_id}");
    let begun = tokio::time::Instant::now();
    loop {
        progress::report_bugs(stage, connection).await?;
        let report = gate::evaluate(connection, &name, false).await?;
        if report.verdict() == gate_pb::Verdict::Pass {
            return gate::show(&report, false, Output::Table);
        }
        if begun.elapsed() > PATIENCE {
            gate::show(&report, false, Output::Table)?;
            return Err(Failure::refused(format!("{gate_id} does not pass")));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Waits until the minimum duration is over.
async fn bake(stage: &Stage, connection: &Connection) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    let mut said = String::new();
    loop {
        progress::report_bugs(stage, connection).await?;
        let found = rollout::get(connection, NAME).await?;
        let left = found.remaining_duration.unwrap_or_default();
        if left.seconds == 0 && left.nanos == 0 {
            say(format!("  {} active in P0", duration(found.active_duration.as_ref())));
            return Ok(());
        }
        let now = format!("  DEMO CLOCK {}: {} left", stage.clock.now(), duration(Some(&left)));
        let day = now.chars().take(24).collect::<String>();
        if day != said {
            say(&now);
            said = day;
        }
        if begun.elapsed() > PATIENCE.max(stage.clock.real(Duration::from_secs(4 * 86_400))) {
            return Err(Failure::refused("the minimum duration does not run out"));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn approve(stage: &Stage, report: &gate_pb::GateReport) -> Result<(), Failure> {
    for role in &report.approver_roles {
        let persona = holder(std::slice::from_ref(role))
            .ok_or_else(|| Failure::refused(format!("nobody in the demo holds {role}")))?;
        let request = contracts::rollout::ApproveGateRequest {
            name: NAME.to_owned(),
            report_digest: report.digest.clone(),
            role: role.clone(),
            reason: "demo".to_owned(),
            ..contracts::rollout::ApproveGateRequest::default()
        };
        let connection = persona.connect(&stage.endpoints);
        let approved = connection.rollouts()?.approve_gate(request).await?.into_inner();
        for approval in approved.approvals.iter().filter(|approval| &approval.role == role) {
            say(format!("  approved by {} as {role}", approval.actor));
        }
    }
    Ok(())
}

async fn show_cohort(connection: &Connection) -> Result<(), Failure> {
    let workspaces = WORKSPACES.map(str::to_owned);
    let answers = flag::evaluate(connection, FLAG, &workspaces, &None).await?;
    say(flag::answers_table(&answers));
    Ok(())
}

/// Shows what comms says it delivered, against what the receivers hold.
async fn told(stage: &Stage, connection: &Connection) -> Result<(), Failure> {
    let begun = tokio::time::Instant::now();
    loop {
        let list = comms::list(connection).await?;
        let open = list
            .messages
            .iter()
            .any(|message| message.state() == contracts::comms::message::State::Pending);
        let started = list.messages.iter().any(|message| message.subject.contains("P1"));
        if (started && !open) || begun.elapsed() > Duration::from_secs(30) {
            say(comms::messages(&list));
            let (posts, mails) = (stage.slack.posts().len(), stage.mail.messages().len());
            say(format!("  The demo's own receivers hold {posts} Slack posts and {mails} mails."));
            return Ok(());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Says how to look around.
pub(crate) fn look_around(stage: &Stage, arguments: &DemoArguments) {
    let used = &stage.endpoints;
    let (option, data) = if *used == Endpoints::default() {
        (String::new(), String::new())
    } else {
        let file = arguments.data_dir.join(endpoints::FILE);
        (format!(" --endpoints {}", file.display()), format!(" (see {})", file.display()))
    };
    let rollout = used.rollout.trim_start_matches("http://");
    let flag = used.flag.trim_start_matches("http://");
    say("\nTo look around, in another terminal:");
    say(format!("  cargo run --release --{option} rollout status"));
    say(format!("  cargo run --release --{option} gate report gate-1"));
    say(format!("  cargo run --release --{option} flag evaluate canary-ws-1 ws-42"));
    say(format!("  cargo run --release --{option} kill engage --reason \"try it\" --as you"));
    say(format!("or with grpcurl{data}:"));
    say(format!("  grpcurl -plaintext {rollout} list"));
    say(format!(
        "  grpcurl -plaintext -d '{{\"name\": \"{NAME}\"}}' {rollout} \
         softlaunch.rollout.v1.RolloutService/GetRollout"
    ));
    say(format!(
        "  grpcurl -plaintext -d '{{\"name\": \"{FLAG}\", \"workspace_id\": \"canary-ws-1\"}}' \
         {flag} softlaunch.flag.v1.EvaluationService/EvaluateFlag"
    ));
}
