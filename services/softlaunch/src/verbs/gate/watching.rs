//! What is watched: triggers, thresholds, advisories, and the record of general availability.

use contracts::gate as pb;

use crate::arguments::Output;
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{json, say, short, table, time};

fn state(name: &str) -> String {
    name.trim_start_matches("TRIGGER_STATE_").to_owned()
}

/// Lists what is watched of one kind.
pub(super) async fn list(
    connection: &Connection,
    rollout: &str,
    kind: pb::TriggerKind,
    output: Output,
) -> Result<(), Failure> {
    let request = pb::ListTriggersRequest { parent: rollout.to_owned(), kind: kind.into() };
    let listed = connection.gates()?.list_triggers(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.gate.v1.ListTriggersResponse", &listed);
    }
    let about = match kind {
        pb::TriggerKind::Advisory => "Concern",
        pb::TriggerKind::Trigger | pb::TriggerKind::Threshold | pb::TriggerKind::Unspecified => {
            "To resume"
        }
    };
    let mut table = table(["State", "Since", "What", "Found", "Why", "Action", about]);
    for trigger in listed.triggers.iter().filter(|one| one.watched) {
        let evidence = trigger.evidence.clone().unwrap_or_default();
        let found = match evidence.sample_count {
            0 => evidence.value.clone(),
            samples => format!("{}\nof {samples}", evidence.value),
        };
        let id = trigger.name.rsplit('/').next().unwrap_or_default();
        table.add_row([
            state(trigger.state().as_str_name()),
            time(trigger.state_time.as_ref()),
            format!("{}\n{}\n{id}", trigger.title, trigger.condition),
            found,
            evidence.reason,
            trigger.action_title.clone(),
            trigger.note.clone(),
        ]);
    }
    say(table);
    Ok(())
}

/// Prints changes as they happen, of one rollout.
pub(super) async fn follow(
    connection: &Connection,
    rollout: &str,
    after: Option<i64>,
    output: Output,
) -> Result<(), Failure> {
    let after_revision = after.unwrap_or(0);
    let request = pb::WatchTriggersRequest { after_revision };
    let mut events = connection.gates()?.watch_triggers(request).await?.into_inner();
    while let Some(response) = events.message().await? {
        let Some(event) = response.event.as_ref().filter(|event| event.rollout == rollout) else {
            continue;
        };
        if output == Output::Json {
            json("softlaunch.gate.v1.WatchTriggersResponse", &response)?;
            continue;
        }
        let evidence = event.evidence.clone().unwrap_or_default();
        let id = event.trigger.trim_start_matches(rollout).trim_start_matches('/');
        let now = state(event.state().as_str_name());
        let at = time(event.occur_time.as_ref());
        let (value, reason) = (evidence.value, evidence.reason);
        say(format!("{:>6}  {at}  {now:<8} {id}  {value}  {reason}", response.revision));
    }
    Ok(())
}

/// Shows the daily record of general availability.
pub(super) async fn ga_record(
    connection: &Connection,
    rollout: &str,
    output: Output,
) -> Result<(), Failure> {
    let request = pb::GetGaRecordRequest { name: format!("{rollout}/gaRecord") };
    let record = connection.gates()?.get_ga_record(request).await?.into_inner();
    if output == Output::Json {
        return json("softlaunch.gate.v1.GaRecord", &record);
    }
    let mut table = table(["Day", "Verdict", "Why"]);
    for day in &record.days {
        let verdict = short(day.verdict().as_str_name());
        table.add_row([day.date.clone(), verdict, day.reason.clone()]);
    }
    say(table);
    let (have, need) = (record.consecutive_day_count, record.required_day_count);
    say(format!("{have} of {need} days in a row."));
    Ok(())
}
