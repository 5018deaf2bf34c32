//! `softlaunch rehearse`: a plan from beginning to end on virtual time, without any service.

use plan::{Plan, Problem};
use rehearsal::{Line, Rehearsal, Scenario};
use serde_json::json;
use vocab::format_duration;

use crate::arguments::{Output, RehearseArguments};
use crate::failure::Failure;
use crate::output::say;

pub(crate) fn run(arguments: &RehearseArguments, output: Output) -> Result<(), Failure> {
    let source = super::plan::read(arguments.plan.as_deref())?;
    let (plan, _warnings) = Plan::parse(&source).map_err(|problems| unreadable(&problems))?;
    let file = &arguments.scenario;
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let scenario = Scenario::parse(&text)
        .map_err(|wrong| Failure::usage(format!("{}: {wrong}", file.display())))?;
    let rehearsal = rehearsal::rehearse(&plan, source.as_bytes(), &scenario, arguments.seed);
    for line in rehearsal.lines.iter().filter(|line| arguments.all || !is_detail(line)) {
        say(shown(line, output)?);
    }
    conclude(&rehearsal, output)?;
    if rehearsal.missed.is_empty() {
        return Ok(());
    }
    let missed = rehearsal.missed.join("\n  ");
    Err(Failure::refused(format!("what the scenario expects did not come:\n  {missed}")))
}

fn unreadable(problems: &[Problem]) -> Failure {
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Failure::usage(format!("the plan does not read:\n{}", said.join("\n")))
}

/// What fills the page without changing the story: messages, and statements one by one.
fn is_detail(line: &Line) -> bool {
    line.actor == "comms" || line.text.starts_with("states that ")
}

fn shown(line: &Line, output: Output) -> Result<String, Failure> {
    if output == Output::Json {
        let value = json!({
            "time": line.at.to_string(),
            "phase": line.phase,
            "actor": line.actor,
            "text": line.text,
        });
        return serde_json::to_string(&value).map_err(|error| Failure::refused(error.to_string()));
    }
    Ok(format!("{}  {:3} {:17} {}", line.at, line.phase, line.actor, line.text))
}

fn conclude(rehearsal: &Rehearsal, output: Output) -> Result<(), Failure> {
    let (lasted, uploads) = (format_duration(rehearsal.lasted), rehearsal.uploads);
    if output == Output::Json {
        let value = json!({
            "lasted": lasted,
            "uploads": uploads,
            "missed": rehearsal.missed,
        });
        say(serde_json::to_string(&value).map_err(|error| Failure::refused(error.to_string()))?);
        return Ok(());
    }
    say(format!("\n{lasted} on virtual time, {uploads} simulated uploads"));
    if rehearsal.missed.is_empty() {
        say("everything the scenario expects came");
    }
    Ok(())
}
