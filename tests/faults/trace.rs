//! What a process asks of the kernel, in order, as strace sees it.
//!
//! A thread goes on only after strace has noted what it did: what happens because of a call is
//! noted after it, whichever thread does it.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

const CALLS: &str = "trace=fdatasync,fsync,write,pwrite64,writev,sendto,sendmsg";
const TEXT_LENGTH_MAX: &str = "200000"; // A tag may be anywhere in what is written.

/// strace on a running process.
#[derive(Debug)]
pub(crate) struct Trace {
    strace: Child,
    directory: TempDir,
}

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) text: String,
    /// Its place among all that strace noted.
    pub(crate) begun: usize,
    /// The place of its return.
    pub(crate) ended: usize,
}

impl Event {
    pub(crate) fn is_sync(&self) -> bool {
        self.name == "fdatasync" || self.name == "fsync"
    }

    /// Whether something is sent to a peer.
    pub(crate) fn is_sent(&self) -> bool {
        self.file().contains("<socket:")
    }

    /// Whether something is written to a file.
    pub(crate) fn is_written(&self) -> bool {
        !self.is_sync() && self.file().contains("</")
    }

    /// The file or socket, e.g. `7</tmp/x/store.redb` of `7</tmp/x/store.redb>, "..."`.
    pub(crate) fn file(&self) -> &str {
        self.text.split('>').next().unwrap_or_default()
    }
}

impl Trace {
    /// Attaches to every thread of a process.
    pub(crate) fn attach(process: u32) -> Self {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let spawned = Command::new("strace")
            .args([
                "-f",
                "-y",
                "-s",
                TEXT_LENGTH_MAX,
                "-e",
                CALLS,
                "-p",
                &process.to_string(),
                "-o",
            ])
            .arg(directory.path().join("trace"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut strace = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("strace is not installed: install strace, or run tests/run")
            }
            Err(error) => panic!("strace does not start: {error}"),
        };
        let mut said = BufReader::new(strace.stderr.take().expect("standard error is piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("strace says what it does");
        assert!(line.contains("attached"), "strace cannot attach to a process of ours: {line}");
        // Read to the end, so that strace never waits for a full pipe.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        Self { strace, directory }
    }

    /// Lets the process go, and returns what it did.
    pub(crate) fn end(mut self) -> Vec<Event> {
        // strace detaches and writes what it has; killed, it could not.
        let id = self.strace.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.is_ok_and(|status| status.success()), "strace can be asked to end");
        self.strace.wait().expect("a process of ours can be waited for");
        let noted = fs::read(self.directory.path().join("trace")).expect("strace wrote its notes");
        parse(&String::from_utf8_lossy(&noted))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.strace.kill().ok(); // It may have ended already.
        self.strace.wait().ok();
    }
}

fn parse(notes: &str) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (place, line) in notes.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<... ") {
            if let Some(at) = open.remove(thread) {
                events[at].ended = place;
            }
        } else if let Some((name, text)) = rest.split_once('(') {
            if rest.ends_with("<unfinished ...>") {
                open.insert(thread, events.len());
            }
            let (name, text) = (name.to_owned(), text.to_owned());
            events.push(Event { name, text, begun: place, ended: place });
        }
    }
    // What never returned did not happen before anything.
    open.into_values().for_each(|at| events[at].ended = usize::MAX);
    events
}

#[test]
fn an_unfinished_call_ends_where_it_is_resumed() {
    let notes = "7 pwrite64(3</tmp/x>, \"tag\", 3, 0) = 3\n\
                 7 fdatasync(3</tmp/x> <unfinished ...>\n\
                 9 write(5<socket:[8]>, \"other\", 5) = 5\n\
                 7 <... fdatasync resumed>) = 0\n\
                 9 writev(5<socket:[8]>, [{iov_base=\"tag\", iov_len=3}], 1) = 3\n\
                 8 fsync(4</tmp/y> <unfinished ...>\n";
    let events = parse(notes);
    let places: Vec<_> =
        events.iter().map(|one| (one.name.as_str(), one.begun, one.ended)).collect();
    let never = usize::MAX;
    assert_eq!(
        places,
        [
            ("pwrite64", 0, 0),
            ("fdatasync", 1, 3),
            ("write", 2, 2),
            ("writev", 4, 4),
            ("fsync", 5, never)
        ]
    );
    assert!(events[0].is_written() && !events[1].is_written() && events[1].is_sync());
    assert!(events[2].is_sent() && events[3].is_sent() && !events[0].is_sent());
    assert_eq!(events[0].file(), events[1].file());
    assert_ne!(events[0].file(), events[4].file());
}
