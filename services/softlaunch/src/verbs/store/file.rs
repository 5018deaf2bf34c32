//! The file of an export: written once, and read as a whole before anything is made of it.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use store::{Hash, Head, Item, StreamName};

use crate::failure::Failure;

use super::Heads;
use super::lines::{FORMAT, Line, hash};

const LINE_MAX: usize = 16 * 1024 * 1024; // Twice a plan file in hexadecimal, and then some.

/// What a whole export comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Export {
    /// How many things are in it.
    pub(super) items: u64,
    /// Where its journals end.
    pub(super) heads: Heads,
    /// The digest of all its lines but the last.
    pub(super) digest: Hash,
}

/// An export being written: beside its place until it is whole.
#[derive(Debug)]
pub(super) struct Writing {
    path: PathBuf,
    unfinished: PathBuf,
    out: BufWriter<File>,
    sum: Sum,
}

/// What both ends add up.
#[derive(Debug, Default)]
struct Sum {
    items: u64,
    heads: Heads,
    sha256: Sha256,
}

impl Sum {
    fn take(&mut self, item: &Item) -> Result<(), String> {
        self.items += 1;
        if let Item::Record { stream, record } = item {
            let head = self.heads.get(stream).copied().unwrap_or_default();
            let next = head.followed_by(stream, record).map_err(|error| error.to_string())?;
            self.heads.insert(stream.clone(), next);
        }
        Ok(())
    }

    fn finish(self) -> Export {
        let digest = Hash(self.sha256.finalize().into());
        Export { items: self.items, heads: self.heads, digest }
    }
}

impl Writing {
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        if path.exists() {
            return Err(Failure::refused(format!(
                "{} exists: name a file that does not",
                path.display()
            )));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let unfinished = path.with_file_name(name);
        let opened = OpenOptions::new().write(true).create(true).truncate(true).open(&unfinished);
        let out = BufWriter::new(opened.map_err(|error| unwritten(&unfinished, &error))?);
        let mut writing = Self { path: path.to_owned(), unfinished, out, sum: Sum::default() };
        writing.line(&Line::Store { format: FORMAT })?;
        Ok(writing)
    }

    pub(super) fn write(&mut self, item: &Item) -> Result<(), Failure> {
        self.sum.take(item).map_err(Failure::refused)?;
        self.line(&Line::of(item))
    }

    /// Where the journals end that were written.
    pub(super) const fn heads(&self) -> &Heads {
        &self.sum.heads
    }

    pub(super) fn finish(mut self) -> Result<Export, Failure> {
        for (stream, head) in self.sum.heads.clone() {
            let (stream, hash) = (stream.to_string(), head.hash.to_string());
            self.line(&Line::Head { stream, version: head.version, hash })?;
        }
        let (items, sha256) = (self.sum.items, self.sum.sha256.clone());
        let sha256 = Hash(sha256.finalize().into()).to_string();
        let digested = std::mem::take(&mut self.sum);
        self.line(&Line::End { items, sha256 })?;
        let done = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        let done = done.and_then(|()| std::fs::rename(&self.unfinished, &self.path));
        done.map_err(|error| unwritten(&self.path, &error))?;
        Ok(digested.finish())
    }

    fn line(&mut self, line: &Line) -> Result<(), Failure> {
        let mut text = serde_json::to_string(line).map_err(|e| Failure::refused(e.to_string()))?;
        text.push('\n');
        self.sum.sha256.update(&text);
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|error| unwritten(&self.unfinished, &error))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::refused(format!("cannot write {}: {error}", path.display()))
}

/// Reads an export from beginning to end, hands every item to `take`, and checks that the file is
/// whole: every chain, every head, and the digest of all.
pub(super) fn read(
    path: &Path,
    mut take: impl FnMut(Item) -> Result<(), Failure>,
) -> Result<Export, Failure> {
    let unread = |error| Failure::refused(format!("cannot read {}: {error}", path.display()));
    let mut lines = BufReader::new(File::open(path).map_err(unread)?);
    let mut sum = Sum::default();
    let mut said = Heads::new();
    let mut text = String::new();
    for number in 1_u64.. {
        text.clear();
        let length = lines.by_ref().take(LINE_MAX as u64).read_line(&mut text).map_err(unread)?;
        let wrong =
            |why: &str| Failure::refused(format!("{}, line {number}: {why}", path.display()));
        if length == 0 {
            return Err(wrong("the file ends before its last line: it was cut short"));
        }
        let line: Line = serde_json::from_str(&text)
            .map_err(|error| wrong(&format!("not a line of `softlaunch store export`: {error}")))?;
        match (&line, number) {
            (Line::Store { format: FORMAT }, 1) => {}
            (Line::Store { format }, 1) => {
                return Err(wrong(&format!("format {format}: this release reads {FORMAT}")));
            }
            (_, 1) => return Err(wrong("an export begins with a line `store`")),
            (Line::End { items, sha256 }, _) => {
                let found = sum.finish();
                if *items != found.items || *sha256 != found.digest.to_string() {
                    return Err(wrong("the digest does not match: something in the file changed"));
                }
                if said != found.heads {
                    return Err(wrong("a journal does not end where the file says it does"));
                }
                return Ok(found);
            }
            (Line::Head { stream, version, hash: text }, _) => {
                let stream = StreamName::new(stream).map_err(|e| wrong(&e.to_string()))?;
                let hash = hash(text).map_err(|e| wrong(&e.to_string()))?;
                said.insert(stream, Head { version: *version, hash });
            }
            _ => {}
        }
        sum.sha256.update(&text);
        if let Some(item) = line.into_item().map_err(|e| wrong(&e.to_string()))? {
            sum.take(&item).map_err(|why| wrong(&why))?;
            take(item)?;
        }
    }
    Err(unread(std::io::ErrorKind::FileTooLarge.into()))
}
