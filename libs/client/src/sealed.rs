//! Files that hold what they say, or are known not to: a line that names the format, the SHA-256
//! of what follows, and a payload. Only their owner may read them.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

const DIGEST_LEN: usize = 32;

/// A file is there and does not say what it held.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Damaged(String);

impl Damaged {
    pub(crate) fn at(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self(format!("{}: {why}", path.display()))
    }
}

/// A format: its first line, and the size no file of it reaches.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) magic: &'static str,
    pub(crate) size_max_bytes: u64,
}

impl Format {
    /// Reads the payload; `None` where there is no file.
    pub(crate) fn load(self, path: &Path) -> Result<Option<Vec<u8>>, Damaged> {
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Damaged::at(path, &error)),
        };
        if size > self.size_max_bytes {
            let why = format!("{size} bytes are more than were ever written");
            return Err(Damaged::at(path, &why));
        }
        let mut bytes = fs::read(path).map_err(|error| Damaged::at(path, &error))?;
        let begins = bytes.strip_prefix(self.magic.as_bytes());
        let Some((digest, payload)) = begins.and_then(|rest| rest.split_at_checked(DIGEST_LEN))
        else {
            let expected = self.magic.trim_end();
            let why = format!("it does not begin as it should: expected `{expected}`");
            return Err(Damaged::at(path, &why));
        };
        if Sha256::digest(payload).as_slice() != digest {
            return Err(Damaged::at(path, &"its digest does not match"));
        }
        Ok(Some(bytes.split_off(self.magic.len() + DIGEST_LEN)))
    }

    /// Writes the payload so that a crash at any moment leaves the old file or the new one. Only
    /// for whoever holds the [`lock`].
    pub(crate) fn store(self, path: &Path, payload: &[u8]) -> io::Result<()> {
        let temporary = beside(path, ".new");
        let mut file = private(&temporary)?;
        file.write_all(self.magic.as_bytes())?;
        file.write_all(Sha256::digest(payload).as_slice())?;
        file.write_all(payload)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(directory(path))?.sync_all()
    }
}

/// Makes the directory and takes the lock of the file at `path`, until the result is dropped.
pub(crate) fn lock(path: &Path) -> io::Result<File> {
    fs::create_dir_all(directory(path))?;
    let lock = private(&beside(path, ".lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// The file beside `path` whose name has this ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An empty file that only its owner may read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)] // A leftover may have been opened to others.
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}
