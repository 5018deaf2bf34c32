//! The write-ahead log: what is acknowledged is here until the database has it on disk.
//!
//! One file of a fixed size, written again from its beginning after every checkpoint, so that a
//! commit is one write in place and one `fdatasync`. First two copies of the floor, then frames.
//! A floor says which group the database must have reached; a frame is one group.
//!
//! ```text
//! floor, floor        each a block of 512 bytes: head (magic, number, length 0), zeros
//! frame, same frame   each whole blocks: head (magic, number, length), payload, zeros
//! ...
//! head: magic u32, length u32, number u64, SHA-256 of magic, length, number and payload
//! ```
//!
//! **Invariant:** a write that was cut short at any byte leaves no whole copy, or a whole one; a
//! byte that changed later leaves the other copy, and so is told from a write cut short.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::error::StoreError;
use crate::record::Hash;

const MAGIC: u32 = 0x534c_5731; // "SLW1"
const BLOCK: usize = 512;
const HEAD: usize = 48;
const FRAMES_AT: usize = 2 * BLOCK;

/// The size of the file: a group that does not fit goes to the database itself.
const SIZE: usize = 8 * 1024 * 1024;

const PAGE: usize = 4 * 1024;

/// Says the number of a group: the first is 1.
pub(super) type Number = u64;

/// The log, open for writing.
#[derive(Debug)]
pub(super) struct Wal {
    file: File,
    at: usize,
    floor: Number,
}

/// What was found in a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The database must have reached this group.
    pub(super) floor: Number,
    /// The groups that the database may not have, one after the other.
    pub(super) groups: Vec<(Number, Vec<u8>)>,
}

impl Wal {
    /// Opens the log at `path`; makes one where there is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < SIZE as u64 {
            if read_all(&file)?.iter().any(|byte| *byte != 0) {
                // It had its whole size before anything was written to it.
                return Err(io::Error::new(ErrorKind::InvalidData, "the log was cut short"));
            }
            // Written, not only allocated: overwriting then changes nothing but the contents. Page
            // by page: what is written in one piece the kernel may keep in one piece, and goes
            // through all of it for every write into it.
            for at in (0..SIZE).step_by(PAGE) {
                file.write_all_at(&[0; PAGE], at as u64)?;
            }
            file.sync_all()?;
        }
        Ok(Self { file, at: FRAMES_AT, floor: 0 })
    }

    /// Reads what the database, which has reached group `reached`, may not have.
    ///
    /// # Errors
    /// `Corrupt` where a byte is not what was written, or the database is behind the floor.
    pub(super) fn read(&self, reached: Number) -> Result<Found, StoreError> {
        let bytes = read_all(&self.file)
            .map_err(|error| StoreError::Unavailable(format!("the log: {error}")))?;
        let found = scan(&bytes, reached)?;
        if reached < found.floor {
            return Err(StoreError::Corrupt(format!(
                "the database is at group {reached}, and had {} on disk: it went back",
                found.floor
            )));
        }
        Ok(found)
    }

    /// Writes group `number` behind the one before, and returns when it is on disk. False where it
    /// does not fit: nothing is written then.
    pub(super) fn append(&mut self, number: Number, payload: &[u8]) -> io::Result<bool> {
        let Some(frame) = frame(number, payload) else { return Ok(false) };
        if self.at + 2 * frame.len() > SIZE {
            return Ok(false);
        }
        let mut bytes = Vec::with_capacity(FRAMES_AT + 2 * frame.len());
        let start = if self.at == FRAMES_AT {
            let floor = floor(self.floor);
            bytes.extend_from_slice(&floor);
            bytes.extend_from_slice(&floor);
            0
        } else {
            self.at
        };
        bytes.extend_from_slice(&frame);
        bytes.extend_from_slice(&frame);
        self.file.write_all_at(&bytes, start as u64)?;
        self.sync()?;
        self.at += 2 * frame.len();
        Ok(true)
    }

    /// Begins again: the database has everything up to group `reached` on disk. Told to the disk
    /// with the next group.
    pub(super) fn restart(&mut self, reached: Number) {
        self.at = FRAMES_AT;
        self.floor = reached;
    }

    /// Begins again and tells the disk at once.
    pub(super) fn close(&mut self, reached: Number) -> io::Result<()> {
        self.restart(reached);
        let floor = floor(reached);
        self.file.write_all_at(&floor, 0)?;
        self.file.write_all_at(&floor, BLOCK as u64)?;
        self.file.sync_data()
    }

    /// What the disk will be told the database has reached.
    pub(super) const fn floor(&self) -> Number {
        self.floor
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(feature = "seeded-bugs")]
        if crate::seeded::is_active(crate::seeded::ACKNOWLEDGE_BEFORE_FSYNC) {
            return Ok(());
        }
        self.file.sync_data()
    }
}

fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Vec::new()),
        outcome => outcome.map(|()| bytes),
    }
}

/// Whole blocks that hold `payload`; none where it is larger than any log.
fn frame(number: Number, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() < SIZE)?;
    let mut bytes = Vec::with_capacity((HEAD + payload.len()).next_multiple_of(BLOCK));
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&digest(length, number, payload).0);
    bytes.extend_from_slice(payload);
    bytes.resize((HEAD + payload.len()).next_multiple_of(BLOCK), 0);
    Some(bytes)
}

fn floor(reached: Number) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    if let Some(frame) = frame(reached, &[]) {
        block.copy_from_slice(&frame);
    }
    block
}

fn digest(length: u32, number: Number, payload: &[u8]) -> Hash {
    let mut bytes = Vec::with_capacity(16 + payload.len());
    bytes.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(payload);
    Hash::of(&bytes)
}

/// One whole frame at `at`: its number, its payload, and how many blocks' bytes it takes.
fn whole(bytes: &[u8], at: usize) -> Option<(Number, &[u8], usize)> {
    let head = bytes.get(at..at + HEAD)?;
    let magic = u32::from_le_bytes(head.get(0..4)?.try_into().ok()?);
    let length = u32::from_le_bytes(head.get(4..8)?.try_into().ok()?);
    let number = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
    if magic != MAGIC {
        return None;
    }
    let size = usize::try_from(length).ok()?;
    let payload = bytes.get(at + HEAD..at + HEAD + size)?;
    let taken = (HEAD + size).next_multiple_of(BLOCK);
    let sealed = digest(length, number, payload).0.as_slice() == head.get(16..48)?;
    let padded = bytes.get(at + HEAD + size..at + taken)?.iter().all(|byte| *byte == 0);
    (sealed && padded).then_some((number, payload, taken))
}

fn scan(bytes: &[u8], reached: Number) -> Result<Found, StoreError> {
    let corrupt = |what: String| Err(StoreError::Corrupt(format!("the write-ahead log: {what}")));
    let floors: Vec<Number> = [0, BLOCK]
        .into_iter()
        .filter_map(|at| whole(bytes, at).filter(|(_, payload, _)| payload.is_empty()))
        .map(|(number, ..)| number)
        .collect();
    let Some(floor) = floors.iter().max().copied() else {
        let blank = |at: usize| bytes.iter().skip(at).take(BLOCK).all(|byte| *byte == 0);
        if blank(BLOCK) && later(bytes, FRAMES_AT, reached + 1).is_none() {
            return Ok(Found { floor: 0, groups: Vec::new() }); // Never written, or cut short then.
        }
        return corrupt("neither copy of its floor is whole".to_owned());
    };
    let mut found = Found { floor, groups: Vec::new() };
    let (mut at, mut last) = (FRAMES_AT, None::<Number>);
    loop {
        let expected = last.map_or_else(|| 0, |last| last + 1);
        let first = whole(bytes, at).filter(|(number, ..)| last.is_none() || *number == expected);
        let Some((number, payload, taken)) =
            first.or_else(|| second(bytes, at, last, floor.max(reached)))
        else {
            break;
        };
        if first.is_none() || whole(bytes, at + taken).is_none_or(|copy| copy.0 != number) {
            tracing::warn!(number, "one copy of a group in the write-ahead log is not whole");
        }
        if number > reached {
            found.groups.push((number, payload.to_vec()));
        }
        last = Some(number);
        at += 2 * taken;
    }
    let newest = last.unwrap_or(0).max(reached);
    if let Some(number) = later(bytes, at, newest + 1) {
        return corrupt(format!("group {number} is there, and the ones before it are not whole"));
    }
    match found.groups.first() {
        Some((first, _)) if *first != reached + 1 => {
            corrupt(format!("it begins with group {first}, and the database ends with {reached}"))
        }
        _ => Ok(found),
    }
}

/// The second copy of the frame whose first, at `at`, is not whole: the next whole one that can
/// follow.
fn second(
    bytes: &[u8],
    at: usize,
    last: Option<Number>,
    base: Number,
) -> Option<(Number, &[u8], usize)> {
    let next = last.map_or(base + 1, |last| last + 1);
    (at + BLOCK..bytes.len()).step_by(BLOCK).find_map(|place| {
        whole(bytes, place).filter(|(number, _, taken)| *number == next && place == at + taken)
    })
}

/// A whole frame at `at` or behind it with at least this number.
fn later(bytes: &[u8], at: usize, number: Number) -> Option<Number> {
    let places = (at..bytes.len()).step_by(BLOCK);
    places.filter_map(|place| whole(bytes, place)).map(|it| it.0).find(|found| *found >= number)
}
