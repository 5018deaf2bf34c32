//! Bugs put in on purpose stay behind their feature.

use std::fs;

use softlaunch_tests::{Blueprint, Tree};

const FEATURE: &str = "seeded-bugs";
const BEHIND: &str = "#[cfg(feature = \"seeded-bugs\")]";

#[test]
fn no_crate_has_seeded_bugs_by_default_or_asks_another_for_them() {
    let blueprint = Blueprint::read();
    let mut having = 0;
    for krate in blueprint.crates() {
        having += usize::from(krate.features.contains_key(FEATURE));
        for (feature, enables) in &krate.features {
            let seeds = enables.iter().any(|one| one.contains(FEATURE));
            assert!(!seeds || feature == FEATURE, "{}: {feature} enables {FEATURE}", krate.name);
        }
        for dependency in &krate.dependencies {
            let seeds = dependency.features.iter().any(|one| one == FEATURE);
            assert!(!seeds, "{} asks {} for {FEATURE}", krate.name, dependency.name);
        }
    }
    assert!(having >= 3, "{having} crates have the feature: this test looks for another one");
}

#[test]
fn every_mention_of_a_seeded_bug_is_behind_the_feature() {
    let tree = Tree::find();
    let mut mentions = 0;
    for path in ["libs", "services"].iter().flat_map(|folder| tree.files(folder, &[".rs"])) {
        if path.ends_with("store/src/seeded.rs") {
            continue; // Itself behind the feature, as a module.
        }
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let lines: Vec<_> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            if !line.contains("seeded") || line.contains(BEHIND) {
                continue;
            }
            mentions += 1;
            let before = &lines[at.saturating_sub(3)..at];
            let behind = before.iter().any(|line| line.contains(BEHIND));
            assert!(behind, "{}:{}: {}", tree.shown(&path), at + 1, line.trim());
        }
    }
    assert!(mentions >= 3, "{mentions} mentions: this test looks for another word");
}
