//! The alert rules, as Prometheus' own tool checks and tests them.

use std::process::Command;

use softlaunch_tests::Tree;

use crate::documented::{file, unknown_metrics};
use crate::processes::text;

/// The names of all alerts, in order.
pub(crate) fn alerts() -> Vec<String> {
    let text = file("deploy/prometheus/rules.yml");
    let named = text.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let mut names: Vec<_> = named.map(str::to_owned).collect();
    names.dedup();
    assert!(names.len() > 20, "the rules were read: {names:?}");
    names
}

/// Runs promtool in the folder of the rules.
pub(crate) fn promtool(arguments: &[&str]) -> (bool, String) {
    let folder = Tree::find().root.join("deploy/prometheus");
    let output = Command::new("promtool").args(arguments).current_dir(folder).output();
    let output = output.expect("promtool is installed (tests/run does it)");
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn promtool_finds_the_rules_and_the_configuration_valid() {
    let (good, said) = promtool(&["check", "config", "prometheus.yml"]);
    assert!(good, "{said}");
    assert!(said.contains("rules found"), "{said}");
}

#[test]
fn every_alert_fires_where_it_must_and_not_beside_it() {
    let (good, said) = promtool(&["test", "rules", "rules.test.yml"]);
    assert!(good, "{said}");
}

#[test]
fn every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() {
    let tests = file("deploy/prometheus/rules.test.yml");
    for alert in alerts() {
        let named = |what: &str| tests.contains(&format!("- name: \"{alert} {what}"));
        assert!(named("fires"), "{alert} is never seen to fire");
        assert!(named("does not fire"), "{alert} is never seen not to");
    }
}

#[test]
fn every_alert_says_how_bad_what_and_what_to_do_and_where_that_is_written() {
    let text = file("deploy/prometheus/rules.yml");
    for rule in text.split("- alert: ").skip(1) {
        let alert = rule.lines().next().expect("a rule has a name");
        for wanted in ["severity: ", "summary: ", "concern: ", "action: "] {
            assert!(rule.contains(wanted), "{alert} has no {wanted}");
        }
        let page = format!("runbook_url: deploy/runbook.md#{}\n", alert.to_lowercase());
        assert!(rule.contains(&page), "{alert} names no page of its own");
    }
}

#[test]
fn every_row_of_d7_that_asks_for_one_has_an_alert() {
    let text = file("deploy/prometheus/rules.yml");
    for (section, rules) in [("4.1", 15), ("4.3", 5), ("5.1", 4), ("5.2", 4)] {
        let found = text.matches(&format!("d7: \"{section}\"")).count();
        assert_eq!(found, rules, "rules of D7 {section}");
    }
}

#[test]
fn rules_name_only_metrics_that_are_documented() {
    let rules = file("deploy/prometheus/rules.yml");
    let unknown = unknown_metrics(&rules);
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(!unknown_metrics("softlaunch_made_up == 1").is_empty(), "an unknown one is noticed");
}
