//! Files that only their owner may read, written whole or not at all.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

const OWN_FILE: u32 = 0o600;
const OWN_DIRECTORY: u32 = 0o700;
const MODE: u32 = 0o777;

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::refused(format!("cannot write {}: {error}", path.display()))
}

/// Makes a directory, and those above it; one that is there stays as it is.
pub(crate) fn create_dir(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(OWN_DIRECTORY).create(path);
    made.map_err(|error| failed(path, &error))
}

/// Writes a file that is not there yet.
pub(crate) fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(OWN_FILE).open(path);
    file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(|error| failed(path, &error))
}

/// Puts a file in the place of another, whose mode it takes over. Whoever reads meanwhile finds
/// the old one or the new one; whoever writes meanwhile is refused.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    create(&beside, text)?;
    let mode = std::fs::metadata(path).map(|old| old.permissions().mode() & MODE);
    let put = std::fs::set_permissions(&beside, Permissions::from_mode(mode.unwrap_or(OWN_FILE)))
        .and_then(|()| std::fs::rename(&beside, path));
    put.map_err(|error| {
        std::fs::remove_file(&beside).ok(); // What failed is said; that something is left over, too.
        failed(path, &error)
    })
}
