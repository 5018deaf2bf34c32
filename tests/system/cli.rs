//! The command line: what it says when something is wrong, without any service.

use std::fs;
use std::process::Command;

use crate::processes::{Cli, softlaunch, text};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(softlaunch()).args(arguments).output().expect("it runs");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_verb_has_help() {
    for verb in [
        &["--help"][..],
        &["demo", "--help"],
        &["up", "--help"],
        &["plan", "check", "--help"],
        &["plan", "show", "--help"],
        &["rollout", "start", "--help"],
        &["rollout", "status", "--help"],
        &["rollout", "attest", "--help"],
        &["rollout", "approve", "--help"],
        &["rollout", "advance", "--help"],
        &["rollout", "dossier", "--help"],
        &["advise", "--help"],
        &["rehearse", "--help"],
        &["flag", "get", "--help"],
        &["flag", "set", "--help"],
        &["flag", "list", "--help"],
        &["flag", "create", "--help"],
        &["flag", "update", "--help"],
        &["flag", "delete", "--help"],
        &["flag", "undelete", "--help"],
        &["flag", "history", "--help"],
        &["flag", "diff", "--help"],
        &["flag", "restore", "--help"],
        &["flag", "import", "--help"],
        &["flag", "export", "--help"],
        &["flag", "blast-radius", "--help"],
        &["flag", "stratify", "--help"],
        &["flag", "evaluate", "--help"],
        &["gate", "report", "--help"],
        &["kill", "engage", "--help"],
        &["kill", "release", "--help"],
        &["kill", "status", "--help"],
        &["doctor", "--help"],
        &["audit", "log", "--help"],
        &["audit", "verify", "--help"],
        &["audit", "export", "--help"],
        &["certs", "--help"],
        &["tokens", "add", "--help"],
        &["tokens", "list", "--help"],
        &["tokens", "revoke", "--help"],
    ] {
        let (code, out, err) = run(verb);
        assert_eq!(code, Some(0), "{verb:?}: {err}");
        assert!(out.contains("Usage: softlaunch") && out.contains("--output"), "{verb:?}: {out}");
    }
}

#[test]
fn a_plan_with_errors_is_reported_whole_with_path_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.yaml");
    let broken = plan::SHIPPED
        .replacen("requirement: \">= 100\"", "requirement: \"about 100\"", 1)
        .replacen("name: error_rate", "name: eror_rate", 1);
    fs::write(&path, broken).unwrap();
    let (code, out, err) = run(&["plan", "check", path.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("about 100") && out.contains("eror_rate"), "{out}");
    assert!(out.lines().all(|line| line.starts_with(path.to_str().unwrap())), "{out}");
    let (code, out, _) = run(&["plan", "check", path.to_str().unwrap(), "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["valid"]), (Some(1), &false.into()));
    assert!(json["problems"][0]["line"].as_u64().is_some_and(|line| line > 1), "{json}");
}

#[test]
fn the_shipped_plan_is_valid_and_has_a_schema() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/plans/ingestion_v2.yaml");
    let (code, out, err) = run(&["plan", "check", shipped]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("valid, 5 phases"), "{out}");
    let (code, out, _) = run(&["plan", "schema"]);
    assert_eq!(code, Some(0));
    assert!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["$schema"].is_string());
    let (code, out, _) = run(&["plan", "show"]);
    assert!(code == Some(0) && out.contains("Limited Beta") && out.contains("gate-0-error-rate"));
}

#[test]
fn a_service_that_is_not_there_is_said_and_a_wrong_word_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("endpoints.toml");
    let nobody = "\"http://127.0.0.1:1\"\n";
    let lines =
        ["flag", "gate", "killswitch", "comms", "rollout"].map(|n| format!("{n} = {nobody}"));
    fs::write(&file, lines.concat()).unwrap();
    let cli = Cli { endpoints: file, otlp: None };
    assert!(cli.refused(&["rollout", "status"]).contains("softlaunch: "));
    let (code, _, err) = run(&["kill", "engage"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--reason"), "{err}");
    let (code, _, err) = run(&["flag", "set", "--json", "{\"percentage\": 101}", "--reason", "x"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("enabled"), "{err}");
}

#[test]
fn a_service_with_a_misspelt_or_forbidden_setting_ends_with_64_or_1_and_says_which() {
    let service = |key: &str, value: &str| {
        let mut command = Command::new(test_kit::binary("flag-service", "flag-service"));
        let output = command.env(key, value).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (code, err) = service("SOFTLAUNCH__SERVER__LISTEN_ADRESS", "127.0.0.1:0");
    assert_eq!(code, Some(64), "{err}");
    assert!(err.contains("listen_adress"), "{err}");
    let (code, err) = service("SOFTLAUNCH__SERVER__LISTEN_ADDRESS", "0.0.0.0:0");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("loopback"), "{err}");
    let mut command = Command::new(test_kit::binary("gate-service", "gate-service"));
    let output = command.arg("--print-settings").output().unwrap();
    assert!(text(&output.stdout).contains("# Where to listen."));
}

#[test]
fn a_rehearsal_ends_by_what_its_scenario_expects() {
    // Given a scenario of the repository, and the same with something expected that does not come
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join("deploy/scenarios/p1-incident.toml");
    let scenario = fs::read_to_string(&path).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let disappointed = directory.path().join("disappointed.toml");
    fs::write(&disappointed, scenario.replace("pauses = 1", "pauses = 2")).unwrap();
    let rehearse = |path: &std::path::Path, more: &[&str]| {
        let arguments = ["rehearse", "--scenario", path.to_str().unwrap(), "--seed", "7"];
        run(&[&arguments[..], more].concat())
    };
    // When, Then
    let (code, out, err) = rehearse(&path, &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("paused: P1 incident declared"), "{out}");
    assert!(out.ends_with("everything the scenario expects came\n"), "{out}");
    assert_eq!(rehearse(&path, &[]).1, out, "the same seed gives the same bytes");
    let (code, _, err) = rehearse(&disappointed, &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("pauses: expected 2, found 1"), "{err}");
    let (code, out, _) = rehearse(&path, &["--output", "json"]);
    assert_eq!(code, Some(0));
    for line in out.lines() {
        let _json: serde_json::Value = serde_json::from_str(line).unwrap();
    }
    let (code, _, err) = rehearse(&directory.path().join("none.toml"), &[]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("none.toml"), "{err}");
}
