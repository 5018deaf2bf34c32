//! The runbook: a page for every alert, a page for every step, and no command that does not exist.

use std::collections::BTreeSet;
use std::process::Command;

use clap::Parser as _;
use softlaunch::CommandLine;
use test_kit::eventually;

use crate::documented::file;
use crate::installation::Installation;
use crate::processes::softlaunch;
use crate::rules::alerts;

fn runbook() -> String {
    file("deploy/runbook.md")
}

/// Every command of a text, in words.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.is_empty() {
            let words = shlex::split(line).unwrap_or_else(|| panic!("a quote is open: {line}"));
            assert_eq!(words[0], "softlaunch", "{line}");
            found.push(words);
        }
    }
    found
}

/// The text below a heading, up to the next of the same depth or above.
fn below<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let depth = heading.split(' ').next().unwrap();
    let ends = ["#", "##", "###"].iter().filter(|mark| mark.len() <= depth.len());
    let ends = ends.filter_map(|mark| rest.find(&format!("\n{mark} ")));
    &rest[..ends.min().unwrap_or(rest.len())]
}

#[test]
fn every_alert_has_a_page_with_commands_and_every_page_an_alert() {
    let text = runbook();
    let pages = text.lines().filter_map(|line| line.strip_prefix("### "));
    let pages: BTreeSet<_> = pages.filter(|page| !page.starts_with("Step ")).collect();
    let alerts = alerts();
    let wanted: BTreeSet<_> = alerts.iter().map(String::as_str).collect();
    assert_eq!(pages, wanted);
    for page in pages {
        let commands = commands(below(&text, &format!("### {page}")));
        assert!(!commands.is_empty(), "{page} says nothing to do");
    }
}

#[test]
fn every_step_of_the_rollback_has_a_page_in_the_words_of_the_plan() {
    let text = runbook();
    let (plan, _) = plan::Plan::parse(plan::SHIPPED).expect("the shipped plan is valid");
    assert_eq!(plan.rollback_steps.len(), 8);
    for (place, step) in plan.rollback_steps.iter().enumerate() {
        let title = step.title.split(" (").next().unwrap();
        let page = below(&text, &format!("### Step {}: {title}", place + 1));
        assert!(!commands(page).is_empty(), "step {} has no command", place + 1);
    }
}

#[test]
fn every_command_is_one_that_the_command_line_reads() {
    let text = runbook();
    let all = commands(&text);
    assert!(all.len() > 60, "{} commands were found", all.len());
    for words in all {
        if let Err(error) = CommandLine::try_parse_from(&words) {
            panic!("{}: {error}", words.join(" "));
        }
    }
    assert!(CommandLine::try_parse_from(["softlaunch", "kill", "everything"]).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rollback_can_be_gone_through_as_it_is_written() {
    // Given a rollout in P0 that has to go back to its beginning
    let text = runbook();
    let installation = Installation::start().await;
    installation.enter_p0();
    let desk = tempfile::tempdir().unwrap();
    let run = |words: &[String], who: &str| {
        let mut command = Command::new(softlaunch());
        command.args(&words[1..]).args(["--as", who, "--holding", "sre_lead"]);
        command.arg("--endpoints").arg(installation.endpoints());
        // What a command writes beside it is gone with the test.
        command.current_dir(desk.path()).output().expect("softlaunch can be run")
    };
    let begin = commands(below(&text, "## Rollback"));
    let begin = begin.iter().find(|words| words.contains(&"--to-first".to_owned())).unwrap();
    assert!(run(begin, "ada").status.success());
    eventually("the system to have done its steps", async || {
        let status = installation.cli.json(&["rollout", "status"]);
        status["state"] == "STATE_PAUSED"
    })
    .await;

    // When a person does what each page says; a release takes two
    for step in 1..=8 {
        let heading = text.lines().find(|line| line.starts_with(&format!("### Step {step}: ")));
        for words in commands(below(&text, heading.unwrap())) {
            if words.contains(&"--watch".to_owned()) {
                continue;
            }
            let done = run(&words, "ada");
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            // Told about by exit code 1: mail is not delivered here.
            let told = words[1..3] == ["comms".to_owned(), "status".to_owned()];
            assert!(done.status.success() || told, "{}: {said}", words.join(" "));
            if words[1..3] == ["kill".to_owned(), "release".to_owned()] {
                assert!(run(&words, "sam").status.success());
            }
        }
    }

    // Then the rollout goes on, and nothing is stopped
    let status = installation.cli.json(&["rollout", "status"]);
    assert_eq!((&status["state"], &status["phaseId"]), (&"STATE_RUNNING".into(), &"P0".into()));
    let page = installation.metrics();
    assert!(page.contains("softlaunch_killswitch_engaged{otel_scope_name=\"softlaunch\"} 0"));
}
