//! Settings from a file, and where a service may listen.

use std::io::Write as _;

use serde::Deserialize;
use service_kit::bootstrap::listen;
use service_kit::settings::{ClockSettings, IdentitySettings, ServerSettings, SettingsError, load};
use tokio::net::TcpListener;

const DEFAULTS: &str = "
[server]
listen_address = \"127.0.0.1:7101\"
[clock]
demo_origin = \"\"
demo_factor = 1
";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    server: ServerSettings,
    clock: ClockSettings,
}

fn with_file(text: &str) -> Result<Settings, SettingsError> {
    let mut file = tempfile::NamedTempFile::new().expect("the temporary directory is writable");
    file.write_all(text.as_bytes()).expect("the file is writable");
    load(DEFAULTS, Some(file.path()))
}

#[test]
fn a_file_overrides_the_defaults_key_by_key() {
    let settings = with_file("[clock]\ndemo_factor = 3600").unwrap();
    assert_eq!(settings.clock.demo_factor, 3_600);
    assert_eq!(settings.clock.demo_origin, "");
    assert_eq!(settings.server.listen_address.port(), 7101);
}

#[test]
fn a_key_of_the_file_that_does_not_exist_is_refused_by_name() {
    for (text, name) in [
        ("[clock]\ndemo_faktor = 2", "demo_faktor"),
        ("[servers]\nlisten_address = \"127.0.0.1:1\"", "servers"),
    ] {
        let refused = with_file(text).unwrap_err().to_string();
        assert!(refused.starts_with("settings: ") && refused.contains(name), "{refused}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_key() {
    for (text, key) in [
        ("[clock]\ndemo_factor = \"fast\"", "clock.demo_factor"),
        ("[clock]\ndemo_factor = -1", "clock.demo_factor"),
        ("[server]\nlisten_address = \"here\"", "server.listen_address"),
    ] {
        let refused = with_file(text).unwrap_err().to_string();
        assert!(refused.contains(key), "{refused}");
    }
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let missing = std::path::Path::new("no-such-settings.toml");
    let refused = load::<Settings>(DEFAULTS, Some(missing)).unwrap_err().to_string();
    assert!(refused.contains("no-such-settings.toml"), "{refused}");
}

#[test]
fn a_clock_that_stands_still_is_refused() {
    let origin = "demo_origin = \"2026-01-01T00:00:00Z\"";
    for (text, says) in [
        (format!("[clock]\n{origin}\ndemo_factor = 0"), "clock.demo_factor: expected 1 or more"),
        (
            "[clock]\ndemo_origin = \"soon\"".to_owned(),
            "clock.demo_origin: `soon` is not an instant",
        ),
    ] {
        let refused = with_file(&text).unwrap().clock.clock().unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
}

async fn listen_at(address: &str) -> Result<TcpListener, String> {
    let settings = with_file(&format!("[server]\nlisten_address = \"{address}\""));
    let settings = settings.expect("it is an address");
    let listening = listen(&settings.server, &IdentitySettings::default()).await;
    listening.map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_not_listened_on() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7101"] {
        let refused = listen_at(address).await.unwrap_err();
        let wanted = format!("settings: server.listen_address {address} is not a loopback address");
        assert!(refused.starts_with(&wanted), "{refused}");
        assert!(refused.contains("identity.tokens_file are missing"), "{refused}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = listen_at("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let refused = listen_at(&address.to_string()).await.unwrap_err();
    assert!(refused.starts_with(&format!("cannot listen on {address}: ")), "{refused}");
}
