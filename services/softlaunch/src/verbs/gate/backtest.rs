//! `softlaunch gate backtest`: a plan on recorded data, through the core that judges in service.

mod data;
mod range;

use std::collections::BTreeMap;
use std::time::Duration;

use gate_core::{Change, Entry, State, Unplayable, Verdict, What, replay};
use plan::Plan;
use serde_json::json;
use vocab::Timestamp;

use crate::arguments::{BacktestArguments, Output};
use crate::failure::Failure;
use crate::output::{say, table};

pub(super) async fn run(arguments: &BacktestArguments, output: Output) -> Result<(), Failure> {
    let plan = read_plan(arguments)?;
    let phase = match (&arguments.phase, plan.phases.first()) {
        (Some(phase), _) => phase.clone(),
        (None, Some(first)) => first.id.to_string(),
        (None, None) => return Err(Failure::usage("the plan has no phase")),
    };
    let mut entries = match &arguments.data {
        Some(file) => data::read(file)?,
        None => Vec::new(),
    };
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse).transpose();
    let (from, to) = (time(&arguments.from)?, time(&arguments.to)?);
    if let (Some(address), Some(from), Some(to)) = (&arguments.prometheus, from, to) {
        entries.extend(range::ask(address, &plan, from, to).await?);
    }
    let first = entries.iter().map(|(at, _)| *at).min();
    let Some(start) = from.or(first) else {
        return Err(Failure::refused("nothing was recorded: there is nothing to try the plan on"));
    };
    let every = arguments.every.as_deref().map(vocab::parse_duration).transpose()?;
    let changes = replay(&plan, &phase, start, &mut entries, every.unwrap_or(Duration::ZERO))
        .map_err(unplayable)?;
    if output == Output::Json {
        return changes.iter().try_for_each(|change| {
            let line = serde_json::to_string(&as_json(change));
            line.map(say).map_err(|error| Failure::refused(error.to_string()))
        });
    }
    show(&phase, start, &entries, &changes);
    Ok(())
}

fn read_plan(arguments: &BacktestArguments) -> Result<Plan, Failure> {
    let text = match &arguments.plan {
        None => plan::SHIPPED.to_owned(),
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?,
    };
    Plan::parse(&text).map(|(plan, _)| plan).map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::usage(format!("the plan does not hold:\n{}", problems.join("\n")))
    })
}

fn unplayable(why: Unplayable) -> Failure {
    match why {
        Unplayable::NoPhase(known) => {
            Failure::usage(format!("the plan has no such phase: it has {}", known.join(", ")))
        }
        Unplayable::Nothing => Failure::refused("nothing was recorded"),
        Unplayable::TooLong(steps) => Failure::usage(format!(
            "{steps} evaluations are too many: set --from near the first record, or --every higher"
        )),
    }
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Fail => "FAIL",
    }
}

const fn state(state: State) -> &'static str {
    match state {
        State::Clear => "CLEAR",
        State::Warned => "WARNED",
        State::Pending(_) => "PENDING",
        State::Fired => "FIRED",
    }
}

fn as_json(change: &Change) -> serde_json::Value {
    let time = change.at.to_string();
    match &change.what {
        What::Gate(now) => json!({ "time": time, "gate": verdict(*now) }),
        What::Criterion(id, result) => json!({
            "time": time,
            "criterion": id,
            "verdict": verdict(result.verdict),
            "value": result.value,
            "reason": result.reason,
        }),
        What::Trigger { id, from, to, value, reason } => json!({
            "time": time,
            "trigger": id,
            "from": state(*from),
            "to": state(*to),
            "value": value,
            "reason": reason,
        }),
    }
}

fn show(phase: &str, start: Timestamp, entries: &[(Timestamp, Entry)], changes: &[Change]) {
    let last = entries.last().map_or(start, |(at, _)| *at);
    let count = entries.len();
    say(format!("{phase} on {count} records, {start} to {last}:"));
    let mut told = table(["When", "What", "Now", "Found", "Why"]);
    let mut passed: BTreeMap<&str, (Option<Timestamp>, Verdict)> = BTreeMap::new();
    let mut fired: BTreeMap<&str, (Vec<Timestamp>, usize)> = BTreeMap::new();
    for change in changes {
        let at = change.at.to_string();
        let row = match &change.what {
            What::Gate(now) => {
                note(passed.entry("the gate").or_insert((None, *now)), *now, change.at);
                [at, "the gate".to_owned(), verdict(*now).to_owned(), String::new(), String::new()]
            }
            What::Criterion(id, result) => {
                let known = passed.entry(id).or_insert((None, result.verdict));
                note(known, result.verdict, change.at);
                let now = verdict(result.verdict).to_owned();
                [at, id.clone(), now, result.value.clone(), result.reason.clone()]
            }
            What::Trigger { id, to, value, reason, .. } => {
                let (times, warnings) = fired.entry(id).or_default();
                match to {
                    State::Fired => times.push(change.at),
                    State::Warned => *warnings += 1,
                    State::Clear | State::Pending(_) => {}
                }
                [at, id.clone(), state(*to).to_owned(), value.clone(), reason.clone()]
            }
        };
        told.add_row(row);
    }
    say(told);
    let mut summary = table(["What", "First", "At the end"]);
    for (id, (first, now)) in passed {
        let first = first.map_or_else(|| "never passed".to_owned(), |at| format!("passed {at}"));
        summary.add_row([id.to_owned(), first, verdict(now).to_owned()]);
    }
    for (id, (times, warnings)) in fired {
        let first = times.first().map(|at| format!("fired {at}"));
        let first = first.unwrap_or_else(|| "never fired".to_owned());
        let often = format!("fired {} times, warned {warnings} times", times.len());
        summary.add_row([id.to_owned(), first, often]);
    }
    say(summary);
}

fn note(known: &mut (Option<Timestamp>, Verdict), now: Verdict, at: Timestamp) {
    known.1 = now;
    if now == Verdict::Pass {
        known.0.get_or_insert(at);
    }
}
