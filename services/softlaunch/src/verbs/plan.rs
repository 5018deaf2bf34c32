//! `softlaunch plan`: plan files, without any service.

use std::path::Path;

use contracts::rollout as pb;
use plan::{Criterion, Judged, Plan, Problem, Severity};
use serde_json::json;
use vocab::format_duration;

use crate::arguments::{Output, PlanVerb};
use crate::connect::Connection;
use crate::failure::Failure;
use crate::output::{say, table};

pub(crate) async fn run(
    verb: &PlanVerb,
    connection: &Connection,
    output: Output,
) -> Result<(), Failure> {
    match verb {
        PlanVerb::Check { file } => check(file, output),
        PlanVerb::Show { file } => show(&read(file.as_deref())?, output),
        PlanVerb::Schema => {
            say(serde_json::to_string_pretty(&plan::schema())
                .map_err(|error| Failure::refused(error.to_string()))?);
            Ok(())
        }
        PlanVerb::Store { file } => {
            let source = read(file.as_deref())?.into_bytes();
            let request = pb::CreatePlanVersionRequest { source, ..Default::default() };
            let stored = connection.rollouts()?.create_plan_version(request).await?;
            stored_version(stored.get_ref(), output)
        }
        PlanVerb::Approve { version, role, reason } => {
            let name = match version {
                Some(version) => version.clone(),
                None => shipped_version()?,
            };
            let (role, reason) = (role.clone(), reason.clone());
            let request = pb::ApprovePlanVersionRequest { name, role, reason };
            let approved = connection.rollouts()?.approve_plan_version(request).await?;
            stored_version(approved.get_ref(), output)
        }
    }
}

fn shipped_version() -> Result<String, Failure> {
    let (plan, _) = Plan::parse(plan::SHIPPED)
        .map_err(|_e| Failure::refused("the shipped plan does not read".to_owned()))?;
    Ok(format!("plans/{}/versions/{}", plan.pipeline, plan.version))
}

fn stored_version(stored: &pb::PlanVersion, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        return crate::output::json("softlaunch.rollout.v1.PlanVersion", stored);
    }
    say(format!("{}: sha256 {}", stored.name, stored.digest));
    for approval in &stored.approvals {
        say(format!("  approved    by {} as {}", approval.actor, approval.role));
    }
    if stored.open_approval_roles.is_empty() {
        say("  approved by everybody it needs");
    } else {
        say(format!("  waits for   {}", stored.open_approval_roles.join(", ")));
    }
    Ok(())
}

/// The text of a plan file; of the shipped plan where none is named.
pub(crate) fn read(file: Option<&Path>) -> Result<String, Failure> {
    let Some(path) = file else { return Ok(plan::SHIPPED.to_owned()) };
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))
}

fn check(file: &Path, output: Output) -> Result<(), Failure> {
    let text = read(Some(file))?;
    let (problems, phases) = match Plan::parse(&text) {
        Ok((plan, warnings)) => {
            // What people would be told must be ready to be told.
            comms_core::check_plan(&plan)
                .map_err(|why| Failure::refused(format!("{}: {why}", file.display())))?;
            (warnings, Some(plan.phases.len()))
        }
        Err(problems) => (problems, None),
    };
    let errors = problems.iter().filter(|one| one.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    match output {
        Output::Json => {
            let problems: Vec<_> = problems.iter().map(describe).collect();
            let answer = json!({ "valid": phases.is_some(), "problems": problems });
            say(serde_json::to_string_pretty(&answer)
                .map_err(|error| Failure::refused(error.to_string()))?);
        }
        Output::Table | Output::Markdown => {
            for problem in &problems {
                say(format!("{}:{problem}", file.display()));
            }
        }
    }
    let Some(phases) = phases else {
        let plural = if errors == 1 { "" } else { "s" };
        return Err(Failure::refused(format!("{}: {errors} error{plural}", file.display())));
    };
    if output == Output::Table {
        say(format!("{}: valid, {phases} phases, {warnings} warnings", file.display()));
    }
    Ok(())
}

fn describe(problem: &Problem) -> serde_json::Value {
    let severity = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "severity": severity,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
    })
}

