use std::os::unix::fs::PermissionsExt as _;

use super::*;
use test_kit::Certificates;

fn with_token(text: &str, mode: u32) -> Result<Credentials, Unusable> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    Credentials::read(&Files { token: Some(file.path().to_owned()), ..Files::default() })
}

#[test]
fn a_token_is_never_printed() {
    let credentials = with_token("slt_12345678_hush\n", 0o600).unwrap();
    assert!(credentials.has_token());
    assert!(!format!("{credentials:?}").contains("hush"), "{credentials:?}");
    let certificates = Certificates::new();
    let files = Files {
        authority: Some(certificates.file("ca.pem")),
        certificate: Some(certificates.file("client.pem")),
        key: Some(certificates.file("client.key")),
        token: None,
    };
    let printed = format!("{:?}", Credentials::read(&files).unwrap());
    assert_eq!(printed, "Credentials { tls: true, bearer: Bearer(None) }");
}

#[test]
fn a_secret_that_everybody_may_read_is_refused() {
    let refused = with_token("slt_12345678_hush", 0o644).unwrap_err().to_string();
    assert!(refused.contains("chmod 600") && !refused.contains("hush"), "{refused}");
    with_token("slt_12345678_hush", 0o640).unwrap();
}

#[test]
fn a_token_is_not_sent_in_the_clear_over_a_network() {
    let credentials = with_token("slt_12345678_hush", 0o600).unwrap();
    for near in ["http://127.0.0.1:7101", "http://[::1]:7101", "http://localhost:7101"] {
        credentials.endpoint(near).unwrap();
    }
    let refused = credentials.endpoint("http://flag.example.com:7101").unwrap_err().to_string();
    assert!(refused.contains("in the clear"), "{refused}");
}

#[test]
fn an_https_address_needs_an_authority() {
    let address = "https://127.0.0.1:7101";
    let refused = Credentials::default().endpoint(address).unwrap_err().to_string();
    assert!(refused.contains("name the authority"), "{refused}");
    let authority = Some(Certificates::new().file("ca.pem"));
    assert!(Credentials::read(&Files { authority, ..Files::default() }).is_err());
    let certificates = Certificates::new();
    let authority = Some(certificates.file("ca.pem"));
    let trusting = Credentials::read(&Files { authority, ..Files::default() }).unwrap();
    trusting.endpoint(address).unwrap();
}

#[test]
fn a_key_without_its_certificate_or_of_another_one_is_refused() {
    let certificates = Certificates::new();
    let read = |certificate: Option<&str>, key: Option<&str>| {
        let at = |name: &str| certificates.file(name);
        let authority = Some(at("ca.pem"));
        let files =
            Files { authority, certificate: certificate.map(at), key: key.map(at), token: None };
        Credentials::read(&files).map_err(|error| error.to_string())
    };
    assert!(read(None, Some("client.key")).unwrap_err().contains("client.key"));
    assert!(read(Some("client.pem"), None).unwrap_err().contains("client.pem"));
    assert!(read(Some("client.pem"), Some("server.key")).is_err());
    assert!(read(Some("client.key"), Some("client.key")).unwrap_err().contains("no certificate"));
}

#[test]
fn what_is_not_one_line_with_a_token_is_refused() {
    for text in ["", "\n", "two lines\nof text", "t\u{f6}ken"] {
        assert!(with_token(text, 0o600).is_err(), "{text:?}");
    }
}
