//! The users of Redis: a service works with its own, and sees nothing of the others.

use std::fs;
use std::process::Command;

use test_kit::{Proxy, RedisServer, eventually};

use crate::documented::file;
use crate::processes::{Cli, Running, service, text};

const NOBODY: u16 = 9;
const NOUNS: [&str; 5] = ["killswitch", "flag", "gate", "rollout", "comms"];

/// The lines of the template, with the same password for everybody; the one that shuts out who is
/// nobody comes last.
fn users() -> Vec<String> {
    let digest = Command::new("sh").args(["-c", "printf secret | sha256sum"]).output().unwrap();
    let digest = text(&digest.stdout);
    let digest = digest.split(' ').next().unwrap();
    let mut acl = file("deploy/redis/users.acl.template");
    for noun in NOUNS.iter().chain(&["operator"]) {
        let place = format!("@{noun}@");
        assert!(acl.contains(&place), "{noun} has no user");
        acl = acl.replace(&place, digest);
    }
    let mut lines: Vec<_> = acl.lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("user default off "), "{}", lines[0]);
    lines.rotate_left(1);
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn five_services_work_each_as_its_own_user_who_sees_its_own_keys_only() {
    // Given a Redis whose users are those of the stack, and the five services as these users
    let directory = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    for line in users() {
        let user = line.split_whitespace().skip(1);
        let made: Vec<_> = ["ACL", "SETUSER"].into_iter().chain(user).collect();
        let said = asked(&redis.url(), &made);
        assert_eq!(said.trim(), "OK", "{line}");
    }
    let place = redis.url().replace("redis://", "");
    let url = |user: &str| format!("redis://{user}:secret@{}", place.trim_end_matches('/'));
    let mut running: Vec<Running> = Vec::new();
    let mut lines = String::new();
    // Gate and comms call each other, and each has its address only once it runs.
    let way = Proxy::start(NOBODY).await;
    let comms_to_come = format!("http://127.0.0.1:{}", way.port());
    let mut peers = vec![("SOFTLAUNCH__PEERS__COMMS".to_owned(), comms_to_come)];
    for noun in NOUNS {
        let mut settings = vec![("SOFTLAUNCH__STORE__LOCATION", url(noun))];
        let known = peers.iter().filter(|(key, _)| wants(noun, key));
        settings.extend(known.map(|(key, address)| (key.as_str(), address.clone())));
        let (process, address) = service(&format!("{noun}-service"), &settings, None);
        running.push(process);
        lines += &format!("{noun} = \"{address}\"\n");
        if noun == "comms" {
            let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
            way.turn_to(port.expect("an address ends with a port"));
        }
        peers.push((format!("SOFTLAUNCH__PEERS__{}", noun.to_uppercase()), address));
    }
    let endpoints = directory.path().join("endpoints.toml");
    fs::write(&endpoints, lines).unwrap();
    let cli = Cli { endpoints, otlp: None };

    // Then all of them are well, and do what they are for
    eventually("every service to be well", async || cli.output(&["doctor"]).status.success()).await;
    cli.ok(&["plan", "store", "--as", "ada"]);
    cli.refused(&["rollout", "start", "--as", "ada"]);
    cli.ok(&["gate", "incident", "INC-1", "--kind", "p2", "--as", "ada"]);
    cli.ok(&["kill", "engage", "--reason", "to be kept", "--as", "ada"]);
    eventually("comms to have heard", async || {
        cli.json(&["comms", "list"])["messages"].as_array().is_some_and(|all| !all.is_empty())
    })
    .await;
    assert!(running.iter_mut().all(Running::runs), "a service ended");

    // And none can look at what is another's, or change a setting
    for (user, key) in [("flag", "killswitch"), ("killswitch", "flag"), ("comms", "rollout")] {
        let said = asked(&url(user), &["XLEN", &format!("{{softlaunch:{key}}}:journal")]);
        assert!(said.contains("NOPERM"), "{user} on {key}: {said}");
        let own = asked(&url(user), &["XLEN", &format!("{{softlaunch:{user}}}:journal")]);
        assert!(own.trim().parse::<u64>().is_ok(), "{own}");
        for forbidden in [&["CONFIG", "SET", "appendonly", "no"][..], &["FLUSHALL"], &["KEYS", "*"]]
        {
            assert!(asked(&url(user), forbidden).contains("NOPERM"), "{user}: {forbidden:?}");
        }
    }
    let stranger = asked(&redis.url(), &["PING"]);
    assert!(stranger.contains("NOAUTH") || stranger.contains("NOPERM"), "{stranger}");
}

/// Whether a service has a setting for a peer: an unknown one is refused.
fn wants(noun: &str, key: &str) -> bool {
    match noun {
        "flag" => key.ends_with("KILLSWITCH"),
        "gate" => key.ends_with("KILLSWITCH") || key.ends_with("COMMS"),
        "comms" => !key.ends_with("COMMS"),
        "rollout" => !key.ends_with("COMMS"),
        _ => false,
    }
}

fn asked(url: &str, command: &[&str]) -> String {
    let output =
        Command::new("redis-cli").args(["--no-auth-warning", "-u", url]).args(command).output();
    let output = output.expect("redis-cli comes with redis-server");
    text(&output.stdout) + &text(&output.stderr)
}
