//! `softlaunch doctor`: one line for every check of every service and of its store.

mod plans;
mod service;
mod store;

use std::path::Path;

use comfy_table::presets::NOTHING;
use credentials::Credentials;
use tokio::task::JoinSet;

use crate::arguments::{DoctorArguments, Output};
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::output::{say, table};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warning,
    Failure,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// One check: what was found, and what would be right where it is not.
#[derive(Debug)]
struct Check {
    subject: String,
    check: &'static str,
    verdict: Verdict,
    found: String,
    right: String,
}

impl Check {
    fn ok(subject: &str, check: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, check, Verdict::Ok, found, "")
    }

    fn new(
        subject: &str,
        check: &'static str,
        verdict: Verdict,
        found: impl Into<String>,
        right: impl Into<String>,
    ) -> Self {
        let (subject, found, right) = (subject.to_owned(), found.into(), right.into());
        Self { subject, check, verdict, found, right }
    }
}

/// Says what a level of durability is worth. By its name: that is all a service tells.
fn durability(subject: &str, level: &str, facts: &str) -> Check {
    let found = if facts.is_empty() { level.to_owned() } else { format!("{level} ({facts})") };
    let (verdict, right) = match level {
        "memory" => (Verdict::Failure, "a store that keeps what it has acknowledged"),
        "process-crash" => {
            (Verdict::Warning, "power-loss: a power cut may lose the last acknowledged commands")
        }
        "" => (Verdict::Warning, "a level: a service of this release tells it"),
        _ => (Verdict::Ok, ""),
    };
    Check::new(subject, "durability", verdict, found, right)
}

pub(crate) async fn run(
    arguments: &DoctorArguments,
    endpoints: Option<&Path>,
    credentials: &Credentials,
    output: Output,
) -> Result<(), Failure> {
    let mut checks = Vec::new();
    if !arguments.store_only {
        let endpoints = Endpoints::find(endpoints, credentials)?;
        checks.extend(services(endpoints.clone(), &arguments.only, credentials).await);
        if arguments.only.is_empty() {
            checks.extend(plans::check(&endpoints, credentials).await);
        } else {
            // A container that looks after itself is not to be stopped for what others lack.
            let peers = checks.iter_mut().filter(|one| one.check == service::PEER);
            let failed = peers.filter(|one| one.verdict == Verdict::Failure);
            failed.for_each(|one| one.verdict = Verdict::Warning);
        }
    }
    if let Some(location) = &arguments.store {
        checks.extend(store::check(location, &arguments.tls.options()).await?);
    }
    show(&checks, output);
    let failed = checks.iter().filter(|one| one.verdict == Verdict::Failure).count();
    match failed {
        0 => Ok(()),
        _ => Err(Failure::refused(format!("{failed} of {} checks failed", checks.len()))),
    }
}

/// Asks all services at once: one that hangs delays no other.
async fn services(endpoints: Endpoints, only: &[String], credentials: &Credentials) -> Vec<Check> {
    let Endpoints { flag, gate, killswitch, comms, rollout } = endpoints;
    let all = [
        ("flag", flag),
        ("gate", gate),
        ("killswitch", killswitch),
        ("comms", comms),
        ("rollout", rollout),
    ];
    let mut asking = JoinSet::new();
    let wanted = |noun: &str| only.is_empty() || only.iter().any(|one| one == noun);
    let wanted = all.into_iter().filter(|(noun, _)| wanted(noun));
    for (place, (noun, address)) in wanted.enumerate() {
        let credentials = credentials.clone();
        asking.spawn(async move { (place, service::check(noun, &address, &credentials).await) });
    }
    let mut found = asking.join_all().await;
    found.sort_by_key(|(place, _)| *place);
    found.into_iter().flat_map(|(_, checks)| checks).collect()
}

fn show(checks: &[Check], output: Output) {
    if output == Output::Json {
        let all = checks.iter().map(|one| {
            serde_json::json!({
                "subject": one.subject,
                "check": one.check,
                "verdict": one.verdict.word(),
                "found": one.found,
                "right": one.right,
            })
        });
        say(serde_json::Value::from_iter(all));
        return;
    }
    let mut shown = table(["", "Of", "Check", "Found", "Would be right"]);
    shown.load_style(NOTHING); // One line a check: rules between them would hide the failures.
    for one in checks {
        let word = one.verdict.word().to_owned();
        let row = [word, one.subject.clone(), one.check.to_owned(), one.found.clone()];
        shown.add_row(row.into_iter().chain([one.right.clone()]));
    }
    say(shown);
}
