//! Where things live, and what every crate says of itself.

use std::fs;

use softlaunch_tests::{Blueprint, Tree};

const NOUNS: [&str; 5] = ["flag", "gate", "killswitch", "comms", "rollout"];

/// Files every service has: learn one, know five.
const ROOMS: [&str; 6] =
    ["src/main.rs", "src/lib.rs", "src/settings.rs", "src/api.rs", "src/app.rs", "src/error.rs"];

const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "docs",
    "libs",
    "proto",
    "rustfmt.toml",
    "services",
    "softlaunch-data", // Made by `softlaunch up`; ignored by git.
    "target",
    "tests",
];

#[test]
fn every_column_is_complete() {
    let root = Tree::find().root;
    let mut missing = Vec::new();
    for noun in NOUNS {
        let service = format!("services/{noun}-service");
        let mut expected = vec![
            format!("proto/softlaunch/{noun}/v1/{noun}_service.proto"),
            format!("libs/{noun}-core/Cargo.toml"),
            format!("{service}/Cargo.toml"),
            format!("{service}/settings.default.toml"),
        ];
        expected.extend(ROOMS.iter().map(|room| format!("{service}/{room}")));
        missing.extend(expected.into_iter().filter(|path| !root.join(path).is_file()));
    }
    assert!(missing.is_empty(), "missing:\n{}", missing.join("\n"));
}

#[test]
fn folder_and_crate_share_a_name() {
    let blueprint = Blueprint::read();
    let named_after_us = ["softlaunch-tests", "softlaunch-bench"];
    let crates = blueprint.crates().into_iter();
    for krate in crates.filter(|one| !named_after_us.contains(&one.name.as_str())) {
        let folder = krate.manifest_path.parent().and_then(|folder| folder.file_name());
        assert_eq!(folder, Some(krate.name.as_str()), "{}", krate.manifest_path);
    }
}

#[test]
fn every_service_is_a_binary_and_a_library_of_its_name() {
    let blueprint = Blueprint::read();
    for noun in NOUNS {
        let name = format!("{noun}-service");
        let krate = blueprint.krate(&name);
        let named = |is: fn(&cargo_metadata::Target) -> bool, name: &str| {
            krate.targets.iter().any(|target| is(target) && target.name == name)
        };
        assert!(named(cargo_metadata::Target::is_bin, &name), "{name} is no binary");
        assert!(
            named(cargo_metadata::Target::is_lib, &name.replace('-', "_")),
            "{name} is no library"
        );
    }
}

#[test]
fn every_crate_says_what_it_is_and_every_core_and_service_its_invariant() {
    let blueprint = Blueprint::read();
    for krate in blueprint.crates() {
        let lib = krate.targets.iter().find(|target| target.is_lib());
        let Some(lib) = lib.or_else(|| krate.targets.iter().find(|target| target.is_bin())) else {
            panic!("{} has neither library nor binary", krate.name);
        };
        let text = fs::read_to_string(&lib.src_path).expect("a target has a file");
        assert!(
            text.starts_with("//! "),
            "{}: the first line says what the crate is",
            lib.src_path
        );
        if krate.name.ends_with("-core") || krate.name.ends_with("-service") {
            assert!(text.contains("//! **Invariant:**"), "{}: states no invariant", lib.src_path);
        }
    }
}

#[test]
fn lints_are_inherited_by_every_crate_but_the_generated_one() {
    let blueprint = Blueprint::read();
    for krate in blueprint.crates().into_iter().filter(|one| one.name.as_str() != "contracts") {
        let text = fs::read_to_string(&krate.manifest_path).expect("a crate has a manifest");
        assert!(text.contains("[lints]\nworkspace = true"), "{}", krate.manifest_path);
    }
}

#[test]
fn no_crate_is_published_and_all_share_one_edition() {
    let blueprint = Blueprint::read();
    for krate in blueprint.crates() {
        assert_eq!(krate.publish.as_deref(), Some(&[] as &[String]), "{} is published", krate.name);
        assert_eq!(krate.edition, cargo_metadata::Edition::E2024, "{}", krate.name);
    }
}

#[test]
fn the_top_level_is_fixed() {
    let entries = fs::read_dir(Tree::find().root).expect("the root is readable");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange: Vec<_> = names
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(strange.is_empty(), "belongs into a folder: {strange:?}");
}
