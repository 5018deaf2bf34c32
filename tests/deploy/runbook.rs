//! The runbook: a page for every alert, a page for every step, and no command that does not exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser as _;
use softlaunch::CommandLine;
use test_kit::eventually;

use crate::documented::file;
use crate::installation::{DATA, Installation};
use crate::processes::{softlaunch, text};
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

#[tokio::test(flavor = "multi_thread")]
async fn every_command_can_be_given_and_where_it_is_refused_it_is_said_why() {
    // Given a rollout in P0, and nothing of what the pages are for
    let pages = runbook();
    let installation = Installation::start().await;
    installation.enter_p0();

    // When every command is given that speaks to the services and ends by itself
    let all = commands(&pages).into_iter().filter(|words| {
        !words.contains(&"--store".to_owned()) && !words.contains(&"--watch".to_owned())
    });
    let (mut done, mut refused) = (0, 0);
    for words in all {
        let mut command = Command::new(softlaunch());
        command.args(&words[1..]).args(["--as", "ada", "--holding", "sre_lead"]);
        command.arg("--endpoints").arg(installation.endpoints());
        command.current_dir(installation.desk());
        let output = command.output().expect("softlaunch can be run");
        let (out, err) = (text(&output.stdout), text(&output.stderr));

        // Then it is done, or refused for the state that things are in
        match output.status.code() {
            Some(0) => done += 1,
            Some(1) => refused += 1,
            code => panic!("{}: {code:?}: {out}{err}", words.join(" ")),
        }
        let said = format!("{out}{err}");
        let fault = ["panicked", "INTERNAL", "UNIMPLEMENTED", "UNKNOWN:"];
        let found = fault.iter().find(|word| said.contains(**word));
        assert!(!said.trim().is_empty() && found.is_none(), "{}: {said}", words.join(" "));
    }
    assert!(done > 60 && refused < done / 4, "{done} done, {refused} refused");
}

/// Runs commands of the runbook at a desk; returns what they printed.
fn followed(desk: &Path, commands: &[Vec<String>], more: &[&str]) -> String {
    let mut printed = String::new();
    for words in commands {
        let mut command = Command::new(softlaunch());
        let output = command.args(&words[1..]).args(more).current_dir(desk).output().unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{}: {out}{err}", words.join(" "));
        printed.push_str(&out);
    }
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_taken_and_restored_as_it_is_written() {
    // Given a rollout in P0 and a kill in force, recorded, and the process ended
    let pages = runbook();
    let installation = Installation::start().await;
    installation.enter_p0();
    installation.cli.ok(&["kill", "engage", "--reason", "before the fire", "--as", "ada"]);
    let shown = |installation: &Installation| {
        let mut kills = installation.cli.json(&["kill", "status"]);
        let timeline = installation.cli.json(&["rollout", "timeline"]);
        // Who is connected, and since when, is not for the backup.
        [kills["killSwitches"].take(), timeline, installation.cli.json(&["flag", "list"])]
    };
    let before = shown(&installation);
    let desk = installation.end();

    // When a backup is taken, everything else burns, and the backup is restored
    let taken = followed(desk.path(), &commands(below(&pages, "## Backup")), &[]);
    fs::remove_dir_all(desk.path().join(DATA)).unwrap();
    let restore = commands(below(&pages, "## Restore"));
    let (by_itself, asking): (Vec<_>, Vec<_>) =
        restore.into_iter().partition(|words| words.contains(&"--store".to_owned()));
    let restored = followed(desk.path(), &by_itself, &[]);

    // Then every journal ends in the same hash, and the services show what they showed
    let heads = |printed: &str| {
        let words = printed.split_whitespace();
        let hex = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
        words.filter(hex).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let kept = heads(&restored);
    assert!(kept.len() >= 4 && heads(&taken).is_superset(&kept), "{taken}{restored}");
    let installation = Installation::start_at(desk, "restored").await;
    let endpoints = installation.endpoints();
    followed(endpoints.parent().unwrap(), &asking, &["--endpoints", endpoints.to_str().unwrap()]);
    eventually("everything to be as before", async || shown(&installation) == before).await;
}
