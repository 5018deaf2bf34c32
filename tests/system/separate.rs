//! Every service a process of its own, over a real Redis.

use std::fs;
use std::path::Path;

use capture::{Mail, Slack};
use service_kit::clock::real_now;
use test_kit::{Proxy, RedisServer};
use vocab::Timestamp;

use crate::journey::{FACTOR, Journey};
use crate::otlp::Receiver;
use crate::processes::{Cli, Running, service};

const NOBODY: u16 = 9;

struct Installation {
    journey: Journey,
    _services: Vec<Running>,
    _way: Proxy,
}

fn comms_settings(directory: &Path, slack: &Slack, mail: &Mail) -> std::path::PathBuf {
    let channel = |id: &str| format!("[channels.{id}]\nwebhook_url = \"{}\"\n", slack.url(id));
    let (host, port) = (mail.address().ip(), mail.address().port());
    let text = format!(
        "{}{}[smtp]\nhost = \"{host}\"\nport = {port}\nfrom = \"Softlaunch <s@example.com>\"\n",
        channel("slack-engineering"),
        channel("slack-incidents"),
    );
    let path = directory.join("comms.toml");
    fs::write(&path, text).expect("the directory is writable");
    path
}

async fn install(directory: &Path, redis: &str, otlp: &str, comms_file: &Path) -> Installation {
    let origin = Timestamp::from_millis(real_now().as_millis());
    let base = [
        ("SOFTLAUNCH__STORE__LOCATION", redis.to_owned()),
        ("SOFTLAUNCH__TELEMETRY__OTLP_ENDPOINT", otlp.to_owned()),
        ("SOFTLAUNCH__CLOCK__DEMO_ORIGIN", origin.to_string()),
        ("SOFTLAUNCH__CLOCK__DEMO_FACTOR", FACTOR.to_string()),
    ];
    let with = |more: &[(&'static str, &String)]| {
        let more = more.iter().map(|(key, value)| (*key, (*value).clone()));
        base.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let (killswitch_process, killswitch) = service("killswitch-service", &base, None);
    let kills = ("SOFTLAUNCH__PEERS__KILLSWITCH", &killswitch);
    let (flag_process, flag) = service("flag-service", &with(&[kills]), None);
    // Gate and comms follow each other, and each has its address only once it runs.
    let way = Proxy::start(NOBODY).await;
    let comms_to_come = format!("http://127.0.0.1:{}", way.port());
    let peers = [kills, ("SOFTLAUNCH__PEERS__COMMS", &comms_to_come)];
    let (gate_process, gate) = service("gate-service", &with(&peers), None);
    let peers = [kills, ("SOFTLAUNCH__PEERS__FLAG", &flag), ("SOFTLAUNCH__PEERS__GATE", &gate)];
    let (rollout_process, rollout) = service("rollout-service", &with(&peers), None);
    let rollouts = ("SOFTLAUNCH__PEERS__ROLLOUT", &rollout);
    let peers = [kills, rollouts, ("SOFTLAUNCH__PEERS__GATE", &gate)];
    let (comms_process, comms) = service("comms-service", &with(&peers), Some(comms_file));
    let port = comms.trim_matches('"').rsplit(':').next().and_then(|port| port.parse().ok());
    way.turn_to(port.expect("an address ends with a port"));
    let endpoints = serde_json::json!({
        "flag": flag, "gate": gate, "killswitch": killswitch, "comms": comms, "rollout": rollout,
    });
    let file = directory.join("endpoints.toml");
    let lines = endpoints
        .as_object()
        .expect("made an object above")
        .iter()
        .map(|(key, value)| format!("{key} = {value}"));
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).expect("the directory is writable");
    let cli = Cli { endpoints: file, otlp: None };
    let services =
        vec![killswitch_process, flag_process, gate_process, rollout_process, comms_process];
    Installation { journey: Journey { cli, origin, endpoints }, _services: services, _way: way }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_processes_over_redis_take_a_rollout_to_p1_and_one_trace_shows_the_approval() {
    // Given five services over Redis, with real receivers for messages and spans
    let directory = tempfile::tempdir().unwrap();
    let redis = RedisServer::start().await;
    let (slack, mail) = (Slack::start().await.unwrap(), Mail::start().await.unwrap());
    let (receiver, otlp) = Receiver::start().await;
    let comms_file = comms_settings(directory.path(), &slack, &mail);
    let installation = install(directory.path(), &redis.url(), &otlp, &comms_file).await;
    let journey = &installation.journey;

    // When the rollout travels to P1, the last approval being traced
    let last = Cli { otlp: Some(otlp), ..journey.cli.clone() };
    journey.travel(&last).await;

    // Then the receivers hold what comms says it delivered
    assert!(slack.posts().iter().any(|post| post.text.contains("P1 Canary has started")));
    assert!(!mail.messages().is_empty());

    // And one trace goes from the command line through rollout to flag and comms
    let wanted = [
        "softlaunch: ",
        "rollout-service: ",
        "flag-service: ",
        "comms-service: ",
        "rollout-service: EVALSHA",
        "flag-service: EVALSHA",
    ];
    test_kit::eventually("one trace through all of them, and into Redis", async || {
        receiver.traces().values().any(|spans| {
            let approved = spans.iter().any(|span| span.contains("ApproveGate"));
            let seen = |service: &&str| spans.iter().any(|span| span.starts_with(*service));
            approved && wanted.iter().all(seen)
        })
    })
    .await;
}
