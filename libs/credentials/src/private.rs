//! Files that only their owner may read.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::Unusable;

/// Bytes of a file with a key or a token, at most.
pub const FILE_SIZE_MAX: u64 = 64 * 1024;

const READABLE_BY_OTHERS: u32 = 0o007;

/// Reads a secret. A group may read it as well: that is how orchestrators hand secrets in.
///
/// # Errors
/// Names the file, and what is wrong with it.
pub fn read_private(path: &Path) -> Result<String, Unusable> {
    let shown = path.display();
    let failed = |error: std::io::Error| Unusable(format!("cannot read {shown}: {error}"));
    let file = std::fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & READABLE_BY_OTHERS != 0 {
        let why = "is open to every user of this machine: chmod 600 it";
        return Err(Unusable(format!("{shown} {why}")));
    }
    let mut text = String::new();
    file.take(FILE_SIZE_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
