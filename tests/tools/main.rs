//! Tools from other houses understand the contracts.

use std::ffi::OsString;
use std::process::Output;

use softlaunch_tests::{House, Tree, ask};
use tokio::process::Command;

/// Where `tests/run` put `buf`; `None`, and said so, where a test was started by hand without it.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
fn buf() -> Option<OsString> {
    let buf = std::env::var_os("SOFTLAUNCH_BUF").filter(|path| !path.is_empty());
    if buf.is_none() {
        eprintln!("skipped: SOFTLAUNCH_BUF is not set. tests/run installs buf and sets it.");
    }
    buf
}

async fn run(buf: &OsString, arguments: &[&str]) -> Output {
    let ran = Command::new(buf).args(arguments).current_dir(Tree::find().root).output().await;
    ran.expect("SOFTLAUNCH_BUF is a program")
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[tokio::test(flavor = "multi_thread")]
async fn buf_finds_nothing_to_say_about_the_contracts() {
    let Some(buf) = buf() else { return };
    let linted = run(&buf, &["lint", "proto"]).await;
    assert!(linted.status.success(), "{}", text(&linted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_finds_its_way_by_reflection() {
    let Some(buf) = buf() else { return };
    let house = House::start().await;
    let call = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
    for (noun, services) in [
        ("flag", ["softlaunch.flag.v1.FlagService", "grpc.health.v1.Health"]),
        ("gate", ["softlaunch.gate.v1.SignalService", "softlaunch.gate.v1.GateService"]),
        ("killswitch", ["softlaunch.killswitch.v1.KillSwitchService", "grpc.health.v1.Health"]),
        ("comms", ["softlaunch.comms.v1.CommsService", "grpc.health.v1.Health"]),
        ("rollout", ["softlaunch.rollout.v1.RolloutService", "grpc.health.v1.Health"]),
    ] {
        let address = format!("http://{}", house.addresses[noun]);
        for reflection in ["grpc-v1", "grpc-v1alpha"] {
            let list = ["--reflect-protocol", reflection, "--list-services", &address];
            let listed = run(&buf, &[&call[..], &list].concat()).await;
            assert!(listed.status.success(), "{noun}: {}", text(&listed));
            for service in services {
                assert!(text(&listed).contains(service), "{noun}, {reflection}: {}", text(&listed));
            }
        }
    }
    let scope = contracts::killswitch::Scope {
        kind: contracts::killswitch::scope::Kind::Global.into(),
        ..contracts::killswitch::Scope::default()
    };
    let engage = contracts::killswitch::EngageKillSwitchRequest {
        scope: Some(scope),
        reason: "for a stranger".to_owned(),
    };
    let person = softlaunch_tests::Person { name: "sam", roles: &[] };
    house.kills().engage_kill_switch(ask(person, engage)).await.expect("engaging always works");
    let method = "softlaunch.killswitch.v1.KillSwitchService/ListKillSwitches";
    let url = format!("http://{}/{method}", house.addresses["killswitch"]);
    let answered = run(&buf, &[&call[..], &["--data", "{}", &url]].concat()).await;
    let said = text(&answered);
    assert!(answered.status.success(), "{said}");
    assert!(said.contains("for a stranger") && said.contains("STATE_ENGAGED"), "{said}");
}
