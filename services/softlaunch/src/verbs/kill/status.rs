//! `softlaunch kill status`: what is off, and how far that has got.

use std::time::Duration;

use comfy_table::Table;
use contracts::killswitch as pb;

use crate::arguments::Output;
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{duration, say, short, table, time, value};

const LOOK_INTERVAL: Duration = Duration::from_millis(500);
const SWITCHES_MAX: i32 = 1_000;

/// What is shown at once.
struct Seen {
    list: pb::ListKillSwitchesResponse,
    spread: pb::Propagation,
}

/// Shows the switches and the workers: once, or until the newest epoch has got everywhere.
pub(super) async fn run(
    connection: &Connection,
    watch: bool,
    output: Output,
) -> Result<(), Failure> {
    loop {
        let seen = look(connection).await?;
        let done = seen.spread.proven;
        match output {
            Output::Json => say(json(&seen)?),
            Output::Table | Output::Markdown => {
                if watch {
                    say("\u{1b}[2J\u{1b}[H"); // Redrawn in place.
                }
                show(&seen);
            }
        }
        if !watch || done {
            return Ok(());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

async fn look(connection: &Connection) -> Result<Seen, Failure> {
    let mut kills = connection.kills()?;
    let request =
        pb::ListKillSwitchesRequest { page_size: SWITCHES_MAX, page_token: String::new() };
    let list = kills.list_kill_switches(request).await?.into_inner();
    let request = pb::GetPropagationRequest { epoch: 0 };
    let spread = kills.get_propagation(request).await?.into_inner();
    Ok(Seen { list, spread })
}

/// The switches as the service lists them, with `propagation` besides. On one line: a watch prints
/// many.
fn json(seen: &Seen) -> Result<serde_json::Value, Failure> {
    let mut shown = value("softlaunch.killswitch.v1.ListKillSwitchesResponse", &seen.list)?;
    shown["propagation"] = value("softlaunch.killswitch.v1.Propagation", &seen.spread)?;
    Ok(shown)
}

fn show(seen: &Seen) {
    let Seen { list, spread } = seen;
    say(format!("Newest epoch {}", list.epoch));
    say(switches(&list.kill_switches));
    let (applied, count) = (spread.applied_count, spread.worker_count);
    say(format!("Epoch {}: {applied} of {count} workers have applied it", spread.epoch));
    if spread.apply_duration_max.is_some() {
        say(format!(
            "  half of them within {}, 99% within {}, the slowest in {}",
            duration(spread.apply_duration_p50.as_ref()),
            duration(spread.apply_duration_p99.as_ref()),
            duration(spread.apply_duration_max.as_ref()),
        ));
    }
    let when = time(spread.proven_time.as_ref());
    if spread.proven {
        say(format!("  proven: since {when} no worker works on a permission from before"));
    } else {
        let missing: Vec<_> = spread.pending.iter().map(|one| one.worker_id.as_str()).collect();
        say(format!("  missing: {}", missing.join(", ")));
        say(format!("  proven at {when}, whether they answer or not"));
    }
    say(workers(&list.workers));
}

fn switches(all: &[pb::KillSwitch]) -> Table {
    let mut shown = table(["Switch", "State", "Epoch", "By", "At", "Why"]);
    for switch in all {
        let drill = if switch.drill { " (drill)" } else { "" };
        let unstored = match switch.durability() {
            pb::Durability::NotYet => " (not stored yet)",
            pb::Durability::Stored | pb::Durability::Unspecified => "",
        };
        let pending = switch.pending_release.as_ref();
        let pending = pending.map_or_else(String::new, |pending| {
            format!("\n{} asks for release: {}", pending.actor, pending.reason)
        });
        shown.add_row([
            switch.name.clone(),
            format!("{}{drill}{unstored}", short(switch.state().as_str_name())),
            switch.epoch.to_string(),
            switch.actor.clone(),
            time(switch.change_time.as_ref()),
            format!("{}{pending}", switch.reason),
        ]);
    }
    shown
}

fn workers(all: &[pb::Worker]) -> Table {
    let mut shown = table(["Worker", "Pipeline", "Connected", "Applied", "In", "Breaker"]);
    for worker in all {
        let breaker = worker.breaker().as_str_name();
        shown.add_row([
            worker.worker_id.clone(),
            worker.pipeline.clone(),
            if worker.connected { "yes" } else { "gone" }.to_owned(),
            worker.applied_epoch.to_string(),
            duration(worker.apply_duration.as_ref()),
            breaker.strip_prefix("BREAKER_").unwrap_or(breaker).to_owned(),
        ]);
    }
    shown
}
