//! The workspace's own binaries, built when a test asks for them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

static BUILT: LazyLock<Mutex<HashMap<(String, String), PathBuf>>> = LazyLock::new(Mutex::default);

/// Builds binary `name` of `package` with the profile and target directory of the running test,
/// once per process, and returns the path of the executable.
///
/// # Panics
/// Where the binary does not build, with the compiler's words.
pub fn binary(package: &str, name: &str) -> PathBuf {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built
        .entry((package.to_owned(), name.to_owned()))
        .or_insert_with(|| build(package, name))
        .clone()
}

fn build(package: &str, name: &str) -> PathBuf {
    let profile_dir = profile_dir();
    let executable = profile_dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let target_dir = profile_dir.parent().expect("a profile's directory is inside target/");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", package, "--bin", name])
        .args(["--profile", profile(&profile_dir)])
        .arg("--target-dir")
        .arg(target_dir)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo that compiled this test runs");
    assert!(
        output.status.success(),
        "binary {name} of package {package} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(executable.is_file(), "cargo built no {}", executable.display());
    executable
}

/// `target/debug`, where the test is `target/debug/deps/xyz`.
fn profile_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let beside = test.parent().expect("an executable is in a directory");
    let inside_deps = beside.ends_with("deps") || beside.ends_with("examples");
    let found = if inside_deps { beside.parent() } else { Some(beside) };
    found.expect("deps/ is inside a profile's directory").to_owned()
}

fn profile(profile_dir: &Path) -> &str {
    match profile_dir.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev", // The one profile whose directory has another name.
        Some(other) => other,
    }
}
