//! What is in the files.

use std::fs;

use softlaunch_tests::Tree;

const FOLDERS: [&str; 3] = ["libs", "services", "tests"];

/// Lines that contain `word`, as `path:line: text`, in files whose path passes `wanted`.
fn lines_with(word: &str, endings: &[&str], wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let tree = Tree::find();
    let mut found = Vec::new();
    for folder in FOLDERS.iter().chain(&["proto", "deploy", "docs"]) {
        for path in tree.files(folder, endings) {
            let shown = tree.shown(&path);
            if !wanted(&shown) {
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file is UTF-8");
            let lines = text.lines().enumerate().filter(|(_, line)| line.contains(word));
            found.extend(lines.map(|(at, line)| format!("{shown}:{}: {}", at + 1, line.trim())));
        }
    }
    found
}

fn too_long(endings: &[&str], lines_max: usize) -> Vec<String> {
    let tree = Tree::find();
    let files = FOLDERS.iter().chain(&["proto"]).flat_map(|folder| tree.files(folder, endings));
    let counted = files.map(|path| {
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        (tree.shown(&path), text.lines().count())
    });
    let long = counted.filter(|(_, lines)| *lines > lines_max);
    long.map(|(path, lines)| format!("{path}: {lines} lines, at most {lines_max}")).collect()
}

#[test]
fn files_fit_on_a_desk() {
    let mut long = too_long(&[".rs"], 400);
    long.extend(too_long(&[".proto"], 300));
    assert!(long.is_empty(), "split by idea:\n{}", long.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let words = ["todo!", "unimplemented!", "#[ignore", "FIX\u{4d}E", "TO\u{44}O"];
    let mut found = Vec::new();
    for word in words {
        let word = word.replace("!", "!(");
        let here = |path: &str| path != "tests/architecture/files.rs";
        found.extend(lines_with(&word, &[".rs", ".proto", ".toml", ".yaml", ".md"], here));
    }
    assert!(found.is_empty(), "finish it, or file an issue:\n{}", found.join("\n"));
}

#[test]
fn nobody_sleeps_on_a_thread() {
    let found = lines_with("thread::sleep", &[".rs"], |path| path.contains("/src/"));
    assert!(found.is_empty(), "wait on a condition instead:\n{}", found.join("\n"));
}

#[test]
fn cores_name_no_file_socket_clock_or_environment_of_the_standard_library() {
    let doors = [
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant::now",
    ];
    let core = |path: &str| {
        let own = path.starts_with("libs/vocab/src") || path.starts_with("libs/plan/src");
        own || (path.starts_with("libs/") && path.contains("-core/src/"))
    };
    let found: Vec<_> = doors.iter().flat_map(|door| lines_with(door, &[".rs"], core)).collect();
    assert!(found.is_empty(), "take it as an argument instead:\n{}", found.join("\n"));
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let generated = |path: &str| path != "tests/architecture/files.rs";
    let mut found = lines_with("#[allow(", &[".rs"], generated);
    found.extend(lines_with("#![allow(", &[".rs"], generated));
    assert!(found.is_empty(), "say #[expect(.., reason = \"..\")]:\n{}", found.join("\n"));
}

#[test]
fn no_path_of_somebodys_machine_is_written_down() {
    let mut found = Vec::new();
    for place in ["/ho\u{6d}e/", "/ro\u{6f}t/", "/Us\u{65}rs/", "/wo\u{72}k/", "C:\\\\"] {
        let endings = [".rs", ".proto", ".toml", ".yaml", ".yml", ".md", ".html", ".json"];
        found.extend(lines_with(place, &endings, |path| path != "tests/architecture/files.rs"));
    }
    assert!(found.is_empty(), "name it relative to the root:\n{}", found.join("\n"));
}

#[test]
fn no_module_is_named_after_a_heap() {
    let tree = Tree::find();
    let heaps = ["common", "utils", "util", "helpers", "helper", "misc"];
    for folder in FOLDERS {
        for path in tree.files(folder, &[".rs"]) {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let stem = stem.unwrap_or_default();
            assert!(!heaps.contains(&stem.as_str()), "{}: name the idea", tree.shown(&path));
            assert_ne!(stem, "mod", "{}: foo.rs and foo/, never foo/mod.rs", tree.shown(&path));
        }
    }
}
