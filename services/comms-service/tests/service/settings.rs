//! Settings, as the process reads them.

use std::process::Command;

#[test]
fn a_channel_is_set_in_the_environment_and_what_is_wrong_is_said_without_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_comms-service"))
        .env("SOFTLAUNCH__SERVER__LISTEN_ADDRESS", "127.0.0.1:0")
        .env("SOFTLAUNCH__STORE__LOCATION", format!("embedded:{}", directory.path().display()))
        .env("SOFTLAUNCH__CHANNELS__SLACK-INCIDENTS__WEBHOOK_URL", "no-url-but-hush")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("channels.slack-incidents.webhook_url: expected a URL"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}
