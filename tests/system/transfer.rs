//! `softlaunch store`: a store moved to another, by the command line.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use service_kit::clock::real_now;
use store::{
    Append, Batch, BatchId, Bucket, Change, Draft, Hash, Head, Import, Item, Location, Options,
    Scope, Store, StreamName,
};
use tempfile::TempDir;
use test_kit::RedisServer;
use vocab::{Actor, Timestamp};

use crate::processes::{softlaunch, text};

const RECORDS: usize = 60;
const HOUR: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Runs `softlaunch store VERB`, and returns its code and both outputs.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let run = Command::new(softlaunch()).arg("store").args(arguments).output().expect("it runs");
    (run.status.code(), text(&run.stdout), text(&run.stderr))
}

fn embedded(dir: &Path) -> String {
    format!("embedded:{}", dir.display())
}

/// An embedded store with journals and counters in it, closed.
async fn furnished() -> TempDir {
    let dir = tempfile::tempdir().expect("a test of ours");
    let location = Location::Embedded(dir.path().to_owned());
    let store = Store::open(&location, Arc::new(real_now)).await.expect("a test of ours");
    for name in ["flag", "rollout"] {
        let mut head = Head::default();
        for nth in 0..RECORDS {
            let payload = format!("{name} {nth}").into_bytes();
            let append = Append {
                expected: head,
                time: real_now(),
                actor: Actor::system("test"),
                reason: "because".to_owned(),
                traceparent: String::new(),
                request: None,
                drafts: vec![Draft { kind: "Said".to_owned(), payload }],
            };
            let stream = StreamName::new(name).expect("a test of ours");
            let appended = store.journal.append(&stream, &append).await.expect("a test of ours");
            let last = appended.records.last().expect("a test of ours");
            head = Head { version: last.version, hash: last.hash };
        }
    }
    let bucket = Bucket { series: "m".to_owned(), start: Timestamp::EPOCH, keep: HOUR };
    let add = Change::add(bucket, "ok", 42);
    let batch =
        Batch { id: BatchId::new("b1").expect("a test of ours"), contents: Hash::of(b"contents") };
    let scope = Scope::new("ingestion_v2").expect("a test of ours");
    store.counters.add(&scope, &batch, HOUR, vec![add]).await.expect("a test of ours");
    dir
}

/// The lines of an export, without the order of one store and until when things are kept.
fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a test of ours");
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.contains(r#""line":"end""#))
        .map(|line| line.split(r#","until""#).next().expect("a test of ours").to_owned())
        .collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_goes_from_the_laptop_to_redis_and_back() {
    let (from, files) = (furnished().await, tempfile::tempdir().unwrap());
    let server = RedisServer::start().await;
    let back = files.path().join("back");
    let file = |name: &str| files.path().join(name);
    let (first, second, third) = (file("first.jsonl"), file("second.jsonl"), file("third.jsonl"));
    let steps = [
        ["export", "--store", &embedded(from.path()), first.to_str().unwrap()],
        ["import", "--store", &server.url(), first.to_str().unwrap()],
        ["export", "--store", &server.url(), second.to_str().unwrap()],
        ["import", "--store", &embedded(&back), second.to_str().unwrap()],
        ["export", "--store", &embedded(&back), third.to_str().unwrap()],
    ];
    for step in &steps {
        let (code, out, err) = run(step);
        assert_eq!(code, Some(0), "{step:?}: {out}{err}");
        assert!(out.contains("rollout") && out.contains("60"), "{out}");
    }
    assert!(lines(&first).len() > 2 * RECORDS);
    assert_eq!(lines(&second), lines(&first));
    assert_eq!(lines(&third), lines(&first));
    let verified = Command::new(softlaunch())
        .args(["audit", "verify", "--store", &embedded(&back)])
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_what_was_exported_puts_nothing_in() {
    let (from, files) = (furnished().await, tempfile::tempdir().unwrap());
    let whole = files.path().join("whole.jsonl");
    let (code, _, err) =
        run(&["export", "--store", &embedded(from.path()), whole.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    let text = std::fs::read_to_string(&whole).unwrap();
    let cut = text.len() * 2 / 3;
    let cases = [
        ("changed.jsonl", text.replacen(r#""count":42"#, r#""count":43"#, 1), "digest"),
        ("short.jsonl", text[..=text[..cut].rfind('\n').unwrap()].to_owned(), "cut short"),
        ("torn.jsonl", text[..cut].to_owned(), "not a line of"),
        ("swapped.jsonl", swapped(&text), "does not follow"),
        ("other.jsonl", "{}\n".to_owned(), "not a line of"),
        ("later.jsonl", text.replacen(r#""format":1"#, r#""format":2"#, 1), "format 2"),
        ("empty.jsonl", String::new(), "cut short"),
    ];
    let target = files.path().join("target");
    for (name, contents, says) in cases {
        let file = files.path().join(name);
        std::fs::write(&file, contents).unwrap();
        let (code, out, err) =
            run(&["import", "--store", &embedded(&target), file.to_str().unwrap()]);
        assert_eq!(code, Some(1), "{name}: {out}");
        assert!(err.contains(says) && err.contains(name), "{name}: {err}");
        assert!(!target.exists(), "{name}");
    }
    let (code, _, err) = run(&["import", "--store", &embedded(&target), "nowhere.jsonl"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot read nowhere.jsonl"), "{err}");
    let (code, _, err) =
        run(&["export", "--store", &embedded(from.path()), whole.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(err.contains("name a file that does not"), "{err}");
}

/// Two records of a journal in the wrong order.
fn swapped(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let at =
        lines.iter().position(|line| line.contains(r#""version":5,"#)).expect("a test of ours");
    lines.swap(at, at + 1);
    lines.join("\n") + "\n"
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_broken_off_half_way_is_served_to_nobody_and_goes_on() {
    let (from, files) = (furnished().await, tempfile::tempdir().unwrap());
    let file = files.path().join("export.jsonl");
    let (code, _, err) =
        run(&["export", "--store", &embedded(from.path()), file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    let server = RedisServer::start().await;
    let location = Location::parse(&server.url()).unwrap();
    let last = std::fs::read_to_string(&file).unwrap().lines().last().unwrap().to_owned();
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    let digest = Hash::parse(last["sha256"].as_str().unwrap()).unwrap();
    let options = Options::default();
    let import = Import::begin(&location, Arc::new(real_now), &options, digest).await.unwrap();
    let source = Location::Embedded(from.path().to_owned());
    let source = Store::open(&source, Arc::new(real_now)).await.unwrap();
    let stream = StreamName::new("rollout").unwrap();
    let some = source.journal.read(&stream, 0, RECORDS / 2).await.unwrap().into_iter();
    let item = |record| Item::Record { stream: stream.clone(), record };
    import.load(some.map(item).collect()).await.unwrap();
    drop(import); // As a kill would: nothing is tidied up.

    let refused = Store::open(&location, Arc::new(real_now)).await.unwrap_err();
    assert!(refused.to_string().contains("half filled"), "{refused}");
    let (code, out, err) = run(&["import", "--store", &server.url(), file.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{out}{err}");
    let store = Store::open(&location, Arc::new(real_now)).await.unwrap();
    let head = store.journal.head(&stream).await.unwrap();
    assert_eq!(head.version, RECORDS as u64);
}
