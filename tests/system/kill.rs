//! The kill switch as people use it at a terminal.

use std::process::{Command, Output};

use serde_json::Value;

use crate::allinone::{journey, up};
use crate::processes::{softlaunch, text};

const EVIDENCE: &str = "https://wiki.example.com/errors-are-gone";

fn release<'a>(person: &'a str, epoch: &'a str) -> Vec<&'a str> {
    let what = ["kill", "release", "--epoch", epoch, "--reason", "fixed"];
    what.into_iter().chain(["--evidence", EVIDENCE, "--as", person]).collect()
}

fn offline(store: &str, person: &str) -> Output {
    let mut command = Command::new(softlaunch());
    command.args(["kill", "engage", "--offline", "--reason", "nobody answers", "--as", person]);
    command.args(["--store", store, "--output", "json"]).output().expect("softlaunch can be run")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_seen_everywhere_takes_two_to_release_and_needs_no_service() {
    // Given a rollout whose plan wants two persons, and a kill
    let data = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", data.path().display());
    let mut process = up(data.path());
    let site = journey(data.path()).await;
    site.start();
    let cli = &site.cli;
    let engaged = cli.json(&["kill", "engage", "--reason", "bad data", "--as", "bob"]);
    let epoch = engaged["epoch"].as_str().expect("an epoch is a number as text").to_owned();
    assert_eq!(
        (&engaged["durability"], &engaged["survives"]),
        (&"DURABILITY_STORED".into(), &"power-loss".into())
    );

    // When it is watched, then it ends once every worker has applied it; the flag service is one
    let watched = cli.ok(&["kill", "status", "--watch", "--output", "json"]);
    let last: Value = serde_json::from_str(watched.lines().last().unwrap()).unwrap();
    let spread = &last["propagation"];
    assert_eq!((&spread["epoch"], &spread["proven"]), (&epoch.as_str().into(), &true.into()));
    assert_eq!(spread["appliedCount"], spread["workerCount"], "{spread}");
    assert!(spread["workerCount"].as_u64() > Some(0), "{spread}");
    let shown = cli.ok(&["kill", "status"]);
    assert!(
        shown.contains("workers have applied it") && shown.contains("proven: since"),
        "{shown}"
    );

    // When one person releases it, then it waits for another
    let first = cli.ok(&release("bob", &epoch));
    assert!(first.contains("ENGAGED") && first.contains("bob asks for its release"), "{first}");
    assert!(cli.ok(&["kill", "status"]).contains("bob asks for release: fixed"));
    let same = cli.refused(&release("bob", &epoch));
    assert!(same.contains("SECOND_PERSON_REQUIRED"), "{same}");
    assert!(cli.ok(&release("ada", &epoch)).contains("RELEASED"));

    // When the glass is broken while a process holds the store, then that is said
    let in_use = offline(&store, "eve");
    assert_eq!(in_use.status.code(), Some(1));
    assert!(text(&in_use.stderr).contains("is in use"), "{}", text(&in_use.stderr));

    // When nothing runs, then it is stored, taken over at the next start, and audited
    process.kill();
    let broken = offline(&store, "eve");
    assert!(broken.status.success(), "{}", text(&broken.stderr));
    let broken: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!(
        (&broken["actor"], &broken["state"]),
        (&"offline:eve".into(), &"STATE_ENGAGED".into())
    );
    let _again = up(data.path());
    let again = journey(data.path()).await;
    let status = again.cli.ok(&["kill", "status"]);
    let taken_over =
        status.lines().any(|line| line.contains("offline:eve") && line.contains("ENGAGED"));
    assert!(taken_over, "{status}");
}
