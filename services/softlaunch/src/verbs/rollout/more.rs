//! Going back, looking back, and what ends a rollout.

use contracts::rollout as pb;
use vocab::parse_duration;

use super::{get, show};
use crate::arguments::{AdviseArguments, Output, RolloutVerb};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, short, table, time};
use crate::verbs::rollout_name;

const PAGE: i32 = 1_000;

pub(super) async fn run(
    verb: &RolloutVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    let mut rollouts = connection.rollouts()?;
    let changed = match verb {
        RolloutVerb::RollBack { id, reason, to_first } => {
            let (name, reason) = (rollout_name(&id.rollout), reason.clone());
            let request = pb::RollBackRolloutRequest { name, reason, to_first: *to_first };
            rollouts.roll_back_rollout(request).await?
        }
        RolloutVerb::TickOff { step, rollout, detail, evidence } => {
            let request = pb::CompleteRollbackStepRequest {
                name: rollout_name(rollout),
                step_id: step.clone(),
                detail: detail.clone(),
                evidence: evidence.clone(),
            };
            rollouts.complete_rollback_step(request).await?
        }
        RolloutVerb::Timeline { id, note } => {
            return timeline(connection, &rollout_name(&id.rollout), note.as_deref(), output).await;
        }
        RolloutVerb::ChangePlan { version, rollout, reason, dry_run } => {
            let name = rollout_name(rollout);
            let request = pb::ChangeRolloutPlanRequest {
                etag: get(connection, &name).await?.etag,
                name,
                plan_version: version.clone(),
                reason: reason.clone(),
                validate_only: *dry_run,
            };
            rollouts.change_rollout_plan(request).await?
        }
        RolloutVerb::Announce { id, dry_run } => {
            let (name, etag) = (rollout_name(&id.rollout), String::new());
            let request = pb::AnnounceGaRequest { name, etag, validate_only: *dry_run };
            rollouts.announce_ga(request).await?
        }
        RolloutVerb::Declare { id, dry_run } => {
            let (name, etag) = (rollout_name(&id.rollout), String::new());
            let request = pb::DeclareGaRequest { name, etag, validate_only: *dry_run };
            rollouts.declare_ga(request).await?
        }
        RolloutVerb::Task { task, rollout, evidence } => {
            let (name, task_id) = (rollout_name(rollout), task.clone());
            let evidence = evidence.clone();
            let request = pb::CompletePostGaTaskRequest { name, task_id, evidence };
            rollouts.complete_post_ga_task(request).await?
        }
        RolloutVerb::Archive { id, reason } => {
            let (name, reason) = (rollout_name(&id.rollout), reason.clone());
            let etag = get(connection, &name).await?.etag;
            rollouts.archive_rollout(pb::ArchiveRolloutRequest { name, reason, etag }).await?
        }
        RolloutVerb::Start { .. }
        | RolloutVerb::Status { .. }
        | RolloutVerb::Dossier { .. }
        | RolloutVerb::Attest { .. }
        | RolloutVerb::Approve { .. }
        | RolloutVerb::Advance { .. }
        | RolloutVerb::Ramp { .. }
        | RolloutVerb::Pause { .. }
        | RolloutVerb::Resume { .. } => {
            return Err(Failure::usage("this verb is handled elsewhere".to_owned()));
        }
    };
    show(changed.get_ref(), output)
}

/// Everything that happened to a rollout.
pub(crate) async fn entries(
    connection: &Connection,
    name: &str,
) -> Result<Vec<pb::TimelineEntry>, Failure> {
    let mut entries = Vec::new();
    let mut page_token = String::new();
    loop {
        let name = name.to_owned();
        let request = pb::ListTimelineRequest { name, page_size: PAGE, page_token };
        let page = connection.rollouts()?.list_timeline(request).await?.into_inner();
        entries.extend(page.entries);
        if page.next_page_token.is_empty() {
            return Ok(entries);
        }
        page_token = page.next_page_token;
    }
}

async fn timeline(
    connection: &Connection,
    name: &str,
    note: Option<&str>,
    output: Output,
) -> Result<(), Failure> {
    if let Some(text) = note {
        let request = pb::NoteTimelineRequest { name: name.to_owned(), text: text.to_owned() };
        connection.rollouts()?.note_timeline(request).await?;
    }
    let entries = entries(connection, name).await?;
    if output == Output::Json {
        let listed = pb::ListTimelineResponse { entries, next_page_token: String::new() };
        return json("softlaunch.rollout.v1.ListTimelineResponse", &listed);
    }
    let mut shown = table(["When", "Who", "What"]);
    for entry in &entries {
        let when = time(entry.occur_time.as_ref());
        shown.add_row([when, entry.actor.clone(), entry.text.clone()]);
    }
    say(shown);
    Ok(())
}

/// `softlaunch advise`: pause, or roll back.
pub(crate) async fn advise(
    arguments: &AdviseArguments,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    let expected = arguments.expected.as_deref().map(parse_duration).transpose()?;
    let request = pb::AdviseRequest {
        name: rollout_name(&arguments.rollout),
        conditions: arguments.conditions.clone(),
        expected_duration: expected.and_then(|expected| expected.try_into().ok()),
    };
    let advice = connection.rollouts()?.advise(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.rollout.v1.AdviseResponse", &advice);
    }
    let decides = advice.row.unwrap_or_default();
    let word = |row: &pb::MatrixRow| short(row.advice().as_str_name());
    say(format!("{}: {} ({})", word(&decides), decides.condition, decides.row_id));
    let mut shown = table(["Row", "Condition", "Duration", "Advice"]);
    for row in &advice.applying {
        let (id, condition) = (row.row_id.clone(), row.condition.clone());
        shown.add_row([id, condition, row.duration.clone(), word(row)]);
    }
    say(shown);
    Ok(())
}
