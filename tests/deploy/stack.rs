//! The stack: Compose understands it, and no container may more than it must.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use softlaunch_tests::Tree;

use crate::documented::file;
use crate::processes::text;

/// Everything that runs all the time or in a profile.
const CONTAINERS: [&str; 11] = [
    "cli",
    "collector",
    "comms",
    "flag",
    "gate",
    "grafana",
    "jaeger",
    "killswitch",
    "prometheus",
    "redis",
    "rollout",
];
const NOUNS: [&str; 5] = ["flag", "gate", "killswitch", "comms", "rollout"];
/// Images without a shell or a client, and a command that ends by itself.
const CANNOT_TELL: [&str; 3] = ["cli", "collector", "jaeger"];

/// A Compose that `tests/run` put where `variable` says; `None`, and said so, where a test was
/// started by hand without it.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn compose(variable: &str, arguments: &[&str], secrets: &Path) -> Option<Output> {
    let Some(program) = std::env::var_os(variable).filter(|path| !path.is_empty()) else {
        eprintln!("skipped: {variable} is not set. tests/run installs it.");
        return None;
    };
    let output = Command::new(program)
        .args(["-f", "deploy/docker-compose.yml"])
        .args(arguments)
        .current_dir(Tree::find().root)
        .env("SOFTLAUNCH_SECRETS", secrets)
        .output();
    Some(output.expect("it is a program"))
}

/// The stack as Compose reads it, with every profile.
fn stack() -> Option<Value> {
    let secrets = tempfile::tempdir().unwrap();
    let arguments = ["--profile", "*", "config", "--format", "json"];
    let output = compose("SOFTLAUNCH_COMPOSE", &arguments, secrets.path())?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("it prints JSON"))
}

fn services(stack: &Value) -> impl Iterator<Item = (&String, &Value)> {
    stack["services"].as_object().expect("there are services").iter()
}

#[test]
fn the_stack_has_every_part_and_no_other() {
    let Some(stack) = stack() else { return };
    let names: Vec<_> = services(&stack).map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, CONTAINERS);
    let profiled = services(&stack).filter(|(_, one)| one["profiles"].is_array());
    let profiled: Vec<_> = profiled.map(|(name, _)| name.as_str()).collect();
    assert_eq!(profiled, ["cli", "jaeger"]);
}

#[test]
fn no_container_may_more_than_it_must() {
    let Some(stack) = stack() else { return };
    for (name, one) in services(&stack) {
        let user = one["user"].as_str().unwrap_or("root");
        assert!(!user.starts_with("root") && !user.starts_with("0:"), "{name} runs as {user}");
        assert_eq!(one["read_only"], true, "{name} can write to its image");
        assert_eq!(one["cap_drop"], serde_json::json!(["ALL"]), "{name} keeps capabilities");
        assert!(one["cap_add"].is_null() && one["privileged"].is_null(), "{name}");
        let options = one["security_opt"].as_array().expect("there are some");
        assert!(options.contains(&"no-new-privileges:true".into()), "{name}");
        let limits = &one["deploy"]["resources"]["limits"];
        assert!(!limits["memory"].is_null() && !limits["cpus"].is_null(), "{name} has no limits");
        let mounts = one["volumes"].as_array().cloned().unwrap_or_default();
        for mount in mounts.iter().filter(|mount| mount["type"] == "bind") {
            assert_eq!(mount["read_only"], true, "{name} can write to {}", mount["source"]);
        }
        assert!(!text(&serde_json::to_vec(one).unwrap()).contains("docker.sock"), "{name}");
    }
}

#[test]
fn every_container_that_can_tells_how_it_is_and_starts_after_what_it_needs() {
    let Some(stack) = stack() else { return };
    for (name, one) in services(&stack) {
        let disabled = one["healthcheck"]["disable"] == true;
        assert_eq!(disabled, CANNOT_TELL.contains(&name.as_str()), "{name}");
        let after = one["depends_on"].as_object().cloned().unwrap_or_default();
        for (other, how) in &after {
            assert_eq!(how["condition"], "service_healthy", "{name} after {other}");
        }
        if NOUNS.contains(&name.as_str()) {
            assert!(after.contains_key("redis"), "{name} starts before its store");
            let check = serde_json::json!(["CMD", "softlaunch", "doctor", "--only", name]);
            assert_eq!(one["healthcheck"]["test"], check);
        }
    }
}

#[test]
fn what_is_published_is_on_loopback_and_redis_is_not() {
    let Some(stack) = stack() else { return };
    let mut published = Vec::new();
    for (name, one) in services(&stack) {
        for port in one["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
            published.push((name.as_str(), port["target"].as_u64().unwrap()));
        }
    }
    let wanted = [
        ("comms", 7104),
        ("comms", 7107),
        ("flag", 7101),
        ("gate", 7102),
        ("grafana", 3000),
        ("jaeger", 16686),
        ("killswitch", 7103),
        ("prometheus", 9090),
        ("rollout", 7105),
    ];
    assert_eq!(published, wanted);
    assert_eq!(stack["networks"]["house"]["internal"], true);
    let redis = stack["services"]["redis"]["networks"].as_object().unwrap();
    assert_eq!(redis.keys().collect::<Vec<_>>(), ["house"]);
}

#[test]
fn every_setting_is_one_that_its_service_has_and_no_secret_is_among_them() {
    let Some(stack) = stack() else { return };
    for noun in NOUNS {
        let one = &stack["services"][noun];
        for (key, value) in one["environment"].as_object().unwrap() {
            let value = value.as_str().unwrap_or_default();
            assert!(!value.contains('@') && !key.contains("PASSWORD"), "{noun}: {key}={value}");
        }
        let command = one["command"].as_array().unwrap();
        assert_eq!(command[0], format!("{noun}-service"), "{noun}");
        assert_eq!(command[2], format!("/run/secrets/{noun}.toml"), "{noun}");
    }
}

#[test]
fn images_are_pinned_and_can_be_replaced() {
    let text = file("deploy/docker-compose.yml");
    let images: Vec<_> =
        text.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert!(images.len() > 5, "{images:?}");
    for image in images {
        assert!(image.starts_with("${") && image.contains("_IMAGE:-"), "{image} is fixed");
        let tag = image.trim_end_matches('}').rsplit(':').next().unwrap();
        assert!(tag != "latest" && image.matches(':').count() >= 2, "{image} has no version");
    }
}

#[test]
fn the_older_compose_understands_it_too() {
    let secrets = tempfile::tempdir().unwrap();
    fs::create_dir(secrets.path().join("tls")).unwrap();
    let Some(output) = compose("SOFTLAUNCH_COMPOSE_1", &["config", "-q"], secrets.path()) else {
        return;
    };
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn redis_keeps_what_it_acknowledges_and_forgets_nothing() {
    let conf = file("deploy/redis/redis.conf");
    for wanted in ["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"] {
        assert!(conf.lines().any(|line| line == wanted), "{wanted}");
    }
}
