//! Sources, single versions, and versions without known holes. Reads `Cargo.lock`, so that what
//! only other platforms build is looked at, too.

use cargo_metadata::semver::Version;
use service_kit::clock::real_now;
use softlaunch_tests::{Locked, Tree};
use vocab::Timestamp;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Two of these in one graph would not understand each other.
const ONE_VERSION: &[&str] = &["tonic", "prost", "prost-types", "rustls", "h2", "hyper", "tokio"];

/// Built from C, with holes of their own: ring is the one provider.
const FORBIDDEN: &[&str] = &["aws-lc-sys", "aws-lc-rs", "openssl-sys", "openssl", "native-tls"];

/// The lowest version without a known hole, and the advisories that say so.
const FLOORS: &[(&str, &str, &str)] = &[
    ("anyhow", "1.0.104", "RUSTSEC-2026-0190"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007: capacity wraps in reserve"),
    ("h2", "0.4.16", "RUSTSEC-2026-0258: empty DATA frames"),
    ("hyper", "1.0.0", "RUSTSEC-2024-0003 class: rapid resets"),
    ("idna", "1.0.0", "RUSTSEC-2024-0421: punycode that decodes to ASCII"),
    ("jsonwebtoken", "10.3.0", "CVE-2026-25537: malformed claims count as absent"),
    ("rustls", "0.23.45", "RUSTSEC-2024-0399, RUSTSEC-2026-0285: messages at the wrong level"),
    ("rustls-webpki", "0.103.13", "RUSTSEC-2026-0049, -0098, -0099, -0104: CRLs, constraints"),
    ("slab", "0.4.11", "RUSTSEC-2025-0047: out of bounds"),
    ("time", "0.3.47", "RUSTSEC-2026-0009: stack exhaustion"),
    ("tonic", "0.12.3", "RUSTSEC-2024-0376: the accept loop ends"),
    ("tracing-subscriber", "0.3.20", "RUSTSEC-2025-0055: escape sequences in logs"),
];

/// A hole we live with for now: why, and until when.
struct Exception {
    krate: &'static str,
    /// The first version without the hole.
    fixed: &'static str,
    advisories: &'static str,
    reason: &'static str,
    /// After this day the test fails: fixed by then, or replaced.
    expires: &'static str,
}

const EXCEPTIONS: &[Exception] = &[Exception {
    krate: "lettre",
    fixed: "0.11.24",
    advisories: "RUSTSEC-2026-0561 (a bare CR or LF in a message reaches SMTP as a command), \
                 RUSTSEC-2026-0562 (a malformed EHLO answer panics)",
    reason: "0.11.24 was not served by the registry when this was built. Until it is: \
             comms-service refuses control characters in every header and address, sends bodies \
             as quoted-printable, and speaks only to the relay its operator configured",
    expires: "2027-02-28T00:00:00Z",
}];

fn version(text: &str) -> Version {
    Version::parse(text).expect("a version is three numbers")
}

fn locked(name: &str) -> Vec<Locked> {
    Tree::find().locked().into_iter().filter(|one| one.name == name).collect()
}

#[test]
fn every_dependency_comes_from_crates_io() {
    let all = Tree::find().locked();
    assert!(all.len() > 100, "Cargo.lock was read");
    let strange: Vec<_> = all
        .into_iter()
        .filter(|one| one.source.as_deref().is_some_and(|source| source != CRATES_IO))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn there_is_one_version_of_what_must_agree() {
    for name in ONE_VERSION {
        let found = locked(name);
        assert_eq!(found.len(), 1, "exactly one {name}: {found:?}");
    }
}

#[test]
fn forbidden_crates_are_not_in_the_graph() {
    for name in FORBIDDEN {
        let found = locked(name);
        assert!(found.is_empty(), "{found:?}: TLS is rustls with ring");
    }
}

#[test]
fn no_version_has_a_known_hole() {
    let mut open = Vec::new();
    for (name, floor, why) in FLOORS {
        let low = locked(name).into_iter().filter(|one| version(&one.version) < version(floor));
        open.extend(low.map(|one| format!("{name} {}: needs {floor} ({why})", one.version)));
    }
    assert!(open.is_empty(), "cargo update -p ..:\n{}", open.join("\n"));
}

#[test]
fn an_exception_ends_on_its_day_or_when_it_is_fixed() {
    let now = real_now();
    for exception in EXCEPTIONS {
        let name = exception.krate;
        let found = locked(name);
        assert!(!found.is_empty(), "{name} is gone: take its exception out");
        for one in found {
            let fixed = version(&one.version) >= version(exception.fixed);
            assert!(!fixed, "{name} {} is fixed: make its exception a floor", one.version);
        }
        let expires = Timestamp::parse(exception.expires).expect("a date is a date");
        let (why, holes) = (exception.reason, exception.advisories);
        assert!(now < expires, "the exception for {name} is over: {holes}. {why}");
    }
}