fn show(text: &str, output: Output) -> Result<(), Failure> {
    let (plan, _) = Plan::parse(text).map_err(|problems| {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Failure::refused(format!("the plan is not valid:\n{}", all.join("\n")))
    })?;
    if output == Output::Json {
        let phases: Vec<_> = plan.phases.iter().map(phase_json).collect();
        let answer = json!({
            "pipeline": plan.pipeline.as_str(),
            "version": plan.version,
            "flag": plan.flag.as_str(),
            "phases": phases,
        });
        say(serde_json::to_string_pretty(&answer)
            .map_err(|error| Failure::refused(error.to_string()))?);
        return Ok(());
    }
    say(format!("{} {}: {}", plan.pipeline, plan.version, plan.title));
    say(format!("Flag {}, kill switch {}", plan.flag, plan.kill_switch.name));
    say(phases(&plan));
    for phase in &plan.phases {
        say(format!("\n{} {}: before it starts", phase.id, phase.name));
        criteria(&phase.entry);
        if let Some(gate) = &phase.gate {
            let roles: Vec<_> = gate.approvers.iter().map(vocab::Role::as_str).collect();
            say(format!("{}: approved by {}", gate.title, roles.join(", ")));
            criteria(&gate.criteria);
        }
    }
    say("\nTriggers");
    let mut triggers = table(["§", "When", "Then", "Resumes when"]);
    for trigger in &plan.triggers {
        let action = format!("{:?}", trigger.action);
        triggers.add_row([&trigger.section, &trigger.title, &action, &trigger.resume_criterion]);
    }
    say(triggers);
    Ok(())
}

fn phase_json(phase: &plan::Phase) -> serde_json::Value {
    let ids =
        |criteria: &[Criterion]| criteria.iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    json!({
        "id": phase.id.as_str(),
        "name": phase.name,
        "minimumDuration": format_duration(phase.minimum_duration),
        "percentage": phase.flag.percentage.get() / 100,
        "entry": ids(&phase.entry),
        "gate": phase.gate.as_ref().map(|gate| gate.id.to_string()),
        "exit": phase.gate.as_ref().map(|gate| ids(&gate.criteria)).unwrap_or_default(),
    })
}

fn phases(plan: &Plan) -> comfy_table::Table {
    let mut table = table(["Phase", "Name", "At least", "On", "Ramp", "Uploads a day", "File"]);
    for phase in &plan.phases {
        let listed = phase.flag.allowlist.len();
        let ramp: Vec<_> = phase.ramp.iter().map(|step| step.percentage.to_string()).collect();
        let on = if phase.flag.enabled {
            phase.flag.percentage.to_string()
        } else {
            format!("{listed} listed")
        };
        let quota = phase.limits.uploads_per_day;
        table.add_row([
            phase.id.to_string(),
            phase.name.clone(),
            format_duration(phase.minimum_duration),
            on,
            ramp.join(" "),
            quota.map_or_else(|| "-".to_owned(), |quota| quota.to_string()),
            format!("{} MiB", phase.limits.file_size_max_bytes / (1024 * 1024)),
        ]);
    }
    table
}

fn criteria(criteria: &[Criterion]) {
    for criterion in criteria {
        let how = match &criterion.judged {
            Judged::Metric(metric) => format!("{} {}", metric.metric, metric.requirement),
            Judged::Observed(observation) => format!("observed: {}", observation.name()),
            Judged::Attestation { roles } | Judged::SignOff { roles } => {
                let roles: Vec<_> = roles.iter().map(vocab::Role::as_str).collect();
                format!("stated by {}", roles.join(" or "))
            }
        };
        say(format!("  {} [{how}] {}", criterion.title, criterion.id));
    }
}
