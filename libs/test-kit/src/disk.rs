//! A disk that can be filled.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A file system of its own, in memory, of a size of its own. Gone when dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// A file system of `size`, e.g. `1m`. `None`, and said so, where nothing can be mounted: it
    /// takes root.
    ///
    /// # Panics
    /// Where there is no temporary directory.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    pub fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let size = format!("size={size}");
        let mut mounting = Command::new("mount");
        mounting.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path());
        if mounting.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        eprintln!("skipped: a full disk needs a tmpfs, and only root can mount one.");
        None
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    ///
    /// # Panics
    /// Where there is more room than anybody asked for.
    pub fn fill(&self) {
        let much = vec![b'x'; 64 << 20];
        std::fs::write(self.filler(), much).expect_err("the disk is small");
    }

    /// Gives back what [`fill`](Self::fill) took.
    ///
    /// # Panics
    /// Where it took nothing.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.0.path()).status().ok(); // Best effort.
    }
}
