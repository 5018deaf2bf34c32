//! Who may know whom.

use std::collections::BTreeSet;

use cargo_metadata::DependencyKind;
use softlaunch_tests::Blueprint;

/// What a crate may depend on of ours: always, and in its tests and benches besides.
struct Rule {
    krate: &'static str,
    may: &'static [&'static str],
    in_tests: &'static [&'static str],
}

const CORE: &[&str] = &["vocab", "plan"];
/// All floors below the services.
const BELOW: &[&str] = &[
    "vocab",
    "plan",
    "flag-core",
    "gate-core",
    "killswitch-core",
    "comms-core",
    "rollout-core",
    "contracts",
    "flag-wire",
    "store",
    "credentials",
    "service-kit",
    "client",
];
/// What tests may use wherever they stand.
const IN_TESTS: &[&str] = &["test-kit", "capture"];

const fn rule(krate: &'static str, may: &'static [&'static str]) -> Rule {
    Rule { krate, may, in_tests: IN_TESTS }
}

/// The table of `ARCHITECTURE.md`. A crate that is not in it fails the test: say where it stands.
const TABLE: &[Rule] = &[
    rule("vocab", &[]),
    rule("plan", &["vocab"]),
    rule("flag-core", CORE),
    rule("gate-core", CORE),
    rule("killswitch-core", CORE),
    rule("comms-core", CORE),
    rule("rollout-core", CORE),
    rule("rehearsal", CORES_AND_WORDS), // A rollout of nothing but decisions.
    rule("contracts", &[]),
    rule("flag-wire", &["contracts", "flag-core", "plan", "vocab"]),
    rule("store", &["vocab"]),
    rule("credentials", &["vocab"]),
    Rule {
        krate: "service-kit", // Commands on a journal map in one place.
        may: &["vocab", "store", "credentials"],
        in_tests: &["contracts", "test-kit", "capture"], // A server needs something to serve.
    },
    rule(
        "client",
        &["contracts", "credentials", "flag-core", "flag-wire", "killswitch-core", "vocab"],
    ),
    Rule {
        krate: "ingestion-worker",
        may: &["client", "vocab"],
        in_tests: &["plan", "test-kit", "capture"], // It walks the plan's state transitions.
    },
    rule("flag-service", BELOW),
    rule("gate-service", BELOW),
    rule("killswitch-service", BELOW),
    rule("comms-service", BELOW),
    rule("rollout-service", BELOW),
    rule("capture", &[]),
    rule("test-kit", &[]),
];

/// The roof: everything may be seen from here.
const ROOF: &[&str] = &["softlaunch", "softlaunch-tests", "softlaunch-bench"];

const CORES_AND_WORDS: &[&str] =
    &["vocab", "plan", "flag-core", "gate-core", "killswitch-core", "comms-core", "rollout-core"];

/// Crates that do I/O, read clocks, draw randomness or log. (`log` itself comes with `jiff`.)
const FORBIDDEN_IN_CORES: &[&str] =
    &["tokio", "tonic", "redis", "prost", "rand", "tracing", "chrono", "reqwest", "redb"];

#[test]
fn arrows_point_down() {
    let blueprint = Blueprint::read();
    let mut wrong = Vec::new();
    for krate in blueprint.crates() {
        if ROOF.contains(&krate.name.as_str()) {
            continue;
        }
        let Some(rule) = TABLE.iter().find(|rule| rule.krate == krate.name.as_str()) else {
            wrong.push(format!("{} has no line in the table: say where it stands", krate.name));
            continue;
        };
        for (to, kind) in blueprint.edges(krate) {
            let in_tests = kind == DependencyKind::Development && rule.in_tests.contains(&&*to);
            if !rule.may.contains(&&*to) && !in_tests {
                wrong.push(format!("{} -> {to} ({kind})", krate.name));
            }
        }
    }
    assert!(wrong.is_empty(), "edges the table of ARCHITECTURE.md forbids:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_names_only_crates_that_are_there() {
    let blueprint = Blueprint::read();
    let there: BTreeSet<_> = blueprint.crates().iter().map(|one| one.name.to_string()).collect();
    let gone: Vec<_> = TABLE.iter().filter(|rule| !there.contains(rule.krate)).collect();
    assert!(
        gone.is_empty(),
        "not in the workspace: {:?}",
        gone.iter().map(|r| r.krate).collect::<Vec<_>>()
    );
}

#[test]
fn test_kit_is_linked_into_no_product() {
    let blueprint = Blueprint::read();
    for krate in blueprint.crates() {
        let linked =
            blueprint.edges(krate).contains(&("test-kit".to_owned(), DependencyKind::Normal));
        assert!(
            !linked || ["softlaunch-tests", "softlaunch-bench"].contains(&krate.name.as_str()),
            "{} links test-kit",
            krate.name
        );
    }
}

#[test]
fn cores_cannot_do_io() {
    let blueprint = Blueprint::read();
    let mut wrong = Vec::new();
    for name in CORES_AND_WORDS {
        for (linked, path) in blueprint.linked(blueprint.krate(name)) {
            if FORBIDDEN_IN_CORES.contains(&linked.as_str()) {
                wrong.push(path.join(" -> "));
            }
        }
    }
    assert!(wrong.is_empty(), "what a core must never reach:\n{}", wrong.join("\n"));
}

#[test]
fn contracts_know_prost_and_tonic_only() {
    let blueprint = Blueprint::read();
    let contracts = blueprint.krate("contracts");
    let normal = contracts.dependencies.iter().filter(|one| one.kind == DependencyKind::Normal);
    let names: BTreeSet<_> = normal.map(|one| one.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["prost", "prost-types", "tonic", "tonic-prost"]));
}
