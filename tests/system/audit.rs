//! The journals as evidence: read, verified and exported without any service.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use service_kit::clock::real_now;
use store::{Append, Draft, Head, Location, Store, StreamName};
use test_kit::RedisServer;
use vocab::Actor;

use crate::allinone::{journey, up};
use crate::processes::{softlaunch, text};

/// Runs `softlaunch audit`: exit code, standard output, standard error.
fn audit(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(softlaunch());
    command.env("SOFTLAUNCH_STORE", "embedded:not-this-one"); // The command line wins.
    let output = command.arg("audit").args(arguments).output().expect("softlaunch can be run");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn verify_file(file: &Path, contents: &str) -> (Option<i32>, String, String) {
    fs::write(file, contents).expect("the directory is writable");
    audit(&["verify", "--file", file.to_str().expect("a path in UTF-8")])
}

#[tokio::test(flavor = "multi_thread")]
async fn journals_of_a_stopped_process_verify_name_who_did_what_and_leave_as_evidence() {
    // Given a rollout started by one and a switch engaged by another
    let data = tempfile::tempdir().unwrap();
    let store = format!("embedded:{}", data.path().display());
    let mut process = up(data.path());
    let before = journey(data.path()).await;
    before.start();
    before.cli.ok(&["kill", "engage", "--reason", "bad data", "--as", "bob"]);

    // When it runs, then the audit says what to do
    let (code, _, err) = audit(&["verify", "--store", &store]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("is in use") && err.contains("is stopped"), "{err}");

    // When it is stopped, then every journal holds
    process.kill();
    let (code, out, err) = audit(&["verify", "--store", &store]);
    assert_eq!((code, out.matches(" OK").count()), (Some(0), 5), "{out}{err}");
    let (_, out, _) = audit(&["verify", "--store", &store, "--output", "json"]);
    let findings: Value = serde_json::from_str(&out).unwrap();
    let rollout = &findings[4];
    assert_eq!((&rollout["stream"], &rollout["ok"]), (&"rollout".into(), &true.into()));
    assert!(rollout["records"].as_u64() > Some(0), "{rollout}");
    assert_eq!(rollout["records"], rollout["headVersion"]);

    // and the log says who did what and why
    let (code, log, err) = audit(&["log", "--store", &store]);
    assert_eq!(code, Some(0), "{err}");
    let line = |words: &[&str]| log.lines().any(|line| words.iter().all(|one| line.contains(one)));
    assert!(line(&["killswitch", "bob (unauthenticated)", "bad data"]), "{log}");
    assert!(line(&["rollout", "lead (unauthenticated)", "PhaseEntered"]), "{log}");
    let newest = audit(&["log", "--store", &store, "--stream", "rollout", "--last", "1"]).1;
    assert!(newest.contains("older records are not shown"), "{newest}");

    // and an export verifies without the store, to the byte
    let (code, exported, err) = audit(&["export", "--store", &store]);
    assert_eq!(code, Some(0), "{err}");
    changes_are_noticed(&exported);
}

fn changes_are_noticed(exported: &str) {
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let file = directory.path().join("journals.jsonl");
    let (code, out, err) = verify_file(&file, exported);
    assert_eq!((code, out.matches(" OK").count()), (Some(0), 5), "{out}{err}");

    let (code, out, err) = verify_file(&file, &exported.replacen("bad data", "bad dat4", 1));
    assert_eq!(code, Some(1), "{out}{err}");
    // Record 1 is what the plan says about the switch.
    assert!(err.contains("journal killswitch is broken: record 2 does not match"), "{err}");
    assert_eq!(out.matches(" OK").count(), 4, "{out}");

    let one_of_rollout = exported.lines().filter(|line| line.contains("\"stream\":\"rollout\""));
    let second = one_of_rollout.clone().nth(1).expect("a second record");
    let without = exported.replacen(&format!("{second}\n"), "", 1);
    let (code, _, err) = verify_file(&file, &without);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("record 3 of stream rollout does not follow record 1"), "{err}");

    let last = exported.lines().last().expect("a last line");
    let (code, _, err) = verify_file(&file, exported.trim_end_matches(&format!("{last}\n")));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("cut short"), "{err}");

    let (code, _, err) =
        verify_file(&file, &exported.replacen("\"version\":1,", "\"version\": 1,", 1));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("record 1 of") && err.contains("not as `audit export` writes"), "{err}");
}

#[test]
fn a_store_that_is_not_there_is_said_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("nowhere");
    let store = format!("embedded:{}", nowhere.display());
    for verb in ["log", "verify", "export"] {
        let (code, out, err) = audit(&[verb, "--store", &store]);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("there is no store in"), "{err}");
    }
    assert!(!nowhere.exists());
    let (code, _, err) = audit(&["verify", "--file", "nowhere.jsonl"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot read nowhere.jsonl"), "{err}");
    let (code, _, err) = audit(&["verify", "--stream", "rolout"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("killswitch"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_gone_from_redis_is_named_by_the_one_before() {
    let server = RedisServer::start().await;
    let location = Location::parse(&server.url()).unwrap();
    let store = Store::open(&location, Arc::new(real_now)).await.unwrap();
    let draft = Draft { kind: "Said".to_owned(), payload: b"event".to_vec() };
    let append = Append {
        expected: Head::default(),
        time: real_now(),
        actor: Actor::system("test"),
        reason: String::new(),
        traceparent: String::new(),
        request: None,
        drafts: vec![draft; 3],
    };
    store.journal.append(&StreamName::new("rollout").unwrap(), &append).await.unwrap();
    assert_eq!(audit(&["verify", "--store", &server.url()]).0, Some(0));

    let address = server.url().replace("redis://", "");
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"XDEL {softlaunch:rollout}:journal 2-0\r\nQUIT\r\n").unwrap();
    std::io::read_to_string(connection).unwrap();

    let (code, out, err) = audit(&["verify", "--store", &server.url()]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("rollout is broken: behind record 1: record 3"), "{err}");
    assert_eq!(audit(&["export", "--store", &server.url()]).0, Some(1));
}
