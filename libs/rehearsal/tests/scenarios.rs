//! Every scenario of the repository, played on the plan of the repository.

use std::collections::BTreeMap;
use std::path::Path;

use plan::Plan;
use rehearsal::{Rehearsal, Scenario, rehearse};

const SEED: u64 = 20_260_105;

fn repository() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn the_plan() -> (Plan, Vec<u8>) {
    let source = read(&repository().join("deploy/plans/ingestion_v2.yaml"));
    let (plan, _warnings) = Plan::parse(&source).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    (plan, source.into_bytes())
}

fn scenarios() -> BTreeMap<String, Scenario> {
    let files = std::fs::read_dir(repository().join("deploy/scenarios"));
    let files = files.unwrap_or_else(|error| panic!("deploy/scenarios: {error}"));
    let scenario = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let scenario = Scenario::parse(&read(&path));
        (name.clone(), scenario.unwrap_or_else(|wrong| panic!("{name}: {wrong}")))
    };
    files.flatten().map(|file| scenario(file.path())).collect()
}

fn shown(rehearsal: &Rehearsal) -> String {
    let lines = rehearsal.lines.iter();
    lines
        .map(|line| format!("{} {:4} {:18} {}\n", line.at, line.phase, line.actor, line.text))
        .collect()
}

#[test]
fn what_every_scenario_expects_comes_of_it() {
    let (plan, source) = the_plan();
    let mut missed = Vec::new();
    for (name, scenario) in scenarios() {
        let rehearsal = rehearse(&plan, &source, &scenario, SEED);
        if !rehearsal.missed.is_empty() {
            missed.push(format!("{name}: {}\n{}", rehearsal.missed.join("; "), shown(&rehearsal)));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    // Given
    let (plan, source) = the_plan();
    let scenario = &scenarios()["breaker-events-in-24h"];
    // When
    let play = |seed| shown(&rehearse(&plan, &source, scenario, seed));
    // Then
    assert_eq!(play(1), play(1));
    assert_ne!(play(1), play(2));
}

#[test]
fn what_a_scenario_expects_in_vain_is_named() {
    // Given a rollout that goes well, and one who expects that it does not
    let (plan, source) = the_plan();
    let mut scenario = scenarios().remove("slow-approver").unwrap();
    scenario.longest = std::time::Duration::from_secs(2 * 86_400);
    scenario.expect.overdue = None;
    scenario.expect.acted = Some(vec!["p1-incident".to_owned()]);
    scenario.expect.pauses = Some(1);
    // When
    let rehearsal = rehearse(&plan, &source, &scenario, SEED);
    // Then
    let missed = rehearsal.missed.join("\n");
    assert!(missed.contains("acted: expected [\"p1-incident\"], found []"), "{missed}");
    assert!(missed.contains("pauses: expected 1, found 0"), "{missed}");
}

#[test]
fn every_trigger_and_every_row_of_the_plan_has_a_scenario() {
    // Given
    let (plan, _source) = the_plan();
    let scenarios = scenarios();
    // When
    let acted: Vec<_> = scenarios.values().filter_map(|one| one.expect.acted.as_ref()).collect();
    // Then
    for trigger in &plan.triggers {
        let id = trigger.id.as_str();
        assert!(acted.iter().any(|ids| ids.iter().any(|one| one == id)), "no scenario of {id}");
    }
    let advice: Vec<_> = scenarios.values().filter_map(|one| one.expect.advice.as_ref()).collect();
    for row in &plan.decision_matrix {
        let id = row.id.as_str();
        assert!(advice.iter().any(|ids| ids.iter().any(|one| one == id)), "no scenario of {id}");
    }
}

#[test]
fn a_scenario_that_cannot_be_read_says_where_and_why() {
    for (text, says) in [
        ("title = 1", "invalid type"),
        ("title = \"a\"\nuntil = \"never\"", "unknown variant `never`"),
        ("title = \"a\"\nuntil = \"longest\"\nlongest = \"soon\"", "soon"),
        ("title = \"a\"\nuntil = \"longest\"\n[fleet]\nworkspaces = 0", "expected 1 to 100000"),
        ("title = \"a\"\nuntil = \"longest\"\n[fleet]\nerror_rate = \"2\"", "expected e.g. `0.4%`"),
    ] {
        let wrong = Scenario::parse(text).unwrap_err().to_string();
        assert!(wrong.contains(says), "{wrong}");
    }
}
