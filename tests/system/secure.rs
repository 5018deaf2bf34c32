//! Guarding services from the command line: certificates, tokens, and who is then let in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use test_kit::eventually;

use crate::processes::{Running, service, softlaunch, text};

struct Place {
    dir: tempfile::TempDir,
}

fn said(output: &Output) -> String {
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("the temporary directory is writable") };
        place.ok(&["certs", "--out", &place.file("tls")]);
        place
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn file(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(softlaunch());
        command.args(arguments).current_dir(self.dir.path());
        command.output().expect("softlaunch can be run")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        text(&output.stdout)
    }

    /// Adds a token in `NAME.token`.
    fn add(&self, name: &str, roles: &str) {
        let (file, secret) = (self.file("tls/tokens.toml"), self.file(&format!("{name}.token")));
        let fixed = ["tokens", "add", "--file", &file, "--secret-file", &secret];
        let said = self.ok(&[&fixed[..], &["--subject", name, "--role", roles]].concat());
        assert!(!said.contains(&self.secret(name)), "{said}");
    }

    fn secret(&self, name: &str) -> String {
        let secret = fs::read_to_string(self.path(&format!("{name}.token")));
        secret.expect("the token is in its file").trim().to_owned()
    }

    async fn up(&self) -> Running {
        let mut command = Command::new(softlaunch());
        command.args(["up", "--free-ports", "--log-filter", "error"]).stdout(Stdio::null());
        command.args(["--secure", &self.file("tls")]);
        command.args(["--data-dir", &self.file("data")]);
        let running = Running::start(&mut command);
        let endpoints = self.path("data/endpoints.toml");
        eventually("the services are up", async || {
            endpoints.is_file() && self.as_nobody(&["doctor"]).status.success()
        })
        .await;
        running
    }

    fn call(&self, token: Option<&str>, arguments: &[&str]) -> Output {
        let (endpoints, authority) = (self.file("data/endpoints.toml"), self.file("tls/ca.pem"));
        let token = token.map(|name| self.file(&format!("{name}.token")));
        let mut all = vec!["--endpoints", &endpoints, "--tls-ca", &authority];
        if let Some(token) = &token {
            all.extend(["--token-file", token]);
        }
        all.extend(arguments);
        self.run(&all)
    }

    fn as_nobody(&self, arguments: &[&str]) -> Output {
        self.call(None, arguments)
    }
}

const ENGAGE: &[&str] = &["kill", "engage", "--reason", "bad data"];

#[tokio::test(flavor = "multi_thread")]
async fn services_that_are_guarded_let_in_whom_the_tokens_name() {
    let place = Place::new();
    place.add("ada", "operator,approver");
    place.add("vic", "viewer");
    let _up = place.up().await;

    // Nobody, a viewer and an operator each get what is theirs
    let refused = place.as_nobody(&["kill", "status"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("CREDENTIALS_MISSING"), "{}", said(&refused));
    assert!(place.call(Some("vic"), &["kill", "status"]).status.success());
    let refused = place.call(Some("vic"), ENGAGE);
    assert!(said(&refused).contains("operator, approver, admin"), "{}", said(&refused));
    let engaged = place.call(Some("ada"), ENGAGE);
    assert!(engaged.status.success(), "{}", said(&engaged));
    let status = said(&place.call(Some("vic"), &["kill", "status"]));
    assert!(status.contains("ada"), "{status}");

    // Whoever shows a token cannot claim another name besides
    let both = place.call(Some("vic"), &["kill", "status", "--as", "ada"]);
    assert_eq!(both.status.code(), Some(2), "{}", said(&both));

    // The doctor says until when certificates are good, and looks at plans for whom it knows
    let doctor = said(&place.call(Some("vic"), &["doctor"]));
    assert_eq!(doctor.matches("good until").count(), 5, "{doctor}");
    assert!(doctor.contains("no rollout is under way"), "{doctor}");
    let nobody = said(&place.as_nobody(&["doctor"]));
    assert!(nobody.contains("warning") && nobody.contains("--token-file"), "{nobody}");

    // A token that is revoked is refused soon after, without a restart
    place.ok(&["tokens", "revoke", "--file", &place.file("tls/tokens.toml"), "--subject", "vic"]);
    eventually("vic is refused", async || {
        said(&place.call(Some("vic"), &["kill", "status"])).contains("TOKEN_UNKNOWN")
    })
    .await;
    assert!(place.call(Some("ada"), &["kill", "status"]).status.success());
}

#[test]
fn keys_and_tokens_are_their_owners_and_no_secret_is_in_what_services_read() {
    let place = Place::new();
    place.add("ada", "operator");
    let tls = place.path("tls");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&tls), 0o700);
    let keys = ["ca.key", "flag.key", "gate.key", "killswitch.key", "comms.key", "rollout.key"];
    for file in keys.map(|file| tls.join(file)).iter().chain([&place.path("ada.token")]) {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    let kept = fs::read_to_string(tls.join("tokens.toml")).unwrap();
    assert!(!kept.contains(&place.secret("ada")));
    let listed = place.ok(&["tokens", "list", "--file", &place.file("tls/tokens.toml")]);
    assert!(listed.contains("ada") && listed.contains("operator") && listed.contains("valid"));
    assert!(!listed.contains(&place.secret("ada")), "{listed}");

    // A secret that is there already is not written over, and the token file stays as it was
    let (file, secret) = (place.file("tls/tokens.toml"), place.file("ada.token"));
    let fixed = ["tokens", "add", "--file", &file, "--secret-file", &secret];
    let again = place.run(&[&fixed[..], &["--subject", "bob", "--role", "viewer"]].concat());
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert_eq!(fs::read_to_string(tls.join("tokens.toml")).unwrap(), kept);
}

