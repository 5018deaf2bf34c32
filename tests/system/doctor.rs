//! The doctor: what it finds of services that are well, of a store that is down, and of nonsense.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use test_kit::{RedisServer, eventually};

use crate::allinone::{journey, up};
use crate::processes::{Cli, Running, service, softlaunch, text};

/// The findings of one kind: subject and verdict.
fn found(cli: &Cli, check: &str) -> Vec<(String, String)> {
    let output = cli.output(&["doctor", "--output", "json"]);
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let word = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let of_kind = all.iter().filter(|one| one["check"] == check);
    of_kind.map(|one| (word(one, "subject"), word(one, "verdict"))).collect()
}

fn alone(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(softlaunch()).arg("doctor").args(arguments).output();
    let output = output.expect("softlaunch can be run");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn five_services_that_are_well_pass_and_a_directory_in_use_is_theirs_to_tell_of() {
    let data = tempfile::tempdir().unwrap();
    let _process = up(data.path());
    let cli = journey(data.path()).await.cli;
    let store = format!("embedded:{}", data.path().display());
    let table = cli.ok(&["doctor", "--store", &store]);
    assert_eq!(table.matches("power-loss").count(), 5, "{table}");
    assert_eq!(table.lines().filter(|line| line.contains(" ok ")).count(), 46, "{table}");
    assert!(table.contains("warning") && table.contains("store in use"), "{table}");
    let journals = found(&cli, "journal");
    assert!(journals.contains(&("rollout".to_owned(), "ok".to_owned())), "{journals:?}");
    let peers = found(&cli, "peer");
    assert!(peers.len() == 10 && peers.iter().all(|(_, verdict)| verdict == "ok"), "{peers:?}");
    assert_eq!(found(&cli, "plan"), [("rollout".to_owned(), "ok".to_owned())]);
}

fn endpoints(directory: &Path, flag: &str) -> Cli {
    let nobody = "http://127.0.0.1:1";
    let line = |noun: &str, address: &str| format!("{noun} = \"{address}\"\n");
    let others = ["gate", "killswitch", "comms", "rollout"].map(|noun| line(noun, nobody));
    let file = directory.join("endpoints.toml");
    fs::write(&file, line("flag", flag) + &others.concat()).expect("the directory is writable");
    Cli { endpoints: file, otlp: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_fails_its_service_and_a_service_that_is_down_is_named() {
    // Given one service over a Redis that promises less than a power cut asks for
    let directory = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start_with(&["--appendfsync", "everysec"]).await;
    let settings = [
        ("SOFTLAUNCH__STORE__LOCATION", redis.url()),
        ("SOFTLAUNCH__STORE__DURABILITY", "process-crash".to_owned()),
    ];
    let (_flag, address): (Running, String) = service("flag-service", &settings, None);
    let cli = endpoints(directory.path(), &address);

    // Then it is well, with a warning, and the others are named as not reachable
    let flag = |verdict: &str| ("flag".to_owned(), verdict.to_owned());
    assert!(found(&cli, "durability").contains(&flag("warning")));
    assert!(found(&cli, "journal").contains(&flag("ok")));
    let said = cli.refused(&["doctor"]);
    assert!(said.contains("5 of 12 checks failed"), "{said}");
    assert!(found(&cli, "peer").contains(&flag("failure")), "it cannot reach kill switches");
    // A container that looks after itself is not unwell for that
    let itself = cli.ok(&["doctor", "--only", "flag"]);
    assert!(itself.contains("killswitch") && itself.contains("warning"), "{itself}");

    // When Redis dies, then the journal is stale and the service is still reachable
    redis.kill();
    eventually("the doctor to notice", async || found(&cli, "journal").contains(&flag("failure")))
        .await;
    assert!(found(&cli, "reachable").contains(&flag("ok")));
    let (code, out, _) = alone(&["--store-only", "--store", &redis.url()]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("failure") && out.contains("store unavailable"), "{out}");

    // When it is back, then all of it is well again
    redis.restart().await;
    eventually("the doctor to notice", async || found(&cli, "journal").contains(&flag("ok"))).await;
    let (code, out, _) = alone(&["--store-only", "--store", &redis.url()]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("appendfsync everysec") && out.contains("warning"), "{out}");
}

#[test]
fn a_store_that_is_not_there_fails_is_not_made_and_nonsense_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    let (code, out, _) =
        alone(&["--store-only", "--store", &format!("embedded:{}", nowhere.display())]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("there is no store in") && !nowhere.exists(), "{out}");
    let (code, out, err) = alone(&["--store-only", "--store", "nowhere"]);
    assert_eq!((code, out.as_str()), (Some(2), ""), "{err}");
    assert!(err.contains("expected embedded:DIR"), "{err}");
    assert_eq!(alone(&["--store-only"]).0, Some(2));
    let broken = directory.path().join("endpoints.toml");
    fs::write(&broken, "flag = 1\n").unwrap();
    let cli = Cli { endpoints: broken, otlp: None };
    assert_eq!(cli.output(&["doctor"]).status.code(), Some(2));
}