#[test]
fn certificates_are_made_anew_of_the_same_authority_and_half_of_one_is_refused() {
    let place = Place::new();
    let read = |file: &str| fs::read(place.path("tls").join(file)).unwrap();
    let before = ["ca.pem", "ca.key", "flag.pem", "flag.key"].map(read);
    place.ok(&["certs", "--out", &place.file("tls"), "--name", "flag.example.com", "--days", "7"]);
    let after = ["ca.pem", "ca.key", "flag.pem", "flag.key"].map(read);
    assert_eq!(before[..2], after[..2]);
    assert!(before[2] != after[2] && before[3] != after[3]);
    fs::remove_file(place.path("tls/ca.key")).unwrap();
    let refused = place.run(&["certs", "--out", &place.file("tls")]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("take another --out"), "{}", said(&refused));
}

#[test]
fn a_token_that_could_not_be_used_is_not_added() {
    let place = Place::new();
    let file = place.file("tls/tokens.toml");
    for (more, says) in [
        (&["--subject", "system:rollout", "--role", "admin"][..], "Softlaunch's own"),
        (&["--subject", "ada", "--role", "root"], "possible values"),
        (&["--subject", "ada", "--role", "viewer", "--expires-in", "soon"], "--expires-in"),
        (&["--subject", "ada", "--role", "approver", "--holding", "Lead!"], "is not a role"),
        (&["--subject", "ada"], "--role"),
    ] {
        let output = place.run(&[&["tokens", "add", "--file", &file], more].concat());
        assert_eq!(output.status.code(), Some(2), "{more:?}: {}", said(&output));
        assert!(said(&output).contains(says), "{more:?}: {}", said(&output));
    }
    assert!(!place.path("tls/tokens.toml").exists());
    let revoked = place.run(&["tokens", "revoke", "--file", &file, "--id", "12345678"]);
    assert_eq!(revoked.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_their_own_are_reached_over_the_network_and_know_each_other() {
    // Given a kill-switch service and a flag service that listen on every address
    let place = Place::new();
    place.add("vic", "viewer");
    let everywhere = |noun: &str| {
        let tls = |file: String| place.file(&format!("tls/{file}"));
        vec![
            ("SOFTLAUNCH__SERVER__LISTEN_ADDRESS", "0.0.0.0:0".to_owned()),
            ("SOFTLAUNCH__SERVER__TLS_CERT_FILE", tls(format!("{noun}.pem"))),
            ("SOFTLAUNCH__SERVER__TLS_KEY_FILE", tls(format!("{noun}.key"))),
            ("SOFTLAUNCH__SERVER__TLS_CLIENT_CA_FILE", tls("ca.pem".to_owned())),
            ("SOFTLAUNCH__IDENTITY__TOKENS_FILE", tls("tokens.toml".to_owned())),
            ("SOFTLAUNCH__STORE__LOCATION", format!("embedded:{}", place.file(noun))),
        ]
    };
    let near = |address: &str| {
        let port = address.trim_matches('"').rsplit(':').next().unwrap_or_default();
        format!("https://127.0.0.1:{port}")
    };
    let (_kills, address) = service("killswitch-service", &everywhere("killswitch"), None);
    let killswitch = near(&address);
    let mut settings = everywhere("flag");
    let tls = |file: &str| place.file(&format!("tls/{file}"));
    settings.extend([
        ("SOFTLAUNCH__PEERS__KILLSWITCH", killswitch.clone()),
        ("SOFTLAUNCH__PEERS__TLS_CA_FILE", tls("ca.pem")),
        ("SOFTLAUNCH__PEERS__TLS_CERT_FILE", tls("flag.pem")),
        ("SOFTLAUNCH__PEERS__TLS_KEY_FILE", tls("flag.key")),
    ]);
    let (_flag, address) = service("flag-service", &settings, None);
    let flag = near(&address);
    let nobody = "https://127.0.0.1:1";
    let lines = [
        ("flag", &*flag),
        ("killswitch", &*killswitch),
        ("gate", nobody),
        ("comms", nobody),
        ("rollout", nobody),
    ]
    .map(|(noun, address)| format!("{noun} = \"{address}\"\n"));
    fs::create_dir_all(place.path("data")).unwrap();
    fs::write(place.path("data/endpoints.toml"), lines.concat()).unwrap();

    // Then the flag service hears of kills, by its certificate, and a viewer sees that it does
    eventually("the flag service is heard of", async || {
        said(&place.call(Some("vic"), &["kill", "status"])).contains("flag-service-")
    })
    .await;
    assert!(place.call(Some("vic"), &["flag", "list"]).status.success());
}
